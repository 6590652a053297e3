"""Sees the files that a run reads: one audit hook for the process, inert while no run is active.

A hook cannot be removed, so it is installed once, by the first run, and looks at nothing but a tuple when none is
active. It runs inside other people's `open()`: it never raises, and does as little as it can.
"""

from __future__ import annotations

import os
import re
import site
import socket
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# by its place, not by its name: `assay run` loads this where the client is not installed
from .frames import FrameDigest
from .hashing import Stamp, stamp

# Folders that hold code, environments, caches and tools' own files, wherever under a root they are.
_NOT_DATA = re.compile(
    r"(?:^|/)(?:\.git|\.hg|\.svn|__pycache__|site-packages|dist-packages|\.venv|venv|node_modules|\.cache|\.tox|\.nox"
    r"|\.ipynb_checkpoints|\.pytest_cache|\.mypy_cache|\.ruff_cache|\.hypothesis|\.assay|[^/]+\.egg-info)(?:/|$)"
)
CODE_SUFFIXES = (
    ".py",
    ".pyc",
    ".pyo",
    ".pyi",
    ".pyx",
    ".pxd",
    ".pyd",
    ".so",
    ".dll",
    ".dylib",
    ".ipynb",
    ".pth",
)
# The operating system's own places. Data kept there needs `data_roots`.
_SYSTEM = (
    "/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/run/", "/var/lib/",
    "/var/cache/",
)  # fmt: skip
# Programs that libraries ask about the machine, and that read no data.
_HARMLESS = {
    "lscpu", "nvidia-smi", "rocm-smi", "uname", "sysctl", "ldconfig", "hostname", "stty", "tput", "free", "git", "gcc",
    "cc", "ld", "objdump", "nproc", "getconf", "arch", "lsb_release", "system_profiler",
}  # fmt: skip
_MOST_OUTSIDE = 1000
# Each takes somewhat more than a kilobyte of memory.
MOST_READ = 1_000_000
_MOST_SEEDS = 100
# Flags with which nothing that the file held before is read.
_MAKES_ANEW = os.O_TRUNC | os.O_APPEND | os.O_EXCL

_observers: tuple[Observer, ...] = ()
_installed = False
_lock = threading.Lock()
_local = threading.local()


@dataclass(frozen=True)
class Rules:
    """What counts as data, by path only. Plain values, so that it can be given to a worker process."""

    roots: tuple[str, ...]
    excluded: tuple[str, ...]

    @classmethod
    def under(cls, roots: list[Path]) -> Rules:
        """The given folders, by the name given and by the one they resolve to; never Python's own or its packages."""
        names = {os.path.abspath(root) for root in roots} | {os.path.realpath(root) for root in roots}
        paths = sysconfig.get_paths()
        code = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib") if key in paths}
        code |= {*site.getsitepackages(), site.getusersitepackages()}
        if sys.prefix != sys.base_prefix:
            code.add(sys.prefix)
        resolved = {os.path.realpath(path) for path in code}
        return cls(
            tuple(sorted(_folder(name) for name in names)),
            tuple(sorted(_folder(name) for name in code | resolved)),
        )

    def inside(self, path: str) -> bool:
        return path.startswith(self.roots)

    def is_data(self, path: str) -> bool:
        """Whether a path under a root is not code, a package, a cache or a tool's own file."""
        if path.startswith(self.excluded) or path.endswith(CODE_SUFFIXES):
            return False
        root = max((root for root in self.roots if path.startswith(root)), key=len, default="")
        return not _NOT_DATA.search(path[len(root) :])

    def is_foreign(self, path: str) -> bool:
        """Whether a path outside the roots may be data: nothing of the system, of Python, or hidden in the home."""
        if path.startswith(_SYSTEM) or path.startswith(self.excluded) or path.endswith(CODE_SUFFIXES):
            return False
        if path.startswith((_folder(sys.base_prefix), _folder(os.path.realpath(sys.base_prefix)))):
            return False
        home = _folder(os.path.expanduser("~"))
        hidden = path.startswith(home) and path[len(home) :].startswith(".")
        return not hidden and not _NOT_DATA.search(path)


@dataclass(frozen=True, slots=True)
class Seen:
    """A file when it was first opened for reading; `writable` when it was opened so that it could be changed too."""

    stamp: Stamp
    writable: bool


class Observer:
    """What one run was seen to read.

    `on_read` is told of every new path, from whatever thread opened it; `on_result` of a statement, its parameters and
    the table that it gave, in the thread that asked.
    """

    def __init__(
        self,
        rules: Rules,
        on_read: Callable[[str], None] | None = None,
        on_result: Callable[[str, str, FrameDigest], None] | None = None,
    ) -> None:
        self.rules = rules
        self.reads: dict[str, Seen] = {}
        self.foreign: dict[str, Seen] = {}
        self.written: dict[str, None] = {}
        # sentences about what could not be observed, and what could be but was not
        self.unobserved: dict[str, None] = {}
        self.errors = 0
        # what readers have looked at already, in their own words
        self.looked: set[tuple[str, int]] = set()
        # what each random generator was seeded with
        self.seeds: dict[str, list[str]] = {}
        self._on_read = on_read
        self._on_result = on_result
        self._folders: dict[str, str] = {}

    def opened(self, source: object, *, write: bool = False, read: bool = True) -> None:
        """A file is opened by its name; `write` when it may be changed, `read` when what it held may be read."""
        path = self.absolute(source)
        if path is None:
            return
        if write and not read:
            self.written[path] = None
            return
        if path in self.reads or path in self.foreign or path in self.written:
            return
        if not self.rules.inside(path):
            path = self._by_real_folder(path)
            if not self.rules.inside(path):
                self._opened_outside(path, write)
                return
            if path in self.reads or path in self.written:
                return
        if self.rules.is_data(path):
            found = stamp(path)
            if found is not None:
                if len(self.reads) >= MOST_READ:
                    self.unobserved[
                        f"More than {MOST_READ:,} files were read; the others are not recorded."
                    ] = None
                    return
                self.reads[path] = Seen(found, write)
                if self._on_read is not None:
                    self._on_read(path)

    def read_elsewhere(self, path: str, seen: Seen) -> None:
        """Another process of the run opened it."""
        if path not in self.reads:
            self.reads[path] = seen
            if self._on_read is not None:
                self._on_read(path)

    def result(self, text: str, parameters: str, table: FrameDigest) -> None:
        """A database answered a statement with a table in memory."""
        if self._on_result is not None:
            self._on_result(text, parameters, table)

    def seeded(self, name: str, value: str) -> None:
        """A random generator was given a seed."""
        values = self.seeds.setdefault(name, [])
        if len(values) < _MOST_SEEDS and value not in values:
            values.append(value)

    def renamed(self, target: object) -> None:
        path = self.absolute(target)
        if path is not None:
            self.written[path] = None

    def started(self, program: str) -> None:
        """Another program is started."""
        self.unobserved[f"The program `{program}` was started; the files it read could not be observed."] = (
            None
        )

    def forked(self) -> None:
        self.unobserved["The process was forked; the files the copy read could not be observed."] = None

    def raised(self, kind: type[BaseException], error: BaseException) -> None:
        """Nothing caught an exception, and the process ends by it."""

    @staticmethod
    def absolute(source: object) -> str | None:
        if isinstance(source, int) or source is None:  # a descriptor: its file was opened before
            return None
        return os.path.abspath(os.fsdecode(os.fspath(source)))  # type: ignore[call-overload]

    def _opened_outside(self, path: str, write: bool) -> None:
        if len(self.foreign) < _MOST_OUTSIDE and self.rules.is_foreign(path):
            found = stamp(path)
            if found is not None:
                self.foreign[path] = Seen(found, write)

    def _by_real_folder(self, path: str) -> str:
        """The path with the links in its folder resolved; a folder is looked up once."""
        folder, name = os.path.split(path)
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = os.path.realpath(folder)
        return os.path.join(real, name)


def active() -> tuple[Observer, ...]:
    return () if getattr(_local, "paused", False) else _observers


def start(observer: Observer) -> None:
    global _observers, _installed  # noqa: PLW0603 - one hook for one process
    with _lock:
        if not _installed:
            sys.addaudithook(_hook)
            _installed = True
        _observers = (*_observers, observer)


def stop(observer: Observer) -> None:
    global _observers  # noqa: PLW0603 - one hook for one process
    with _lock:
        _observers = tuple(other for other in _observers if other is not observer)


def forget_all() -> None:
    """In a worker process just started: what was inherited belongs to the process it came from."""
    global _observers, _lock
    _observers, _lock = (), threading.Lock()
    _local.paused = False


@contextmanager
def paused() -> Iterator[None]:
    """What this thread does inside is ours, not the training's."""
    before = getattr(_local, "paused", False)
    _local.paused = True
    try:
        yield
    finally:
        _local.paused = before


def pause_thread() -> None:
    """For threads that only ever work for us."""
    _local.paused = True


def tell(action: Callable[[Observer], None]) -> None:
    """Run an action on every active observer. Never raises: it is called from inside the training's own calls."""
    if not _observers or getattr(_local, "paused", False):
        return
    _local.paused = True
    try:
        for observer in _observers:
            try:
                action(observer)
            except Exception:  # noqa: BLE001 - a failure to look must not become a failure to read
                observer.errors += 1
    finally:
        _local.paused = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _observers:
        return
    handler = _HANDLERS.get(event)
    if handler is not None and not _is_ours():
        tell(lambda observer: handler(observer, arguments))


def _is_ours() -> bool:
    # the client's transfer threads are named after us
    return getattr(_local, "paused", False) or threading.current_thread().name.startswith("assay")


def _on_open(observer: Observer, arguments: tuple[Any, ...]) -> None:
    path, mode, flags = arguments
    access = flags & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR) if isinstance(flags, int) else os.O_RDONLY
    text = mode if isinstance(mode, str) else ""
    updates = access == os.O_RDWR or "+" in text
    creates = any(letter in text for letter in "wxa") or bool(isinstance(flags, int) and flags & _MAKES_ANEW)
    write = access != os.O_RDONLY or updates or creates
    observer.opened(path, write=write, read=not write or (updates and not creates))


def _on_sqlite(observer: Observer, arguments: tuple[Any, ...]) -> None:
    database = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
    if database.startswith("file:"):
        database = database[5:].partition("?")[0]
    if database and database != ":memory:":
        observer.opened(database, write=True, read=True)
        # what was written last may be in its log only
        log = observer.absolute(f"{database}-wal")
        if log is not None and os.path.exists(log) and os.path.getsize(log):
            observer.opened(log, write=True, read=True)


def _on_sqlite_extension(observer: Observer, arguments: tuple[Any, ...]) -> None:
    observer.unobserved["SQLite loaded an extension; the files it read could not be observed."] = None


def _on_process(observer: Observer, arguments: tuple[Any, ...]) -> None:
    command = arguments[1] if len(arguments) > 1 else arguments[0]
    words = command.split() if isinstance(command, str) else list(command or ())
    program = os.path.basename(os.fsdecode(words[0])) if words else os.path.basename(str(arguments[0]))
    if program not in _HARMLESS:
        observer.started(program)


def _on_shell(observer: Observer, arguments: tuple[Any, ...]) -> None:
    observer.unobserved["A shell command was started; the files it read could not be observed."] = None


def _on_fork(observer: Observer, arguments: tuple[Any, ...]) -> None:
    observer.forked()


def _on_uncaught(observer: Observer, arguments: tuple[Any, ...]) -> None:
    observer.raised(arguments[1], arguments[2])


def _on_connect(observer: Observer, arguments: tuple[Any, ...]) -> None:
    connection, address = arguments
    if getattr(connection, "family", None) in (socket.AF_INET, socket.AF_INET6) and isinstance(
        address, tuple
    ):
        where = f"{address[0]}:{address[1]}"
        sentence = f"There was a network connection to {where}; data read over it could not be observed."
        observer.unobserved[sentence] = None


def _on_rename(observer: Observer, arguments: tuple[Any, ...]) -> None:
    observer.renamed(arguments[1])


_HANDLERS: dict[str, Callable[[Observer, tuple[Any, ...]], None]] = {
    "open": _on_open,
    "os.rename": _on_rename,
    "sqlite3.connect": _on_sqlite,
    "sqlite3.load_extension": _on_sqlite_extension,
    "subprocess.Popen": _on_process,
    "os.posix_spawn": _on_process,
    "os.exec": _on_process,
    "os.system": _on_shell,
    "os.fork": _on_fork,
    "os.forkpty": _on_fork,
    "socket.connect": _on_connect,
    "sys.excepthook": _on_uncaught,
}


def _folder(path: str) -> str:
    return path.rstrip(os.sep) + os.sep
