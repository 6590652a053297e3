"""The datasets of a run: files seen being read, files and tables named by hand or given as arguments."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assay.tracking import folders, observe
from assay.tracking.completeness import Completeness
from assay.tracking.frames import FrameDigest, digest_frame, is_frame
from assay.tracking.git import Repository
from assay.tracking.hasher import Hasher, RealPaths
from assay.tracking.hashing import DigestCache, HashedFile, hash_file, stamp
from assay.tracking.redaction import Redactor
from assay.tracking.tables import Table

_CONTEXTS = {
    "test": "test", "testing": "test", "holdout": "test", "heldout": "test", "held": "test", "eval": "test",
    "evaluation": "test", "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
}  # fmt: skip
_SPLITS = frozenset({"train", "training", *_CONTEXTS})
_SHOWN = 5
_LONGEST_NAME = 500
_LONGEST_QUERY = 300
_LONGEST_SOURCE = 4000
# A wider table is described by its digest alone.
_MOST_COLUMNS = 5000


def context_of(name: str) -> str:
    """What a dataset is for, by the words of its name: `x_test`, `data/valid.csv`; training if it says nothing."""
    for word in re.findall(r"[a-z]+", name.lower()):
        if word in _CONTEXTS:
            return _CONTEXTS[word]
    return "training"


@dataclass(frozen=True)
class Use:
    """One dataset as a run used it. `columns` and `rows` are None where they are not known."""

    name: str
    digest: str
    role: str = "input"
    context: str = "training"
    size: int | None = None
    rows: int | None = None
    columns: int | None = None
    schema: list[dict[str, str]] | None = None
    source: str = ""
    # what DVC calls the content, and the key of the stage that wrote it, where they are known
    foreign_digest: str = ""
    step: str = ""

    def facts(self) -> dict[str, Any]:
        """One of the `datasets` of a run, as it is sent."""
        answer = {
            "name": self.name[:_LONGEST_NAME], "digest": self.digest, "role": self.role, "context": self.context,
            "size": self.size, "rows": self.rows, "columns": self.columns, "schema": self.schema, "source": self.source,
            "foreign_digest": self.foreign_digest or None, "step": self.step or None,
        }  # fmt: skip
        return {key: value for key, value in answer.items() if value is not None}


class Datasets:
    """Finds out what a run read. `take` gives what is new since it was last asked."""

    def __init__(
        self, roots: list[Path], repository: Repository | None, redactor: Redactor, completeness: Completeness
    ) -> None:
        self._roots = [(os.path.abspath(root), os.path.realpath(root)) for root in roots]
        self._work_tree = os.path.realpath(repository.root) + os.sep if repository is not None else ""
        # asked now: it starts a process, and the audit hook may not
        self._tracked = repository.tracked if repository is not None else frozenset()
        self._redactor = redactor
        self._completeness = completeness
        self._hasher = Hasher(DigestCache(), self._is_tracked)
        self._paths = RealPaths()
        self._named: dict[str, tuple[str, str | None]] = {}  # real path -> name and context given by hand
        self._candidates: dict[
            str, observe.Seen
        ] = {}  # files given as arguments, whether or not they are seen read
        self._folders: dict[
            str, tuple[str, str]
        ] = {}  # real path of a folder named by hand -> name and context
        self._ready: list[Use] = []
        self._taken: dict[
            str, tuple[str, observe.Seen]
        ] = {}  # real path -> as it was called, and when opened
        self._not_data: set[str] = set()
        self.inputs = 0
        self.observer = observe.Observer(observe.Rules.under(roots), self._hasher.want, self._take_result)

    def start(self) -> None:
        self._hasher.start()
        observe.start(self.observer)

    def stop(self) -> None:
        observe.stop(self.observer)

    def leave_out(self, path: Path) -> None:
        """A file recorded as something else, a configuration, is not a dataset too."""
        self._not_data.add(os.path.realpath(path))

    def add_argument(self, path: Path, *, tracked_too: bool = False) -> None:
        """A file that the run was given: an input, unless the run turns out to write it.

        What Git tracks is in the commit, and a dataset only when it was named as one, `tracked_too`.
        """
        real = os.path.realpath(path)
        found = stamp(real)
        if tracked_too:
            self._tracked -= {real[len(self._work_tree) :]}
        if found is not None and not self._is_tracked(real):
            self._candidates[real] = observe.Seen(found, writable=False)
            self._hasher.want(real)

    def name(self, path: Path, name: str, context: str | None = None) -> None:
        """What a file is to be called when it is read."""
        self._named[os.path.realpath(path)] = (name, context)

    def use(self, name: str, source: object, *, context: str | None = None, role: str = "input") -> None:
        """Record a file or a table now, as it is now. Raises OSError, Undigestible, TypeError.

        Of a folder every file counts, read or not; one that is read is hashed meanwhile, and recorded by `take`.
        """
        chosen = context_of(name) if context is None else context
        if is_frame(source):
            self._ready.append(_frame_use(name, digest_frame(source), chosen, role))
        elif isinstance(source, str | os.PathLike) and os.path.isdir(source):
            self._use_folder(os.path.realpath(os.fsdecode(source)), name, chosen, role)
        elif isinstance(source, str | os.PathLike):
            path = os.path.realpath(os.fsdecode(source))
            hashed = self._hasher.result(path)
            if stamp(path) != hashed.stamp:  # it was hashed earlier, for another use
                hashed = hash_file(path, DigestCache())
            self._ready.append(self._file_use(path, hashed, name, chosen, role))
            if role == "input":
                self._named[path] = (name, chosen)
                self._taken[path] = (path, observe.Seen(hashed.stamp, writable=False))
            else:
                self._not_data.add(path)
        else:
            raise TypeError(f"a dataset is a path, a table or an array, not a {type(source).__name__}")

    def take(self) -> list[Use]:
        """The datasets found since the last call, hashed. Waits for the hashing."""
        self._hasher.finish()
        found = {path: (path, seen) for path, seen in self._candidates.items()}
        observed = set()
        for path, seen in list(self.observer.reads.items()):
            real = self._paths.of(path)
            if real not in self._taken and real not in self._not_data:
                found[real] = (path, seen)
                observed.add(real)
        new = {
            path: entry
            for path, entry in found.items()
            if path not in self._taken and path not in self._not_data and self._counts(path, path in observed)
        }
        for folder, (name, context) in self._folders.items():
            inside = [path for path in new if path.startswith(folder + os.sep)]
            self._take_folder(folder, {path: new.pop(path) for path in inside}, name, context)
        by_called = {called: path for path, (called, _) in new.items() if path not in self._named}
        for folder, files in folders.gather(by_called.keys(), self.observer.rules.roots, _SPLITS).items():
            name = self._redactor.text(self._relative(folder))
            members = {by_called[called]: new.pop(by_called[called]) for called in files}
            self._take_folder(folder, members, name, context_of(name))
        for path, (called, seen) in new.items():
            self._take_file(path, called, seen)
        self._hasher.start()
        ready, self._ready = self._ready, []
        self.inputs += sum(1 for use in ready if use.role == "input")
        return ready

    def check_unchanged(self) -> None:
        """At the end: every file must still be what it was when it was opened."""
        for path, (called, found) in self._taken.items():
            now = stamp(path)
            if now is None:
                self._completeness.incomplete(f"`{self._name(path, called)}` was read and is gone.")
            elif not now.same_content(found.stamp):
                self._completeness.incomplete(
                    f"`{self._name(path, called)}` changed after it was opened; its digest may not be what was read."
                )

    def report_foreign(self) -> None:
        """At the end: files that may be data were read where the run does not look."""
        written = self.observer.written
        paths = [path for path in self.observer.foreign if path not in written]
        paths = [path for path in paths if os.path.realpath(path) not in {*self._taken, *self._not_data}]
        if paths:
            shown = ", ".join(f"`{self._redactor.text(path)}`" for path in paths[:_SHOWN])
            more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
            self._completeness.incomplete(
                f"Read outside the repository and not recorded: {shown}{more}; name their folder in `data_roots`."
            )

    def close(self) -> None:
        self._hasher.finish()

    def _take_result(self, text: str, parameters: str, frame: FrameDigest) -> None:
        """What a database answered, by the digest of its rows."""
        statement = " ".join(self._redactor.text(text).split())
        name = f"query {statement}"[:_LONGEST_QUERY]
        given = {"parameters": self._redactor.text(parameters)} if parameters else {}
        source = json.dumps({"sql": statement, **given}, ensure_ascii=False)[:_LONGEST_SOURCE]
        self._ready.append(replace(_frame_use(name, frame, context_of(name), "input"), source=source))

    def _use_folder(self, folder: str, name: str, context: str, role: str) -> None:
        if role == "input":
            self._folders[folder] = (name, context)
            paths = _files_under(folder)
            self._tracked -= {path[len(self._work_tree) :] for path in paths}
            for path in paths:
                found = stamp(path)
                if found is not None:
                    self._candidates[path] = observe.Seen(found, writable=False)
                    self._hasher.want(path)
            return
        files = [(path, self._hasher.result(path)) for path in _files_under(folder)]
        self._not_data.update(path for path, _ in files)
        self._ready.append(self._folder_use(folder, files, name, context, role))

    def _counts(self, path: str, observed: bool) -> bool:
        """Whether a file that was read, or only given, is an input."""
        if self._is_tracked(path) or (not observed and path in self.observer.written):
            self._not_data.add(path)
            return False
        return True

    def _take_file(self, path: str, called: str, seen: observe.Seen) -> None:
        hashed = self._content(path, called, seen)
        if hashed is not None:
            name = self._name(path, called)
            context = self._named.get(path, ("", None))[1] or context_of(name)
            self._ready.append(self._file_use(called, hashed, name, context, "input"))

    def _take_folder(
        self, folder: str, members: dict[str, tuple[str, observe.Seen]], name: str, context: str
    ) -> None:
        """Many files as one dataset. Those whose content is not known are said, and left out."""
        files = []
        for path, (called, seen) in members.items():
            hashed = self._content(path, called, seen)
            if hashed is not None:
                files.append((path if path.startswith(folder + os.sep) else called, hashed))
        if files:
            self._ready.append(self._folder_use(folder, files, name, context, "input"))

    def _content(self, path: str, called: str, seen: observe.Seen) -> HashedFile | None:
        """What was read of a file; None, with the reason in the completeness, when that is not known."""
        problem = ""
        try:
            hashed = self._hasher.result(path)
        except OSError as error:
            problem = f"was read and could not be hashed: {_reason(error)}."
        else:
            self._hasher.forget(path)
            if not hashed.stamp.same_content(seen.stamp):
                ours = seen.writable or path in self.observer.written
                how = (
                    "was opened for reading and changed by the run" if ours else "changed after it was opened"
                )
                problem = f"{how}; what was read is not known."
        if problem:
            self._not_data.add(path)
            self._completeness.incomplete(f"`{self._name(path, called)}` {problem}")
            return None
        self._taken[path] = (called, seen)
        return hashed

    def _name(self, path: str, called: str) -> str:
        return self._named.get(path, ("", None))[0] or self._redactor.text(self._relative(called))

    def _folder_use(
        self, folder: str, files: Iterable[tuple[str, HashedFile]], name: str, context: str, role: str
    ) -> Use:
        top = folder.rstrip(os.sep) + os.sep
        listed = [(path.removeprefix(top), file.stamp.size, file.digest) for path, file in files]
        return Use(
            name, folders.folder_digest(listed), role=role, context=context, size=sum(size for _, size, _ in listed),
            rows=len(listed), source=f"{len(listed)} files of {self._redactor.text(self._relative(folder))}",
        )  # fmt: skip

    def _file_use(self, path: str, hashed: HashedFile, name: str, context: str, role: str) -> Use:
        source = self._redactor.text(self._relative(path))
        table = hashed.table or Table()
        return Use(
            name, hashed.digest, role=role, context=context, size=hashed.stamp.size, rows=table.rows,
            columns=table.columns, schema=table.schema, source=source,
        )  # fmt: skip

    def _is_tracked(self, path: str) -> bool:
        inside = path[len(self._work_tree) :]
        return bool(self._work_tree) and path.startswith(self._work_tree) and inside in self._tracked

    def _relative(self, path: str) -> str:
        """The path from the repository's root, or after a data root's name: the same on every machine."""
        for position, names in enumerate(self._roots):
            for root in names:
                if path == root:
                    return os.path.basename(root)
                if path.startswith(root + os.sep):
                    inside = path[len(root) + 1 :]
                    return inside if position == 0 else f"{os.path.basename(root)}/{inside}"
        return path


def _files_under(folder: str) -> list[str]:
    """Every regular file, by its real path."""
    found = (os.path.join(top, name) for top, _, names in os.walk(folder) for name in names)
    return [real for real in map(os.path.realpath, sorted(found)) if os.path.isfile(real)]


def _frame_use(name: str, frame: FrameDigest, context: str, role: str) -> Use:
    return Use(
        name, frame.digest, role=role, context=context, size=frame.size, rows=frame.rows, columns=frame.columns,
        schema=frame.schema if len(frame.schema) <= _MOST_COLUMNS else None, source="memory",
    )  # fmt: skip


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
