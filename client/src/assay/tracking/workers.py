"""Worker processes of a run: multiprocessing by fork or spawn, and joblib's, are watched like the run itself.

A worker is given the run's rules when it is started, puts its own hook in place before it does anything else, and
writes each file it opens to a list on disk, at once, so that nothing is lost when it is killed. What cannot be
watched, workers that were there before the run among them, is said.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing.process
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import observe, readers, seeds, telling

# For each run, the folder for the lists of opened files, and its rules.
Plans = list[tuple[str, observe.Rules]]

_lock = threading.Lock()
_watches: tuple[Watch, ...] = ()
_start: Callable[..., Any] | None = None


class Watch:
    """The workers started while a run is active."""

    def __init__(self, observer: observe.Observer) -> None:
        self._observer = observer
        self._folder: Path | None = None

    def start(self) -> None:
        for worker in multiprocessing.process.active_children():
            self.missed(f"{worker.name}, started before the run,")
        _add(self)

    def stop(self) -> None:
        """Collect what the workers opened, of those that still run too."""
        _remove(self)
        if self._folder is None:
            return
        for file in sorted(self._folder.iterdir()):
            for line in file.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    telling.take(self._observer, json.loads(line))
        shutil.rmtree(self._folder, ignore_errors=True)

    def missed(self, name: str) -> None:
        self._observer.unobserved[f"The files that the worker process {name} read could not be observed."] = (
            None
        )

    def plan(self) -> tuple[str, observe.Rules]:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="assay-workers-"))
        return str(self._folder), self._observer.rules


class WatchedRun:
    """Stands in for a worker's `run` and is pickled with it: puts the hooks in place, then runs it."""

    def __init__(self, process: multiprocessing.process.BaseProcess, plans: Plans) -> None:
        self._process = process
        self._plans = plans

    def __call__(self) -> None:
        observe.forget_all()
        watching = []
        for folder, rules in self._plans:
            with contextlib.suppress(OSError):
                watching.append(telling.TellingObserver(rules, folder))
        for observer in watching:
            observe.start(observer)
        readers.wrap()
        seeds.wrap()
        try:
            type(self._process).run(self._process)
        finally:
            for observer in watching:
                with contextlib.suppress(OSError):
                    observer.tell_unobservable()


def _add(watch: Watch) -> None:
    global _watches, _start  # noqa: PLW0603 - the class whose method is wrapped is the process's
    with _lock:
        if not _watches:
            _start = multiprocessing.process.BaseProcess.start
            multiprocessing.process.BaseProcess.start = _watched_start  # type: ignore[method-assign, assignment]
        _watches = (*_watches, watch)


def _remove(watch: Watch) -> None:
    global _watches, _start  # noqa: PLW0603 - the class whose method is wrapped is the process's
    with _lock:
        _watches = tuple(other for other in _watches if other is not watch)
        if not _watches and _start is not None:
            if multiprocessing.process.BaseProcess.start is _watched_start:
                multiprocessing.process.BaseProcess.start = _start  # type: ignore[method-assign]
            _start = None


def _watched_start(process: multiprocessing.process.BaseProcess) -> None:
    start = _start or multiprocessing.process.BaseProcess.start
    if not _watches or not observe.active():
        start(process)
        return
    with _given(process), observe.paused():
        start(process)


@contextlib.contextmanager
def _given(process: multiprocessing.process.BaseProcess) -> Iterator[None]:
    """While it is started, the process carries its orders as `run`, which a spawned worker unpickles."""
    try:
        plans = [watch.plan() for watch in _watches]
        process.run = WatchedRun(process, plans)  # type: ignore[method-assign]
    except Exception:  # noqa: BLE001 - then the worker runs unobserved
        for watch in _watches:
            watch.missed(process.name)
        yield
        return
    try:
        yield
    finally:
        process.__dict__.pop("run", None)
