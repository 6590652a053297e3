"""Hashes what a run reads in a thread of its own, while the training goes on."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress

from assay.tracking import observe
from assay.tracking.hashing import DigestCache, HashedFile, hash_file

_MOST_FOLDERS = 10_000


class RealPaths:
    """Paths with their links resolved; a folder is looked up once, since many files may be in it."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def of(self, path: str) -> str:
        folder, name = os.path.split(path)
        real = self._folders.get(folder)
        if real is None:
            if len(self._folders) >= _MOST_FOLDERS:
                self._folders.clear()
            real = self._folders[folder] = os.path.realpath(folder)
        resolved = os.path.join(real, name)
        return os.path.realpath(resolved) if os.path.islink(resolved) else resolved


class Hasher:
    """`skips` says of a real path that it need not be hashed."""

    def __init__(self, cache: DigestCache, skips: Callable[[str], bool]) -> None:
        self._cache = cache
        self._skips = skips
        self._wanted: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._done: dict[str, HashedFile | OSError] = {}
        self._paths = RealPaths()
        self._thread: threading.Thread | None = None

    def want(self, path: str) -> None:
        """Safe to call from anywhere, also from inside the audit hook: nothing is looked up before the thread is at
        it."""
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
        self._cache.flush()

    def result(self, path: str) -> HashedFile:
        """Of a real path. Raises OSError."""
        found = self._done.get(path)
        if found is None:
            found = self._done[path] = self._hash(path)
        if isinstance(found, OSError):
            raise found
        return found

    def forget(self, path: str) -> None:
        """It was asked for the last time: of a million files nothing is to be held twice."""
        self._done.pop(path, None)

    def _work(self) -> None:
        observe.pause_thread()
        while (path := self._wanted.get()) is not None:
            # the work must go on whatever there is about one path
            with suppress(Exception):
                real = self._paths.of(path)
                if real not in self._done and not self._skips(real):
                    self._done[real] = self._hash(real)

    def _hash(self, path: str) -> HashedFile | OSError:
        try:
            return hash_file(path, self._cache)
        except OSError as error:
            return error
