"""What two versions were made from: other content, other columns, the same content used otherwise, another base."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lineage.differences.kinds import Difference, changed, cut, short_digest
from lineage.making import Base, Input, Making

# Of added, removed and retyped columns, so many of each are named.
MOST_COLUMNS = 5
HIDDEN = "a version you may not see"
Sides = tuple[Making, Making]


def data(sides: Sides) -> Iterator[Difference]:
    """Datasets that were read, compared by content. A side without any recorded nothing: that is a gap."""
    a, b = sides
    if not a.inputs or not b.inputs:
        return
    mine, theirs = _by_name(a.inputs), _by_name(b.inputs)
    for name in sorted(set(mine) & set(theirs)):
        if _uses(mine[name]) != _uses(theirs[name]):
            yield _dataset(f"the dataset {name}", mine[name], theirs[name], sides)
    # Equal content read under another name, from another folder say, is the same data.
    here = [i for name in sorted(set(mine) - set(theirs)) for i in mine[name]]
    there = [i for name in sorted(set(theirs) - set(mine)) for i in theirs[name]]
    shared = _uses(here) & _uses(there)
    here = [i for i in here if (i.digest, _purpose(i)) not in shared]
    there = [i for i in there if (i.digest, _purpose(i)) not in shared]
    for digest in sorted({i.digest for i in here} & {i.digest for i in there}):
        left, right = [[i for i in side if i.digest == digest] for side in (here, there)]
        yield _used_otherwise(f"the dataset {left[0].name}", left, right, sides)
        here = [i for i in here if i.digest != digest]
        there = [i for i in there if i.digest != digest]
    for purpose in sorted({_purpose(i) for i in [*here, *there]}):
        left = [i for i in here if _purpose(i) == purpose]
        right = [i for i in there if _purpose(i) == purpose]
        if len(left) == len(right) == 1:
            yield _dataset(f"the data read for {purpose}", left, right, sides, named=True)
            continue
        for each in left:
            yield _read_by_one(each, a, b)
        for each in right:
            yield _read_by_one(each, b, a, second=True)


def bases(sides: Sides) -> Iterator[Difference]:
    """The versions that they were trained from. Equal content under another number is the same base."""
    a, b = sides
    if {each.digest or str(each.id) for each in a.bases} == {each.digest or str(each.id) for each in b.bases}:
        return
    told = [" and ".join(map(_base, side.bases)) or "none" for side in sides]
    shown = [[each.reference or HIDDEN for each in side.bases] for side in sides]
    yield changed("base", "the base model", (told[0], told[1]), sides, (shown[0], shown[1]))


def _base(base: Base) -> str:
    return f"{base.reference or HIDDEN}" + (f" ({short_digest(base.digest)})" if base.digest else "")


def _by_name(inputs: list[Input]) -> dict[str, list[Input]]:
    found: dict[str, list[Input]] = {}
    for each in inputs:
        found.setdefault(each.name, []).append(each)
    return found


def _uses(inputs: list[Input]) -> set[tuple[str, str]]:
    return {(each.digest, _purpose(each)) for each in inputs}


def _dataset(
    what: str, left: list[Input], right: list[Input], sides: Sides, *, named: bool = False
) -> Difference:
    if {i.digest for i in left} == {i.digest for i in right}:
        return _used_otherwise(what, left, right, sides)
    told = [" and ".join(_told(each, named=named) for each in side) for side in (left, right)]
    more = _content(left[0], right[0]) if len(left) == len(right) == 1 else ""
    found = changed("data", what, (told[0], told[1]), sides, (_shown(left), _shown(right)), more=more)
    return replace(found, training=_trains([*left, *right]))


def _used_otherwise(what: str, left: list[Input], right: list[Input], sides: Sides) -> Difference:
    """The same content, for another purpose."""
    told = [" and ".join(f"for {_purpose(each)}" for each in side) for side in (left, right)]
    return changed("split", f"the use of {what}", (told[0], told[1]), sides, (_shown(left), _shown(right)))


def _read_by_one(each: Input, reader: Making, other: Making, *, second: bool = False) -> Difference:
    what = f"the dataset {each.name}"
    sentence = f"{what} ({_told(each)}) was read for {_purpose(each)} by {reader.label}, not by {other.label}"
    shown, told = (_shown([each]), None), (_told(each), "not read")
    if second:
        shown, told = (None, _shown([each])), (told[1], told[0])  # type: ignore[assignment]
    return Difference("data", what, sentence, told, *shown, training=_trains([each]))


def _content(left: Input, right: Input) -> str:
    """What of the content is known to differ."""
    if _scheme(left) != _scheme(right):
        return "these are digests of different kinds, so the content may be the same"
    if not left.schema or not right.schema:
        return ""
    mine, theirs = left.schema, right.schema
    added = [name for name in theirs if name not in mine]
    removed = [name for name in mine if name not in theirs]
    retyped = [
        f"{cut(name)} from {cut(mine[name])} to {cut(theirs[name])}"
        for name in mine
        if name in theirs and mine[name] != theirs[name]
    ]
    told = [
        f"{words} {_listed(names)}"
        for words, names in (("added", added), ("removed", removed), ("retyped", retyped))
        if names
    ]
    if told:
        return f"columns {', '.join(told)}"
    same_rows = left.rows is not None and left.rows == right.rows
    return "as many rows of the same columns, so values or their order changed" if same_rows else ""


def _listed(names: list[str]) -> str:
    shown = ", ".join(cut(name) for name in names[:MOST_COLUMNS])
    return f"{shown} and {len(names) - MOST_COLUMNS} more" if len(names) > MOST_COLUMNS else shown


def _scheme(each: Input) -> str:
    return each.digest.partition(":")[0]


def _trains(inputs: list[Input]) -> bool:
    return any(not i.contexts <= {"test", "validation"} for i in inputs)


def _purpose(each: Input) -> str:
    return " and ".join(sorted(context for context in each.contexts if context)) or "training"


def _told(each: Input, *, named: bool = False) -> str:
    details = [f"{each.rows:,} rows"] if each.rows is not None else []
    details += [f"{each.columns:,} columns"] if each.columns is not None else []
    name = f"{each.name} " if named else ""
    return f"{name}{short_digest(each.digest)}" + (f" ({', '.join(details)})" if details else "")


def _shown(inputs: list[Input]) -> list[dict[str, Any]]:
    return [
        {
            "name": i.name,
            "digest": i.digest,
            "rows": i.rows,
            "columns": i.columns,
            "contexts": sorted(i.contexts),
        }
        for i in inputs
    ]
