"""Per-example results: a column of numbers, one for each example of a dataset, kept as a document of the version.

CSV in UTF-8, with the header `value` (in the order of the dataset's examples) or `id,value` (each under the
example's id, in any order).
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import math
from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from registry.errors import InvalidInput

MOST = 1_000_000
LONGEST_ID = 200
# So that what is made of two columns is finite too.
LARGEST_SUM = 1e300
_HEADERS = (["value"], ["id", "value"])
_FIELD = "body"


@dataclass(frozen=True)
class Column:
    """The values; with ids, in the order of these, so that two columns of the same ids are in the same order."""

    values: npt.NDArray[np.float64]
    # Hex sha256 over the sorted ids; "" without: then the order is the dataset's own.
    ids_digest: str

    @property
    def mean(self) -> float:
        return math.fsum(self.values) / len(self.values)


def read_column(content: bytes) -> Column:
    """The column in a document. Raises InvalidInput that names the line: one that is no finite number, an id that
    is doubled, empty or too long, none or more than MOST examples."""
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
        rows = csv.reader(text, strict=True)
        header = next(rows, [])
        if header not in _HEADERS:
            raise InvalidInput(
                "Per-example results are CSV with the header `value`, or `id,value`.", field=_FIELD
            )
        values = array("d")
        ids: list[str] = []
        for row in rows:
            if len(row) != len(header):
                raise _wrong(rows, f"it has {len(row)} fields, not {len(header)}")
            if len(values) == MOST:
                raise InvalidInput(
                    f"At most {MOST:,} examples are kept; of more, draw a sample once, and evaluate every version on "
                    "that, as a dataset of its own.",
                    field=_FIELD,
                )
            values.append(_number(rows, row[-1]))
            ids += row[:-1]
    except UnicodeDecodeError:
        raise InvalidInput("Per-example results are CSV in UTF-8.", field=_FIELD) from None
    except csv.Error as error:
        raise InvalidInput(f"Per-example results are CSV: {error}.", field=_FIELD) from None
    if not values:
        raise InvalidInput("There is no example in it: a line for each, below the header.", field=_FIELD)
    if sum(map(abs, values)) > LARGEST_SUM:
        raise InvalidInput("The values are too large to be added up.", field=_FIELD)
    if not ids:
        return Column(np.array(values), "")
    order = _sorted(ids)
    digest = hashlib.sha256("\n".join(ids[n] for n in order).encode()).hexdigest()
    return Column(np.array(values)[order], digest)


def _number(rows: object, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _wrong(rows, f"{text[:40]!r} is no number") from None
    if not math.isfinite(number):
        raise _wrong(rows, f"{text[:40]!r} is not finite: NaN and infinity are refused")
    return number


def _sorted(ids: list[str]) -> list[int]:
    """The places of the ids, in the order of the ids. Raises InvalidInput for one that cannot be one."""
    for line, each in enumerate(ids, start=2):
        # A line break in an id would let two lists of ids have one digest.
        if not 1 <= len(each) <= LONGEST_ID or not each.isprintable():
            raise InvalidInput(f"Line {line}: an id is 1 to {LONGEST_ID} printable characters.", field=_FIELD)
    order = sorted(range(len(ids)), key=ids.__getitem__)
    for one, next_ in itertools.pairwise(order):
        if ids[one] == ids[next_]:
            raise InvalidInput(
                f"The id {ids[one][:40]!r} stands on line {one + 2} and again on line {next_ + 2}: every example once.",
                field=_FIELD,
            )
    return order


def _wrong(rows: object, why: str) -> InvalidInput:
    return InvalidInput(f"Line {getattr(rows, 'line_num', 0)}: {why}.", field=_FIELD)
