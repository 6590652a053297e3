"""`dvc.yaml`, `dvc.lock` and `*.dvc`, read: stages, what they used and wrote, and data that is only kept."""

from __future__ import annotations

import hashlib
import importlib
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from assay.tracking.configuration import flatten
from assay.tracking.dvc.trees import Tree
from assay.tracking.redaction import Redactor

_MD5 = re.compile(r"[0-9a-f]{32}")
_TEMPLATE = re.compile(r"\$\{.*?\}")
_DEFAULT_PARAMETERS = "params.yaml"


class NoYaml(Exception):
    """PyYAML is not installed, so that no file of DVC's can be read."""


@dataclass(frozen=True)
class Item:
    """A file or folder as DVC recorded it. `path` is from the repository's root, or an address.

    `foreign` is `md5:<hex>`, `md5-dir:<hex>` of a folder's listing, or "" where DVC recorded no MD5. `text` is
    whether DVC took line ends for one before it hashed, as it did before its release 3.
    """

    path: str
    foreign: str = ""
    size: int | None = None
    files: int | None = None
    text: bool = False

    @property
    def md5(self) -> str:
        return self.foreign.rpartition(":")[2]

    @property
    def is_folder(self) -> bool:
        return self.foreign.startswith("md5-dir:")


@dataclass(frozen=True)
class Stage:
    """A stage as the lock has it, or data that was imported. `address` is `dvc.yaml:train`, or a `.dvc` file."""

    address: str
    entry: Mapping[str, Any] = field(repr=False)
    commands: tuple[str, ...] = ()
    deps: tuple[Item, ...] = ()
    outs: tuple[Item, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.address.rpartition(":")[2]

    def key(self, origin: str) -> str:
        """What tells this execution from every other: 64 hexadecimal digits."""
        # A secret in it could be guessed from the digest. Nothing of this machine takes part: it is the same on all.
        redactor = Redactor({})
        hidden = {
            "cmd": [redactor.text(each) for each in self.commands],
            "params": redactor.mapping(self.parameters),
        }
        told = json.dumps([origin, self.address, {**self.entry, **hidden}], sort_keys=True, default=str)
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True)
class Kept:
    """Data that a `.dvc` file tracks."""

    item: Item
    file: str


@dataclass
class Pipeline:
    """What the files of one tree say. Stages come after those whose outputs they use."""

    stages: list[Stage] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read(tree: Tree) -> Pipeline:
    """Raises NoYaml, GitFailed. A file that cannot be read is a problem that is told, with its name."""
    found = Pipeline()
    declared: dict[str, Mapping[str, Any]] = {}
    for path in sorted(tree.dvc_files, key=lambda path: not path.endswith("dvc.yaml")):
        content = tree.read(path)
        if content is None:
            continue
        parsed = parse(content)
        if not isinstance(parsed, Mapping):
            if content.strip():
                found.problems.append(f"`{path}` is not understood.")
            continue
        match posixpath.basename(path):
            case "dvc.yaml":
                declared[path] = parsed
            case "dvc.lock":
                _lock(path, parsed, declared.get(_beside(path, "dvc.yaml"), {}), found)
            case _:
                _dvc_file(path, parsed, found)
    for path, values in declared.items():
        if values.get("stages") and tree.read(_beside(path, "dvc.lock")) is None:
            found.problems.append(f"`{path}` has no `dvc.lock`: its stages have not been run.")
    found.stages = ordered(found.stages)
    return found


def parse(content: bytes) -> Any:
    """YAML as plain values; None for what is none. Raises NoYaml."""
    try:
        yaml = importlib.import_module("yaml")
    except ImportError as error:
        raise NoYaml("PyYAML is not installed, so the files of DVC cannot be read") from error
    try:
        return yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except Exception:  # noqa: BLE001 - the parser's own errors, and those of values it makes
        return None


def ordered(stages: list[Stage]) -> list[Stage]:
    """Each after those whose outputs it uses; otherwise as they stand. DVC allows no circles."""
    makers = {item.path: stage for stage in stages for item in stage.outs}
    done: dict[str, Stage] = {}

    def visit(stage: Stage, above: frozenset[str]) -> None:
        if stage.address in done or stage.address in above:
            return
        for dep in stage.deps:
            for maker in makers_of(dep.path, makers):
                visit(maker, above | {stage.address})
        done[stage.address] = stage

    for stage in stages:
        visit(stage, frozenset())
    return list(done.values())


def makers_of(path: str, makers: Mapping[str, Stage]) -> Iterator[Stage]:
    """The stages that wrote a path, a folder that it lies in, or something in it."""
    above = path
    while above:
        if above in makers:
            yield makers[above]
        above = posixpath.dirname(above)
    for other, stage in makers.items():
        if other.startswith(f"{path}/"):
            yield stage


def _lock(path: str, lock: Mapping[str, Any], declared: Mapping[str, Any], found: Pipeline) -> None:
    # Without a schema the names of the stages are the keys, as DVC 1 wrote them.
    entries = lock.get("stages") if "schema" in lock else lock
    if not isinstance(entries, Mapping):
        return
    yaml = _beside(path, "dvc.yaml")
    stages = declared.get("stages")
    for name, entry in entries.items():
        says = stages.get(str(name).partition("@")[0]) if isinstance(stages, Mapping) else None
        says = says if isinstance(says, Mapping) else {}
        says = says["do"] if isinstance(says.get("do"), Mapping) else says
        if not isinstance(entry, Mapping):
            found.problems.append(f"The stage `{name}` of `{path}` is not understood.")
            continue
        folder = _folder(path, says.get("wdir"))
        if folder is None:
            found.problems.append(f"The stage `{name}` of `{yaml}` works in a folder that is a template.")
            continue
        command = entry.get("cmd")
        outs = _items(entry.get("outs"), folder)
        measured = [
            _pattern(posixpath.join(folder, each))
            for source in (says.get("metrics"), declared.get("metrics"))
            for each in _paths(source)
        ]
        found.stages.append(
            Stage(
                address=f"{yaml}:{name}",
                entry=entry,
                commands=tuple(map(str, command)) if isinstance(command, list) else (str(command or ""),),
                deps=_items(entry.get("deps"), folder),
                outs=outs,
                parameters=_parameters(entry.get("params")),
                metrics=tuple(o.path for o in outs if any(each.fullmatch(o.path) for each in measured)),
            )
        )


def _dvc_file(path: str, values: Mapping[str, Any], found: Pipeline) -> None:
    folder = _folder(path, values.get("wdir"))
    outs = _items(values.get("outs"), folder or "")
    if not outs or folder is None:
        found.problems.append(f"`{path}` names no data.")
        return
    if not values.get("deps"):
        found.kept += [Kept(item, path) for item in outs]
        return
    parameters, deps = {}, []
    for dep in values["deps"] if isinstance(values["deps"], list) else []:
        if isinstance(dep, Mapping) and isinstance(dep.get("repo"), Mapping):
            parameters.update(flatten({"path": dep.get("path", ""), **dep["repo"]}))
        elif isinstance(dep, Mapping):
            deps.append(dep)
    found.stages.append(
        Stage(
            address=path,
            entry=values,
            deps=_items(deps, folder),
            outs=outs,
            parameters=parameters,
        )
    )


def _items(listed: Any, folder: str) -> tuple[Item, ...]:
    if not isinstance(listed, list):
        return ()
    return tuple(_item(each, folder) for each in listed if isinstance(each, Mapping) and each.get("path"))


def _item(said: Mapping[str, Any], folder: str) -> Item:
    path = str(said["path"])
    digest, dot, kind = str(said.get("md5") or "").partition(".")
    foreign = ""
    if _MD5.fullmatch(digest) and (not dot or kind == "dir"):
        foreign = f"md5-dir:{digest}" if dot else f"md5:{digest}"
    return Item(
        path=path if "://" in path else posixpath.normpath(posixpath.join(folder, path)),
        foreign=foreign,
        size=_count(said.get("size")),
        files=_count(said.get("nfiles")),
        # Since its release 3 DVC says which way it hashed.
        text=said.get("hash") is None,
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _parameters(said: Any) -> dict[str, str]:
    """By their names in `params.yaml`; those of other files after the file's name."""
    found: dict[str, str] = {}
    for file, values in said.items() if isinstance(said, Mapping) else ():
        if isinstance(values, Mapping):
            prefix = "" if file == _DEFAULT_PARAMETERS else f"{file}:"
            found |= {f"{prefix}{key}": value for key, value in flatten(values).items()}
    return found


def _paths(listed: Any) -> Iterator[str]:
    """The paths in a list of `metrics`, where an entry is a path or `{path: {cache: false}}`."""
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, Mapping):
            yield from map(str, each)
        else:
            yield str(each)


def _pattern(path: str) -> re.Pattern[str]:
    """What a path of `dvc.yaml` may have become: what is a template there is anything."""
    parts = _TEMPLATE.split(posixpath.normpath(path))
    return re.compile(".*".join(map(re.escape, parts)))


def _folder(path: str, wdir: Any) -> str | None:
    """The folder that paths are relative to; None where it is known to DVC only."""
    if isinstance(wdir, str) and "${" in wdir:
        return None
    return posixpath.join(posixpath.dirname(path), wdir) if isinstance(wdir, str) else posixpath.dirname(path)


def _beside(path: str, name: str) -> str:
    return posixpath.join(posixpath.dirname(path), name)
