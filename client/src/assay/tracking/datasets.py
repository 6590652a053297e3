"""The datasets of a run: files seen being read, files and tables named by hand or given as arguments."""

from __future__ import annotations

import os
import queue
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.tracking import observe
from assay.tracking.completeness import Completeness
from assay.tracking.frames import FrameDigest, digest_frame, is_frame
from assay.tracking.git import Repository
from assay.tracking.hashing import DigestCache, HashedFile, hash_file, stamp
from assay.tracking.redaction import Redactor

_CONTEXTS = {
    "test": "test", "testing": "test", "holdout": "test", "heldout": "test", "held": "test", "eval": "test",
    "evaluation": "test", "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
}  # fmt: skip
_SHOWN = 5
_LONGEST_NAME = 500
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

    def facts(self) -> dict[str, Any]:
        """One of the `datasets` of a run, as it is sent."""
        answer = {
            "name": self.name[:_LONGEST_NAME], "digest": self.digest, "role": self.role, "context": self.context,
            "size": self.size, "rows": self.rows, "columns": self.columns, "schema": self.schema, "source": self.source,
        }  # fmt: skip
        return {key: value for key, value in answer.items() if value is not None}


class Hasher:
    """Hashes files in a thread of its own while the training goes on."""

    def __init__(self, cache: DigestCache) -> None:
        self._cache = cache
        self._wanted: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._done: dict[str, HashedFile | OSError] = {}
        self._thread: threading.Thread | None = None

    def want(self, path: str) -> None:
        """Safe to call from anywhere, also from inside the audit hook."""
        self._wanted.put(path)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="assay-hasher", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait until everything wanted so far is hashed. The thread ends; `start` may be called again."""
        if self._thread is not None:
            self._wanted.put(None)
            self._thread.join()
            self._thread = None

    def result(self, path: str) -> HashedFile:
        """Raises OSError."""
        found = self._done.get(path)
        if found is None:
            found = self._done[path] = self._hash(path)
        if isinstance(found, OSError):
            raise found
        return found

    def _work(self) -> None:
        observe.pause_thread()
        while (path := self._wanted.get()) is not None:
            if path not in self._done:
                self._done[path] = self._hash(path)

    def _hash(self, path: str) -> HashedFile | OSError:
        try:
            return hash_file(path, self._cache)
        except OSError as error:
            return error


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
        self._hasher = Hasher(DigestCache())
        self._named: dict[str, tuple[str, str | None]] = {}  # real path -> name and context given by hand
        self._candidates: dict[
            str, observe.Seen
        ] = {}  # files given as arguments, whether or not they are seen read
        self._ready: list[Use] = []
        self._taken: dict[str, tuple[str, observe.Seen]] = {}  # real path -> name, as it was when opened
        self._not_data: set[str] = set()
        self.inputs = 0
        self.observer = observe.Observer(observe.Rules.under(roots), self._first_read)

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
        """Record a file or a table now, as it is now. Raises OSError, Undigestible, TypeError."""
        chosen = context_of(name) if context is None else context
        if is_frame(source):
            self._ready.append(_frame_use(name, digest_frame(source), chosen, role))
        elif isinstance(source, str | os.PathLike):
            path = os.path.realpath(os.fsdecode(source))
            hashed = self._hasher.result(path)
            if stamp(path) != hashed.stamp:  # it was hashed earlier, for another use
                hashed = hash_file(path, DigestCache())
            self._ready.append(self._file_use(path, hashed, name, chosen, role))
            if role == "input":
                self._taken[path] = (name, observe.Seen(hashed.stamp, writable=False))
            else:
                self._not_data.add(path)
        else:
            raise TypeError(f"a dataset is a path, a table or an array, not a {type(source).__name__}")

    def take(self) -> list[Use]:
        """The datasets found since the last call, hashed. Waits for the hashing."""
        self._hasher.finish()
        seen = {os.path.realpath(path): (path, found) for path, found in list(self.observer.reads.items())}
        given = {path: (path, found) for path, found in self._candidates.items()}
        for path, (called, found) in {**given, **seen}.items():
            if path not in self._taken and path not in self._not_data:
                self._take_file(path, called, found, observed=path in seen)
        self._hasher.start()
        ready, self._ready = self._ready, []
        self.inputs += sum(1 for use in ready if use.role == "input")
        return ready

    def check_unchanged(self) -> None:
        """At the end: every file must still be what it was when it was opened."""
        for path, (name, found) in self._taken.items():
            now = stamp(path)
            if now is None:
                self._completeness.incomplete(f"`{name}` was read and is gone.")
            elif not now.same_content(found.stamp):
                self._completeness.incomplete(
                    f"`{name}` changed after it was opened; its digest may not be what was read."
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

    def _first_read(self, path: str) -> None:
        real = os.path.realpath(path)
        if not self._is_tracked(real):
            self._hasher.want(real)

    def _take_file(self, path: str, called: str, found: observe.Seen, *, observed: bool) -> None:
        if self._is_tracked(path) or (not observed and path in self.observer.written):
            self._not_data.add(path)
            return
        name, context = self._named.get(path, ("", None))
        name = name or self._redactor.text(self._relative(called))
        try:
            hashed = self._hasher.result(path)
        except OSError as error:
            self._not_data.add(path)
            self._completeness.incomplete(f"`{name}` was read and could not be hashed: {_reason(error)}.")
            return
        if not hashed.stamp.same_content(found.stamp):
            self._not_data.add(path)
            ours = found.writable or path in self.observer.written
            how = "was opened for reading and changed by the run" if ours else "changed after it was opened"
            self._completeness.incomplete(f"`{name}` {how}; what was read is not known.")
            return
        self._taken[path] = (name, found)
        self._ready.append(self._file_use(called, hashed, name, context or context_of(name), "input"))

    def _file_use(self, path: str, hashed: HashedFile, name: str, context: str, role: str) -> Use:
        source = self._redactor.text(self._relative(path))
        return Use(name, hashed.digest, role=role, context=context, size=hashed.stamp.size, source=source)

    def _is_tracked(self, path: str) -> bool:
        inside = path[len(self._work_tree) :]
        return bool(self._work_tree) and path.startswith(self._work_tree) and inside in self._tracked

    def _relative(self, path: str) -> str:
        """The path from the repository's root, or after a data root's name: the same on every machine."""
        for position, names in enumerate(self._roots):
            for root in names:
                if path.startswith(root + os.sep):
                    inside = path[len(root) + 1 :]
                    return inside if position == 0 else f"{os.path.basename(root)}/{inside}"
        return path


def _frame_use(name: str, frame: FrameDigest, context: str, role: str) -> Use:
    return Use(
        name, frame.digest, role=role, context=context, size=frame.size, rows=frame.rows, columns=frame.columns,
        schema=frame.schema if len(frame.schema) <= _MOST_COLUMNS else None, source="memory",
    )  # fmt: skip


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
