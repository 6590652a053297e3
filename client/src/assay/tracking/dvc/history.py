"""The history of a DVC repository: each commit that changed what DVC recorded, as steps, data and metrics."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from assay.tracking import git
from assay.tracking.dvc import trees
from assay.tracking.dvc.contents import Contents
from assay.tracking.dvc.files import Pipeline, Stage, parse, read
from assay.tracking.dvc.steps import EXPERIMENT, Source, Teller, origin
from assay.tracking.dvc.trees import Commit
from assay.tracking.outcome import number
from assay.tracking.redaction import Redactor

# Steps and datasets of one call; the registry takes more.
_AT_ONCE = 100
_MOST_METRICS = 1000


class NoPipeline(Exception):
    """There is nothing of DVC's to import; the text says why, and what would be."""


class Registry(Protocol):
    """The call of `assay.Client` that an import makes."""

    def record_steps(self, namespace: str, **facts: Any) -> dict[str, Any]: ...


@dataclass
class Report:
    """What was found, what of it was new to the registry, and what could not be taken, in sentences."""

    commits: int = 0
    stages: int = 0
    data: set[tuple[str, str]] = field(default_factory=set)
    proven: set[tuple[str, str]] = field(default_factory=set)
    metrics: int = 0
    new: dict[str, int] = field(default_factory=lambda: {"steps": 0, "datasets": 0, "digests": 0})
    problems: dict[str, int] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """As it is printed for programs."""
        return {
            "commits": self.commits,
            "stages": self.stages,
            "data": len(self.data),
            "with_sha256": len(self.proven),
            "metrics": self.metrics,
            "new": self.new,
            "problems": [{"sentence": each, "commits": count} for each, count in self.problems.items()],
        }


class Import:
    """One import. `find` raises NoPipeline, GitFailed, NoYaml; `run` also what the registry's call raises."""

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self._redactor = redactor
        self.root = self._root(folder)
        self.report = Report()
        self._steps: list[dict[str, Any]] = []
        self._datasets: list[dict[str, Any]] = []
        self._told: set[str] = set()
        self._kept: set[tuple[str, str]] = set()

    def find(self, most: int | None) -> list[Commit]:
        """The newest `most` commits to import, or all, oldest first."""
        found = trees.commits(self.root, most)
        if not found:
            raise NoPipeline(f"No commit of {self.root} has a `dvc.lock` or a `.dvc` file.")
        return found

    def run(
        self,
        commits: Sequence[Commit],
        namespace: str,
        registry: Registry | None,
        progress: Callable[[Commit], None] = lambda commit: None,
    ) -> Report:
        """Tell the registry, or nobody: then the report says what would be told."""
        remote = self._redactor.text(git.remote(self.root) or "")
        name = origin(remote, trees.first_commit(self.root))
        contents = Contents(self.root, _dvc_folder(self.root))
        for commit in commits:
            when = f"the time and the code are those of commit {commit.sha[:10]}, from which it was read"
            code = {"commit": commit.sha, "remote": remote}
            self._take(commit, Source(name, code, commit.at, when), contents)
            if len(self._steps) + len(self._datasets) >= _AT_ONCE:
                self._send(namespace, registry, name)
            self.report.commits += 1
            progress(commit)
        self._send(namespace, registry, name)
        if not (self.report.stages or self.report.data):
            raise NoPipeline(f"{self.root} has no `dvc.lock` and no `.dvc` file that could be read.")
        return self.report

    def _take(self, commit: Commit, source: Source, contents: Contents) -> None:
        pipeline = read(commit)
        teller = Teller(pipeline, source, contents, self._redactor, commit)
        for stage in pipeline.stages:
            key = stage.key(source.origin)
            if key in self._told:
                continue
            self._told.add(key)
            metrics = dict(self._metrics(commit, stage, contents))
            step = teller.step(stage, dict(list(metrics.items())[:_MOST_METRICS]))
            self._steps.append(step)
            self.report.stages += 1
            self.report.metrics += len(step["metrics"])
            self._count(step["uses"])
            for note in step["notes"][2:]:
                self._problem(f"{stage.address}: {note}")
        self._take_kept(pipeline, teller)
        for sentence in [*map(self._redactor.text, pipeline.problems), *teller.problems]:
            self._problem(sentence)

    def _take_kept(self, pipeline: Pipeline, teller: Teller) -> None:
        for each in pipeline.kept:
            if not each.item.foreign:
                self._problem(f"`{self._redactor.text(each.file)}` has no MD5 of its data.")
            elif (each.item.path, each.item.foreign) not in self._kept:
                self._kept.add((each.item.path, each.item.foreign))
                use = teller.kept(each.item)
                self._datasets.append(use)
                self._count([use])

    def _count(self, uses: Sequence[Mapping[str, Any]]) -> None:
        for use in uses:
            self.report.data.add((use["name"], use["foreign_digest"]))
            if use.get("digest"):
                self.report.proven.add((use["name"], use["foreign_digest"]))

    def _metrics(self, commit: Commit, stage: Stage, contents: Contents) -> Iterator[tuple[str, float]]:
        for path in stage.metrics:
            item = next(each for each in stage.outs if each.path == path)
            content = commit.read(path) or (contents.read(item) if item.md5 else None)
            if content is None:
                self._problem(
                    f"The metrics `{self._redactor.text(path)}` are neither in Git nor in DVC's cache."
                )
                continue
            values = dict(numbers(content, path))
            if not values:
                self._problem(f"The metrics `{self._redactor.text(path)}` hold no numbers that can be read.")
            prefix = f"{PurePosixPath(path).stem}." if len(stage.metrics) > 1 else ""
            yield from ((prefix + key, value) for key, value in values.items())

    def _send(self, namespace: str, registry: Registry | None, name: str) -> None:
        steps, datasets = self._steps, self._datasets
        self._steps, self._datasets = [], []
        while (steps or datasets) and registry is not None:
            answer = registry.record_steps(
                namespace, experiment=EXPERIMENT, origin=name, steps=steps[:_AT_ONCE], datasets=datasets[:_AT_ONCE]
            )  # fmt: skip
            for what, count in answer["new"].items():
                self.report.new[what] += count
            steps, datasets = steps[_AT_ONCE:], datasets[_AT_ONCE:]

    def _problem(self, sentence: str) -> None:
        self.report.problems[sentence] = self.report.problems.get(sentence, 0) + 1

    def _root(self, folder: Path) -> Path:
        found = git.inspect(folder)
        if found is None:
            raise NoPipeline(f"{folder} is in no Git repository: an import reads what Git and DVC recorded.")
        if found.commit is None:
            raise NoPipeline(f"{found.root} has no commit yet.")
        return found.root


def numbers(content: bytes, path: str) -> Iterator[tuple[str, float]]:
    """The numbers in a file of metrics, JSON, TOML or YAML, under dotted names."""
    values: Any = None
    try:
        if path.endswith(".json"):
            values = json.loads(content)
        elif path.endswith(".toml"):
            values = tomllib.loads(content.decode())
        else:
            values = parse(content)
    except ValueError:
        return
    yield from _numbers(values, "")


def _numbers(values: Any, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _numbers(value, f"{name}.{key}" if name else str(key))
    elif name and (found := number(values)) is not None:
        yield name, found


def _dvc_folder(root: Path) -> Path:
    """Where DVC keeps its settings: at the root, or in the folder of it in which DVC was begun."""
    if (root / ".dvc").is_dir():
        return root / ".dvc"
    return next((each for each in sorted(root.glob("*/.dvc")) if each.is_dir()), root / ".dvc")
