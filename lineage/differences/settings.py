"""What two versions were made with: parameters, the command, the configuration file, seeds, how data was split."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from lineage.completeness import is_seed
from lineage.differences.kinds import Difference, changed, cut, mapping, short_digest
from lineage.making import Making

Sides = tuple[Making, Making]
# Exact names: `min_samples_split` and `min_split_gain` are settings of a model.
_SPLIT = re.compile(
    r"(?:^|[.\-])(?:(?:train|training|test|val|valid|validation|holdout|held_out|eval|dev)"
    r"_(?:size|fraction|frac|ratio|split|share|pct|percent)"
    r"|(?:train_test_|data_)?split(?:_(?:ratio|by|at|date|column|fraction|size))?"
    r"|n_splits|n_folds|folds?|cv|cv_folds|stratify)$",
    re.IGNORECASE,
)


def kind_of(parameter: str) -> str:
    """Whether a parameter is a seed, or says how data was split, or is any other."""
    if is_seed(parameter):
        return "seed"
    return "split" if _SPLIT.search(parameter) else "parameters"


def parameters(sides: Sides, *, named_told: bool) -> Iterator[Difference]:
    """Parameters that differ, but for those that only repeat the configuration, or that name a dataset, a base or the
    configuration file. `named_told`: of what can be named something differs, which is told by itself; where nothing
    does, such a name matters when it is that of another content."""
    a, b = sides
    mine, theirs = ({str(key): str(value) for key, value in side.parameters.items()} for side in sides)
    named = _named(a), _named(b)
    for key in sorted({*mine, *theirs}):
        left, right = mine.get(key), theirs.get(key)
        if left == right or _from_files(a, b, key):
            continue
        held = [
            names.get(_bare(value))
            for names, value in zip(named, (left, right), strict=True)
            if value is not None
        ]
        if all(held) and (named_told or len(set(held)) == 1 < len(held)):
            continue
        yield _one(kind_of(key), f"the parameter {key}", left, right, sides)


def command(sides: Sides, *, named_told: bool) -> Iterator[Difference]:
    """The command line, for where no parameter tells it already.

    Folders in it are where it ran, not what it ran; a word that names the entry point, or a dataset, a base or the
    configuration file, says nothing more than these do. `named_told` as for parameters.
    """
    if any(side.run is None or not side.run.command for side in sides):
        return
    entries = {_bare(side.run.entry_point.partition(":")[0]) for side in sides if side.run}
    words = [_words(side, entries, named_told=named_told) for side in sides]
    if words[0] != words[1]:
        shown = [[str(word) for word in side.run.command] for side in sides if side.run]
        told = [cut(" ".join([*map(_bare, line[:2]), *line[2:]])) for line in shown]
        yield changed("parameters", "the command", (told[0], told[1]), sides, (shown[0], shown[1]))


def config(sides: Sides) -> Iterator[Difference]:
    """The configuration file. Where all that changed in it are seeds, or how data is split, it is told as that."""
    a, b = sides
    if a.run is None or b.run is None:
        return
    mine, theirs = mapping(a.run.config), mapping(b.run.config)
    digests = str(mine.get("digest") or ""), str(theirs.get("digest") or "")
    if digests[0] == digests[1]:
        return
    values = _config_values(a), _config_values(b)
    keys = [key for key in sorted({*values[0], *values[1]}) if values[0].get(key) != values[1].get(key)]
    told = [
        "; ".join(
            [f"{key} = {cut(str(held.get(key, 'not set')))}" for key in keys[:5]] + ["…"] * (len(keys) > 5)
        )
        or (short_digest(digest) if digest else "none")
        for held, digest in zip(values, digests, strict=True)
    ]
    kinds = {kind_of(key) for key in keys}
    kind = kinds.pop() if len(kinds) == 1 and kinds <= {"seed", "split"} and all(digests) else "config"
    name = mine.get("path") or theirs.get("path") or ""
    shown = mine or None, theirs or None
    yield changed(kind, f"the configuration {name}".rstrip(), (told[0], told[1]), sides, shown)


def seeds(sides: Sides) -> Iterator[Difference]:
    """Seeds that the client saw being set. One that is a parameter as well is told as that."""
    held = [_seeds(side) for side in sides]
    if held[0] is None or held[1] is None:
        return
    mine, theirs = held[0], held[1]
    for name in sorted({*mine, *theirs}):
        left, right = mine.get(name), theirs.get(name)
        if left != right and not any(name in side.parameters for side in sides):
            yield _one("seed", f"the seed of {name}", left, right, sides)


def changed_values(found: Difference) -> set[tuple[str, str]]:
    """The pairs of values that a difference of parameters or configuration stands for."""
    if isinstance(found.a, dict) and isinstance(found.b, dict):
        left, right = mapping(found.a.get("values")), mapping(found.b.get("values"))
        return {(str(left[key]), str(right[key])) for key in {*left} & {*right} if left[key] != right[key]}
    return {(str(found.a), str(found.b))} if found.a is not None and found.b is not None else set()


def _one(kind: str, what: str, left: str | None, right: str | None, sides: Sides) -> Difference:
    if left is not None and right is not None:
        return changed(kind, what, (cut(left), cut(right)), sides, (left, right))
    holder, other = sides if right is None else (sides[1], sides[0])
    value = cut(left if right is None else right)
    sentence = f"{what} is {value} in {holder.label}, not set in {other.label}"
    told = (value, "not set") if right is None else ("not set", value)
    return Difference(kind, what, sentence, told, left, right)


def _seeds(side: Making) -> Mapping[str, str] | None:
    """None where nobody looked for seeds."""
    if side.run is None or not isinstance(mapping(side.run.environment).get("seeds"), dict):
        return None
    return {str(name): str(value) for name, value in side.run.seeds.items()}


def _from_files(a: Making, b: Making, key: str) -> bool:
    """Whether a parameter is only what the configuration files say, whose difference is told by itself."""
    return all(
        (key in side.parameters) == (key in values) and str(side.parameters.get(key)) == str(values.get(key))
        for side, values in ((a, _config_values(a)), (b, _config_values(b)))
    )


def _config_values(side: Making) -> Mapping[str, Any]:
    return mapping(mapping(side.run.config if side.run else None).get("values"))


def _named(side: Making) -> dict[str, str]:
    """What a word may name, and the content that it stands for."""
    file = mapping(side.run.config if side.run else None)
    named = {_bare(each.name): each.digest for each in side.inputs}
    named |= {_bare(base.reference): base.digest or base.reference for base in side.bases if base.reference}
    if file.get("path"):
        named[_bare(str(file["path"]))] = str(file.get("digest") or "")
    return {name: content or name for name, content in named.items()}


def _words(side: Making, entries: set[str], *, named_told: bool) -> list[str]:
    """The words after the interpreter, those that name something taken out, or written as the content they name."""
    named = _named(side)
    words = []
    for word in (str(each) for each in (side.run.command if side.run else [])[1:]):
        option, equals, value = word.rpartition("=")
        if _bare(word) in entries:
            continue
        if content := named.get(_bare(value)):
            words += [] if named_told else [f"{option}{equals}{content}"]
        else:
            words.append(word if word.startswith("-") else _bare(word))
    return words


def _bare(word: str) -> str:
    return PurePosixPath(word).name or word
