"""What a data file says of itself as a table: rows, columns, names and types. Never a reason to fail.

A CSV is counted while it is hashed; what says it in a few bytes, the header of an `.npy` and the footer of a Parquet
file, is asked. Whatever is not sure is not told.
"""

from __future__ import annotations

import ast
import csv
import struct
import sys
from dataclasses import dataclass
from typing import Any

_SEPARATORS = {".csv": ",;\t|", ".tsv": "\t", ".tab": "\t"}
_LONGEST_HEADER = 1 << 16
# Quotes are looked at one by one; with more of them counting would take the training's time.
_MOST_QUOTES = 2_000_000
_MOST_COLUMNS = 5000


@dataclass(frozen=True, slots=True)
class Table:
    """None is what is not known. `schema` has a name and a type for every column; in a CSV every type is text."""

    rows: int | None = None
    columns: int | None = None
    schema: list[dict[str, str]] | None = None


class CsvCounter:
    """Counts the records of a CSV as its bytes pass by. A line break inside quotes ends none."""

    def __init__(self, separators: str) -> None:
        self._separators = separators
        self._around = (*(letter.encode() for letter in separators), b"\n", b"\r")
        self._header = b""
        self._breaks = 0
        self._quotes = 0
        self._inside = False
        self._sure = True
        self._last = b"\n"

    def feed(self, block: bytes) -> None:
        if len(self._header) < _LONGEST_HEADER:
            self._header += block[: _LONGEST_HEADER - len(self._header)]
        if self._sure and block:
            parts = block.split(b'"') if b'"' in block else [block]
            self._quotes += len(parts) - 1
            self._sure = self._quotes <= _MOST_QUOTES and self._count(parts)
            self._last = block[-1:]

    def table(self) -> Table:
        sure = self._sure and not self._inside
        names, found = self._columns() if self._header else ([], 0)
        if not found:
            return Table()
        rows = self._breaks + (self._last != b"\n") - bool(names) if sure else None
        schema = (
            [{"name": name, "type": "text"} for name in names] if 0 < len(names) <= _MOST_COLUMNS else None
        )
        return Table(rows, found, schema)

    def _count(self, parts: list[bytes]) -> bool:
        """False when a quote stands where no quote of a CSV does: then nothing is known of the records."""
        for position, part in enumerate(parts):
            outside = not self._inside
            if outside:
                self._breaks += part.count(b"\n")
                begins = position > 0 and part and not part.startswith(self._around)
                ends = position < len(parts) - 1 and part and not part.endswith(self._around)
                if begins or ends:
                    return False
            if position < len(parts) - 1:
                self._inside = outside
        return True

    def _columns(self) -> tuple[list[str], int]:
        """The names in the first line, none if it holds values, and the number of columns, 0 if that is not clear."""
        text = self._header.decode("utf-8-sig", "replace")
        line = text.splitlines()[0] if text.splitlines() else ""
        separator = max(self._separators, key=line.count)
        fields = next(csv.reader([line], delimiter=separator), [])
        if len(self._header) == _LONGEST_HEADER and "\n" not in text:
            return [], 0
        named = len(set(fields)) == len(fields) and not any(_is_value(field) for field in fields)
        return (fields if named else []), len(fields)


def counter(path: str) -> CsvCounter | None:
    """What counts a file of this name while it is hashed."""
    separators = _SEPARATORS.get(_suffix(path))
    return CsvCounter(separators) if separators else None


def describe(path: str) -> Table | None:
    """What the beginning or the end of a file says. Never raises."""
    try:
        if _suffix(path) == ".npy":
            return _npy(path)
        if _suffix(path) in (".parquet", ".pq"):
            return _parquet(path)
    except Exception:  # noqa: BLE001 - a file that is not what its name says is still hashed
        return None
    return None


def _npy(path: str) -> Table:
    with open(path, "rb") as file:
        magic = file.read(8)
        if magic[:6] != b"\x93NUMPY":
            return Table()
        length = struct.unpack("<H", file.read(2)) if magic[6] == 1 else struct.unpack("<I", file.read(4))
        header: dict[str, Any] = ast.literal_eval(
            file.read(min(length[0], _LONGEST_HEADER)).decode("latin-1")
        )
    shape, kind = header["shape"], header["descr"]
    fields = (
        [{"name": str(field[0]), "type": str(field[1])} for field in kind] if isinstance(kind, list) else None
    )
    columns = len(fields) if fields else shape[1] if len(shape) == 2 else None
    schema = fields or [{"name": "", "type": str(kind)}]
    return Table(shape[0] if shape else None, columns, schema)


def _parquet(path: str) -> Table | None:
    # asked only where the training has loaded it: importing it here would take a second of its time
    parquet = sys.modules.get("pyarrow.parquet")
    if parquet is None:
        return None
    footer = parquet.read_metadata(path)
    schema = footer.schema.to_arrow_schema()
    named = [{"name": str(field.name), "type": str(field.type)} for field in schema]
    return Table(footer.num_rows, len(schema), named if len(named) <= _MOST_COLUMNS else None)


def _suffix(path: str) -> str:
    name = path.rpartition("/")[2]
    return f".{name.rpartition('.')[2].lower()}" if "." in name else ""


def _is_value(field: str) -> bool:
    """Whether a field of a first line can be no column's name."""
    try:
        float(field)
    except ValueError:
        return not field.strip()
    return True
