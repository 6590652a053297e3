"""The files of a repository: as they lie in the work tree, and as a commit has them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

from assay.tracking.git import GitFailed, ask

# A file of DVC's, or of metrics, that is larger is none.
MOST_BYTES = 64 << 20
DVC_FILES = ("*.dvc", "dvc.yaml", "dvc.lock", "*/dvc.yaml", "*/dvc.lock")


class Tree(Protocol):
    """Paths are relative to the repository's root, with `/`."""

    @property
    def tracked(self) -> frozenset[str]:
        """What Git has."""

    @property
    def dvc_files(self) -> list[str]:
        """The files that DVC wrote or reads."""

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None when it is not there, or too large."""


@dataclass(frozen=True)
class WorkTree:
    """The files as they lie there now."""

    root: Path
    tracked: frozenset[str]

    @cached_property
    def dvc_files(self) -> list[str]:
        listed = ask(
            self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *DVC_FILES
        )
        return sorted(set(_paths(listed)))

    def read(self, path: str) -> bytes | None:
        try:
            with (self.root / path).open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError:
            return None
        return content if len(content) <= MOST_BYTES else None


@dataclass(frozen=True)
class Commit:
    """The files of a commit. `at` is when it was committed, as ISO 8601."""

    root: Path
    sha: str
    at: str

    @cached_property
    def _blobs(self) -> dict[str, str]:
        lines = _paths(ask(self.root, "ls-tree", "-r", "-z", "--full-tree", self.sha))
        return {path: said.split()[2] for said, _, path in (line.partition("\t") for line in lines)}

    @cached_property
    def tracked(self) -> frozenset[str]:
        return frozenset(self._blobs)

    @property
    def dvc_files(self) -> list[str]:
        return sorted(
            path
            for path in self.tracked
            if path.endswith(".dvc") or path.rpartition("/")[2] in ("dvc.yaml", "dvc.lock")
        )

    def read(self, path: str) -> bytes | None:
        blob = self._blobs.get(path)
        return _blob(self.root, blob) if blob is not None else None


def commits(root: Path, most: int | None) -> list[Commit]:
    """The newest `most` commits before HEAD, itself included, that changed what DVC recorded, oldest first.

    Raises GitFailed.
    """
    limit = [] if most is None else [f"--max-count={most}"]
    changed = ("--full-history", "--", *(f":(glob)**/{name}" for name in ("dvc.lock", "*.dvc")))
    lines = ask(root, "log", "--format=%H %cI", *limit, "HEAD", *changed).decode().splitlines()
    return [Commit(root, *line.split(" ", 1)) for line in reversed(lines)]


def first_commit(root: Path) -> str:
    """What tells a repository without a remote from others. Raises GitFailed."""
    return ask(root, "rev-list", "--max-parents=0", "HEAD").decode().split()[-1]


def last_change(root: Path, paths: Sequence[str]) -> Commit | None:
    """The newest commit that changed one of these files, which have no changes that are not committed; else None."""
    try:
        if ask(root, "status", "--porcelain", "--", *paths):
            return None
        found = ask(root, "log", "-1", "--format=%H %cI", "--", *paths).decode().strip()
    except (GitFailed, subprocess.SubprocessError):
        return None
    return Commit(root, *found.split(" ", 1)) if found else None


@lru_cache(maxsize=256)
def _blob(root: Path, blob: str) -> bytes | None:
    """Files that commits have in common are read once."""
    try:
        if int(ask(root, "cat-file", "-s", blob)) > MOST_BYTES:
            return None
        return ask(root, "cat-file", "blob", blob)
    except (GitFailed, ValueError):
        return None


def _paths(answer: bytes) -> list[str]:
    return [path.decode(errors="surrogateescape") for path in answer.split(b"\0") if path]
