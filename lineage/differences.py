"""What differs in what made two versions, each difference in one plain sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from lineage.making import Input, Making
from lineage.models import Run
from registry.redaction.marks import alike_apart_from_marks

SHORT = 60


@dataclass(frozen=True)
class Kind:
    """How a kind of difference is called in a sentence."""

    noun: str
    plural: bool = False


# In the order in which they are told.
KINDS: dict[str, Kind] = {
    "data": Kind("the training data"),
    "base": Kind("the base model"),
    "code": Kind("the code"),
    "parameters": Kind("the parameters", plural=True),
    "config": Kind("the configuration"),
    "environment": Kind("the environment"),
}


@dataclass(frozen=True)
class Difference:
    """One difference. `a` and `b` are what each side has, null where it has nothing."""

    kind: str
    sentence: str
    a: Any
    b: Any
    training: bool = True


def differences_between(a: Making, b: Making) -> list[Difference]:
    """Everything recorded that differs, in the order of KINDS. What only one side recorded is no difference, nor
    is what stands against a mark, which may have been the same."""
    found = list(_bases(a, b))
    if a.inputs and b.inputs:
        found += _data(a, b)
    if a.run and b.run:
        found += _code(a, b, a.run, b.run)
        found += _config(a, b, a.run, b.run)
        found += _environment(a, b, a.run, b.run)
    found += _parameters(a, b)
    if not any(each.kind == "parameters" for each in found):
        found += _command(a, b)
    order = list(KINDS)
    known = [each for each in found if not alike_apart_from_marks(each.a, each.b)]
    return sorted(known, key=lambda each: order.index(each.kind))


def _changed(
    kind: str, what: str, told: tuple[str, str], a: Making, b: Making, values: tuple[Any, Any]
) -> Difference:
    sentence = f"{what} changed: {told[0]} in {a.label}, {told[1]} in {b.label}"
    return Difference(kind, sentence, *values)


def _data(a: Making, b: Making) -> Iterator[Difference]:
    mine, theirs = _by_name(a.inputs), _by_name(b.inputs)
    for name in sorted(set(mine) & set(theirs)):
        if {(i.digest, i.contexts) for i in mine[name]} != {(i.digest, i.contexts) for i in theirs[name]}:
            yield _dataset(f"the dataset {name}", mine[name], theirs[name], a, b)
    # Equal content read under another name, from another folder say, is the same data.
    here = [i for name in sorted(set(mine) - set(theirs)) for i in mine[name]]
    there = [i for name in sorted(set(theirs) - set(mine)) for i in theirs[name]]
    shared = {(i.digest, i.contexts) for i in here} & {(i.digest, i.contexts) for i in there}
    here = [i for i in here if (i.digest, i.contexts) not in shared]
    there = [i for i in there if (i.digest, i.contexts) not in shared]
    for context in sorted({i.contexts for i in [*here, *there]}, key=sorted):
        left = [i for i in here if i.contexts == context]
        right = [i for i in there if i.contexts == context]
        if len(left) == len(right) == 1:
            yield _dataset(f"the data read for {_purpose(left[0])}", left, right, a, b, named=True)
            continue
        for each in left:
            yield _read_by_one(each, a, b)
        for each in right:
            yield _read_by_one(each, b, a, second=True)


def _by_name(inputs: list[Input]) -> dict[str, list[Input]]:
    found: dict[str, list[Input]] = {}
    for each in inputs:
        found.setdefault(each.name, []).append(each)
    return found


def _dataset(
    what: str, left: list[Input], right: list[Input], a: Making, b: Making, *, named: bool = False
) -> Difference:
    purposes = {i.digest for i in left} == {i.digest for i in right}
    told = [
        " and ".join(_told(each, named=named, purpose=purposes) for each in side) for side in (left, right)
    ]
    changed = _changed("data", what, (told[0], told[1]), a, b, (_shown(left), _shown(right)))
    return Difference("data", changed.sentence, changed.a, changed.b, training=_trains([*left, *right]))


def _read_by_one(each: Input, reader: Making, other: Making, *, second: bool = False) -> Difference:
    sentence = (
        f"the dataset {each.name} ({_told(each)}) was read for {_purpose(each)} by {reader.label}, "
        f"not by {other.label}"
    )
    shown, trains = _shown([each]), _trains([each])
    if second:
        return Difference("data", sentence, None, shown, training=trains)
    return Difference("data", sentence, shown, None, training=trains)


def _trains(inputs: list[Input]) -> bool:
    return any(not i.contexts <= {"test", "validation"} for i in inputs)


def _purpose(each: Input) -> str:
    return " and ".join(sorted(context for context in each.contexts if context)) or "training"


def _told(each: Input, *, named: bool = False, purpose: bool = False) -> str:
    details = [f"{each.rows:,} rows"] if each.rows is not None else []
    details += [f"for {_purpose(each)}"] if purpose else []
    name = f"{each.name} " if named else ""
    return f"{name}{short_digest(each.digest)}" + (f" ({', '.join(details)})" if details else "")


def _shown(inputs: list[Input]) -> list[dict[str, Any]]:
    return [
        {"name": i.name, "digest": i.digest, "rows": i.rows, "contexts": sorted(i.contexts)} for i in inputs
    ]


def short_digest(digest: str) -> str:
    """A digest as people read it: `sha256:12ab34cd…`."""
    scheme, _, digits = digest.rpartition(":")
    return f"{scheme}:{digits[:8]}…" if scheme else f"{digits[:8]}…"


def _bases(a: Making, b: Making) -> Iterator[Difference]:
    mine, theirs = {each.id for each in a.bases}, {each.id for each in b.bases}
    if mine != theirs:
        told = [[each.reference or "a version you may not see" for each in side.bases] for side in (a, b)]
        words = [" and ".join(refs) or "none" for refs in told]
        yield _changed("base", "the base model", (words[0], words[1]), a, b, (told[0], told[1]))


def _code(a: Making, b: Making, run_a: Run, run_b: Run) -> Iterator[Difference]:
    mine, theirs = _mapping(run_a.code), _mapping(run_b.code)
    if mine.get("commit") and theirs.get("commit"):
        commits = str(mine["commit"]), str(theirs["commit"])
        if commits[0] != commits[1]:
            told = f"commit {commits[0][:10]}", f"commit {commits[1][:10]}"
            yield _changed("code", "the code", told, a, b, commits)
        edits = tuple(
            str(code.get("diff_digest") or "") if code.get("dirty") else None for code in (mine, theirs)
        )
        if edits[0] != edits[1]:
            words = tuple(
                "none" if edit is None else short_digest(edit) if edit else "some" for edit in edits
            )
            yield _changed(
                "code", "the uncommitted changes", (words[0], words[1]), a, b, (edits[0], edits[1])
            )
    entries = run_a.entry_point, run_b.entry_point
    if all(entries) and entries[0] != entries[1]:
        yield _changed("code", "the entry point", entries, a, b, entries)


def _parameters(a: Making, b: Making) -> Iterator[Difference]:
    mine, theirs = _own_parameters(a), _own_parameters(b)
    for key in sorted({*mine, *theirs}):
        left, right = mine.get(key), theirs.get(key)
        if left == right or _from_files(a, b, key):
            continue
        if left is not None and right is not None:
            yield _changed(
                "parameters", f"the parameter {key}", (_cut(left), _cut(right)), a, b, (left, right)
            )
        else:
            holder, other = (a, b) if right is None else (b, a)
            value = _cut(left if right is None else right)
            sentence = f"the parameter {key} is {value} in {holder.label}, not set in {other.label}"
            yield Difference("parameters", sentence, left, right)


def _own_parameters(side: Making) -> dict[str, str]:
    return {str(key): str(value) for key, value in side.parameters.items()}


def _from_files(a: Making, b: Making, key: str) -> bool:
    """Whether a parameter is only what the configuration files say, whose difference is told by itself."""
    return all(
        (key in side.parameters) == (key in values) and str(side.parameters.get(key)) == str(values.get(key))
        for side, values in ((a, _config_values(a)), (b, _config_values(b)))
    )


def _config_values(side: Making) -> Mapping[str, Any]:
    return _mapping(_mapping(side.run.config if side.run else None).get("values"))


def _command(a: Making, b: Making) -> Iterator[Difference]:
    """The command line, where no parameter tells it already.

    Folders in it are where it ran, not what it ran; a word that names a dataset, a base or the configuration
    file says nothing more than these do.
    """
    commands = [_words(side) for side in (a, b)]
    if all(commands) and commands[0][1:] != commands[1][1:]:
        told = _cut(" ".join(commands[0])), _cut(" ".join(commands[1]))
        yield _changed("parameters", "the command", told, a, b, (commands[0], commands[1]))


def _words(side: Making) -> list[str]:
    if side.run is None:
        return []
    config = str(_mapping(side.run.config).get("path") or "")
    named = {_bare(name) for name in (config, *(i.name for i in side.inputs))}
    named |= {base.reference for base in side.bases}
    words = [str(word) for word in side.run.command]
    return [
        word if word.startswith("-") else _bare(word)
        for word in words
        if word not in named and _bare(word.rpartition("=")[2]) not in named
    ]


def _bare(word: str) -> str:
    return PurePosixPath(word).name or word


def _config(a: Making, b: Making, run_a: Run, run_b: Run) -> Iterator[Difference]:
    mine, theirs = _mapping(run_a.config), _mapping(run_b.config)
    digests = str(mine.get("digest") or ""), str(theirs.get("digest") or "")
    if digests[0] == digests[1]:
        return
    left, right = _config_values(a), _config_values(b)
    keys = [key for key in sorted({*left, *right}) if left.get(key) != right.get(key)]
    told = [
        "; ".join(
            [f"{key} = {_cut(str(values.get(key, 'not set')))}" for key in keys[:5]] + ["…"] * (len(keys) > 5)
        )
        or (short_digest(digest) if digest else "none")
        for values, digest in ((left, digests[0]), (right, digests[1]))
    ]
    name = mine.get("path") or theirs.get("path") or ""
    yield _changed(
        "config",
        f"the configuration {name}".rstrip(),
        (told[0], told[1]),
        a,
        b,
        (mine or None, theirs or None),
    )


def _environment(a: Making, b: Making, run_a: Run, run_b: Run) -> Iterator[Difference]:
    mine, theirs = _mapping(run_a.environment), _mapping(run_b.environment)
    yield from _packages(a, b, _mapping(mine.get("packages")), _mapping(theirs.get("packages")))
    for key, what in (
        ("python", "the interpreter"),
        ("image_digest", "the container image"),
        ("os", "the operating system"),
    ):
        left, right = mine.get(key), theirs.get(key)
        if left and right and left != right:
            yield _changed("environment", what, (_cut(str(left)), _cut(str(right))), a, b, (left, right))
    hardware = _mapping(mine.get("hardware")), _mapping(theirs.get("hardware"))
    for key in sorted({*hardware[0]} & {*hardware[1]}):
        left, right = hardware[0][key], hardware[1][key]
        if left != right:
            yield _changed(
                "environment",
                f"the hardware ({key})",
                (_cut(str(left)), _cut(str(right))),
                a,
                b,
                (left, right),
            )


def _packages(
    a: Making, b: Making, mine: Mapping[str, Any], theirs: Mapping[str, Any]
) -> Iterator[Difference]:
    if not mine or not theirs:
        return
    for name in sorted({*mine, *theirs}):
        left, right = mine.get(name), theirs.get(name)
        if left != right:
            told = str(left or "not installed"), str(right or "not installed")
            yield _changed("environment", f"the package {name}", told, a, b, (left, right))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _cut(value: Any) -> str:
    text = str(value)
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"
