"""Stages as the registry takes them: steps that are told from every other, joined by what they used."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from assay.tracking.dvc.contents import Contents, md5s
from assay.tracking.dvc.files import Item, Pipeline, Stage, makers_of
from assay.tracking.dvc.trees import Tree
from assay.tracking.redaction import Redactor
from assay.tracking.sending import writable

EXPERIMENT = "dvc"
# What the registry takes of one step.
_MOST_USES, _MOST_NOTES, _LONGEST_NAME = 1000, 200, 500
_SCP = re.compile(r"(?:[^\s@/]+@)?([^\s:/]+):(?!/)(.+)")
_URL = re.compile(r"[a-z][a-z0-9+.\-]*://(?:[^/@]*@)?([^/:]+)(?::\d+)?/(.+)", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """Where a pipeline was read: what tells the repository from others, the code, the time as ISO 8601, in words."""

    origin: str
    code: Mapping[str, Any] | None
    at: str
    when: str


@dataclass
class Teller:
    """Makes the steps of one pipeline. What it could not find goes into `problems`."""

    pipeline: Pipeline
    source: Source
    contents: Contents
    redactor: Redactor
    tree: Tree
    problems: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.makers = {item.path: stage for stage in self.pipeline.stages for item in stage.outs}
        self._inner: dict[str, dict[str, Item]] = {}  # of a stage, files in its folders that others name
        for stage in self.pipeline.stages:
            for dep in stage.deps:
                self._find_inner(dep)

    def step(self, stage: Stage, metrics: Mapping[str, float] | None = None) -> dict[str, Any]:
        """One of the `steps` as they are sent."""
        notes = [
            f"Recorded from DVC's files: when it ran, and for how long, is not known; {self.source.when}.",
            "The packages and the machine that it ran with are not recorded.",
        ]
        uses: list[dict[str, Any]] = []
        scripts: dict[str, str] = {}
        for dep in stage.deps:
            if dep.path in self.tree.tracked:
                name = self.redactor.text(dep.path)
                scripts[name] = dep.foreign
                content = self.tree.read(dep.path)
                if content is None or dep.md5 not in md5s(content, text=dep.text):
                    notes.append(f"`{name}` is not there as it was when the stage ran.")
                continue
            uses += self._used(dep, notes)
        for out in [*stage.outs, *self._inner.get(stage.address, {}).values()]:
            if out.foreign:
                uses.append(self._use(out, "output"))
            else:
                notes.append(f"`{self.redactor.text(out.path)}` was written; its content is in no digest.")
        if len(uses) > _MOST_USES:
            notes.append(f"{len(uses) - _MOST_USES} of its files are not recorded: at most {_MOST_USES} are.")
        code = self.source.code
        return {
            "key": stage.key(self.source.origin),
            "name": self.redactor.text(stage.name)[:_LONGEST_NAME],
            "at": self.source.at,
            "entry_point": self.redactor.text(stage.address)[:1000],
            "command": self._command(stage),
            "code": {**code, "files": scripts} if code is not None else None,
            "parameters": self.redactor.mapping(dict(stage.parameters)),
            "metrics": {self.redactor.text(key): writable(value) for key, value in (metrics or {}).items()},
            "uses": uses[:_MOST_USES],
            "notes": notes[:_MOST_NOTES],
        }

    def kept(self, item: Item) -> dict[str, Any]:
        """One of the `datasets` as they are sent."""
        use = self._use(item, "input")
        del use["role"]
        return use

    def above(self, paths: Iterable[str]) -> list[Stage]:
        """The stages that made these, and those that made what they used, in the order of the pipeline."""
        wanted: dict[str, None] = {}
        waiting = list(paths)
        while waiting:
            for stage in makers_of(waiting.pop(), self.makers):
                if stage.address not in wanted:
                    wanted[stage.address] = None
                    waiting += [dep.path for dep in stage.deps]
        return [stage for stage in self.pipeline.stages if stage.address in wanted]

    def maker(self, path: str, foreign: str) -> Stage | None:
        """The stage that wrote this content at this path."""
        stage = self.makers.get(path)
        if stage is not None and any(o.path == path and o.foreign == foreign for o in stage.outs):
            return stage
        return next(
            (
                other
                for other in self.pipeline.stages
                if (found := self._inner.get(other.address, {}).get(path)) is not None
                and found.foreign == foreign
            ),
            None,
        )

    def inside(self, path: str) -> Item | None:
        """A file in a folder that DVC keeps, as the folder's listing has it. The stage that wrote the folder is
        known as its maker from then on."""
        above = posixpath.dirname(path)
        while above:
            stage = self.makers.get(above)
            outs = stage.outs if stage is not None else [k.item for k in self.pipeline.kept]
            folder = next((out for out in outs if out.path == above and out.is_folder), None)
            if folder is not None:
                md5 = (self.contents.listing(folder) or {}).get(path[len(above) + 1 :])
                if md5 is None:
                    return None
                found = Item(path, f"md5:{md5}", text=folder.text)
                if stage is not None:
                    self._inner.setdefault(stage.address, {})[path] = found
                return found
            above = posixpath.dirname(above)
        return None

    def _find_inner(self, dep: Item) -> None:
        if not dep.foreign or dep.path in self.makers:
            return
        found = self.inside(dep.path)
        if found is None and any(dep.path.startswith(f"{path}/") for path in self.makers):
            self._problem(f"`{dep.path}` lies in a folder whose listing is not in DVC's cache.")
        elif found is not None and found.foreign != dep.foreign:
            self._problem(f"`{dep.path}` is not what its folder holds: another run of the stage wrote it.")

    def _used(self, dep: Item, notes: list[str]) -> list[dict[str, Any]]:
        if not dep.foreign:
            notes.append(f"`{self.redactor.text(dep.path)}` was used; DVC recorded no digest of its content.")
            return []
        uses = [self._use(dep, "input")]
        if dep.is_folder and dep.path not in self.makers:
            # What other stages put into a folder is what was used of it, where the folder still held it.
            held = {path: stage for path, stage in self.makers.items() if path.startswith(f"{dep.path}/")}
            listed = (self.contents.listing(dep) if held else None) or {}
            for path, stage in held.items():
                out = next(each for each in stage.outs if each.path == path)
                if listed.get(path[len(dep.path) + 1 :]) == out.md5:
                    uses.append(self._use(out, "input"))
                elif not listed:
                    self._problem(
                        f"`{dep.path}` has no listing in DVC's cache: `{path}` may have been in it."
                    )
        return uses

    def _use(self, item: Item, role: str) -> dict[str, Any]:
        name = self.redactor.text(item.path)
        use: dict[str, Any] = {
            "name": name[:_LONGEST_NAME], "role": role, "foreign_digest": item.foreign, "source": name,
        }  # fmt: skip
        found = self.contents.of(item)
        size = found.size if found is not None else item.size
        optional = {"digest": found.digest if found is not None else None, "size": size, "files": item.files}
        use |= {key: value for key, value in optional.items() if value is not None}
        if role == "input" and (maker := self.maker(item.path, item.foreign)) is not None:
            use["step"] = maker.key(self.source.origin)
        return use

    def _command(self, stage: Stage) -> list[str]:
        """As DVC runs it, by the shell; each of several commands after the one before has done its work."""
        said = " && ".join(command for command in stage.commands if command)
        return ["/bin/sh", "-c", self.redactor.text(said)] if said else []

    def _problem(self, sentence: str) -> None:
        self.problems[self.redactor.text(sentence)] = None


def origin(remote: str, first_commit: str) -> str:
    """What tells a repository from others, the same for all its clones: its address without scheme, user and port.

    One that has no remote, or one on this machine, goes by its first commit.
    """
    found = _URL.fullmatch(remote) or (_SCP.fullmatch(remote) if "://" not in remote else None)
    if found is None or remote.lower().startswith("file:"):
        return f"commit {first_commit}"
    return f"{found[1].lower()}/{found[2].strip('/').removesuffix('.git')}"
