"""What a run read, joined to what DVC says of it: by which stages it was made, and what DVC calls it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from assay.tracking.completeness import Completeness
from assay.tracking.datasets import Use
from assay.tracking.dvc import trees
from assay.tracking.dvc.contents import Content, Contents, prove
from assay.tracking.dvc.files import Item, Stage, read
from assay.tracking.dvc.steps import EXPERIMENT, Source, Teller, origin
from assay.tracking.git import Repository
from assay.tracking.redaction import Redactor

# Bytes of a file further up that is read for its sha256; of a larger one DVC's digest alone is recorded.
_MOST_ABOVE = 16 << 20
# Steps of one call; the registry takes more.
_AT_ONCE = 100


def folder_of(repository: Repository | None, start: Path) -> Path | None:
    """The `.dvc` folder of the repository that code lies in; None when it is none of DVC's."""
    if repository is None:
        return None
    root = repository.root.resolve()
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / ".dvc").is_dir():
            return folder / ".dvc"
        if folder == root:
            break
    return None


class Pipeline:
    """A DVC pipeline as it was when a run began: what it reads had been made by then."""

    def __init__(
        self, folder: Path, repository: Repository, redactor: Redactor, completeness: Completeness
    ) -> None:
        self._root, self._redactor, self._completeness = repository.root, redactor, completeness
        tree = trees.WorkTree(self._root, repository.tracked)
        found = read(tree)
        self._contents = Contents(self._root, folder, most=_MOST_ABOVE)
        self._teller = Teller(found, self._source(repository, tree), self._contents, redactor, tree)
        self._items = {item.path: item for stage in found.stages for item in stage.outs if item.foreign}
        self._items |= {kept.item.path: kept.item for kept in found.kept if kept.item.foreign}
        self._told: set[str] = set()

    def join(self, uses: Sequence[Use], namespace: str) -> tuple[list[dict[str, Any]], list[Use]]:
        """Calls that record the stages above these datasets, and the datasets with what DVC says of them."""
        joined = [self._joined(use) if use.role == "input" else use for use in uses]
        paths = [use.source for use in joined if use.step]
        wanted = [stage for stage in self._teller.above(paths) if self._is_new(stage)]
        steps = [self._teller.step(stage) for stage in wanted]
        for sentence in self._teller.problems:
            self._completeness.incomplete(sentence)
        self._teller.problems.clear()
        said = {"namespace": namespace, "experiment": EXPERIMENT, "origin": self._teller.source.origin}
        calls = [{**said, "steps": steps[at : at + _AT_ONCE]} for at in range(0, len(steps), _AT_ONCE)]
        return calls, joined

    def _joined(self, use: Use) -> Use:
        item = self._items.get(use.source) or (self._teller.inside(use.source) if use.source else None)
        if item is None or not use.digest.startswith("sha256:"):
            return use
        if (found := self._proven(item, use)) is None:
            self._completeness.incomplete(
                f"`{use.name}` is not what DVC's files say that it is, so what made it is not known; "
                "`dvc repro` or `dvc checkout` makes them agree."
            )
            return use
        self._contents.know(item, found)
        maker = self._teller.maker(item.path, item.foreign)
        key = maker.key(self._teller.source.origin) if maker is not None else ""
        return replace(use, foreign_digest=item.foreign, step=key)

    def _proven(self, item: Item, use: Use) -> Content | None:
        if item.is_folder:
            found = Contents(self._root, self._contents.folder).of(item)
        else:
            if item.size is not None and use.size is not None and item.size != use.size and not item.text:
                return None
            found = prove(self._root / item.path, item)
        return found if found is not None and found.digest == use.digest else None

    def _is_new(self, stage: Stage) -> bool:
        """Whether it is still to be told, with all that is known of its data: once a run, and again for more."""
        told = f"{stage.address} {sorted(self._contents.known(stage.outs))}"
        if told in self._told:
            return False
        self._told.add(told)
        return True

    def _source(self, repository: Repository, tree: trees.WorkTree) -> Source:
        locks = [path for path in tree.dvc_files if path.endswith("dvc.lock")]
        first = trees.first_commit(self._root) if repository.commit is not None else ""
        name = origin(self._redactor.text(repository.remote or ""), first)
        code = repository.facts(self._redactor)
        if locks and (commit := trees.last_change(self._root, locks)) is not None:
            return Source(
                name,
                {"commit": commit.sha, "remote": code["remote"]},
                commit.at,
                "the time and the code are those of the newest commit of its `dvc.lock`",
            )
        newest = max((self._modified(path) for path in locks), default=0.0)
        at = dt.datetime.fromtimestamp(newest, dt.UTC).isoformat()
        return Source(
            name, code, at, "the time is that of its `dvc.lock`, the code that of the run which told it"
        )

    def _modified(self, path: str) -> float:
        try:
            return (self._root / path).stat().st_mtime
        except OSError:
            return 0.0
