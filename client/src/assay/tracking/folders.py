"""Folders of many files as one dataset each: a manifest of what was read of them.

The digest of a manifest is sha256 over

    b"assay folder-v1\\n"
    for every file, in the order of its path's bytes, a line of compact JSON: [path in the folder, size, sha256]

so it says nothing of files that were not read, and changes when a file that was read is changed, renamed or left out.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Collection, Iterable

# From this many files on a folder is recorded as one dataset.
MANY = 100


def folder_digest(files: Iterable[tuple[str, int, str]]) -> str:
    """`sha256:<hex>` for paths, sizes in bytes, and digests as `sha256:<hex>`."""
    whole = hashlib.sha256(b"assay folder-v1\n")
    for path, size, digest in sorted(files, key=lambda file: os.fsencode(file[0])):
        whole.update(json.dumps([path, size, digest], separators=(",", ":")).encode() + b"\n")
    return f"sha256:{whole.hexdigest()}"


def gather(paths: Collection[str], tops: Collection[str], splits: Collection[str]) -> dict[str, list[str]]:
    """The folders that stand for their files, with these; files of other folders are left out.

    A folder of more than MANY files stands for them. Folders that lie side by side and hold nothing but files are the
    classes of one set of images, and their parent stands for all of them. What is left over of a tree and is still
    more than MANY is gathered where it meets. Folders called like a split (`train`, `test`) are kept apart.
    """
    if len(paths) <= MANY:
        return {}
    tree = _Tree(paths, frozenset(top.rstrip(os.sep) for top in tops), frozenset(splits))
    for top in tree.starts:
        tree.visit(top)
    return tree.chosen


class _Tree:
    def __init__(self, paths: Collection[str], tops: frozenset[str], splits: frozenset[str]) -> None:
        self.chosen: dict[str, list[str]] = {}
        self.starts: set[str] = set()
        self._tops, self._splits = tops, splits
        self._files: dict[str, list[str]] = defaultdict(list)
        self._inner: dict[str, set[str]] = defaultdict(set)
        for path in paths:
            self._files[os.path.dirname(path)].append(path)
        for folder in list(self._files):
            self._join(folder)

    def visit(self, folder: str) -> list[str]:
        """The files in and under a folder that no folder stands for yet."""
        own = list(self._files.get(folder, ()))
        inner = sorted(self._inner.get(folder, ()))
        if len(own) > MANY:
            self.chosen[folder], own = own, []
        elif self._is_set(folder, inner) and sum(len(self._files[each]) for each in inner) > MANY:
            self.chosen[folder] = [path for each in inner for path in self._files[each]]
            return []
        rests = {each: self.visit(each) for each in inner}
        left = own + [path for rest in rests.values() for path in rest]
        if len(left) <= MANY or folder in self.chosen:
            return left
        if any(self._is_split(each) for each in inner):
            self.chosen.update({each: rest for each, rest in rests.items() if len(rest) > 1})
            return own + [path for rest in rests.values() if len(rest) == 1 for path in rest]
        self.chosen[folder] = left
        return []

    def _join(self, folder: str) -> None:
        """Tell every folder above of the one below, up to where the run looks."""
        while folder not in self._tops:
            above = os.path.dirname(folder)
            if above == folder or folder in self._inner.get(above, ()):
                break
            self._inner[above].add(folder)
            folder = above
        if folder in self._tops or os.path.dirname(folder) == folder:
            self.starts.add(folder)

    def _is_set(self, folder: str, inner: list[str]) -> bool:
        if folder in self._tops or self._files.get(folder) or len(inner) < 2:
            return False
        return not any(self._inner.get(each) or self._is_split(each) for each in inner)

    def _is_split(self, folder: str) -> bool:
        return os.path.basename(folder).lower() in self._splits
