"""How a process that is watched from another tells what it saw: lines of JSON in a file of its own.

A line is written when its file is opened, at once, so that nothing is lost when the process is killed. A process
that is forked goes on in the file of its parent; single lines do not mix.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from . import observe, readers
from .frames import FrameDigest
from .hashing import Stamp

# Far from the descriptors that programs use and close by number.
_HIGH = 500


class _Told(dict[str, Any]):
    """What was found; each find is told by the thread that makes it."""

    def __init__(self, tell: Callable[[str, Any], None]) -> None:
        super().__init__()
        self._tell = tell

    def __setitem__(self, key: str, value: Any) -> None:
        known = key in self
        super().__setitem__(key, value)
        if not known:
            self._tell(key, value)


class TellingObserver(observe.Observer):
    """An observer whose finds are read by another process."""

    def __init__(self, rules: observe.Rules, folder: str) -> None:
        super().__init__(rules)
        self._file = LineFile(folder)
        self.reads = _Told(lambda path, seen: self._tell_read("read", path, seen))
        self.foreign = _Told(lambda path, seen: self._tell_read("foreign", path, seen))
        self.written = _Told(lambda path, _: self.line(kind="written", path=path))
        self.unobserved = _Told(lambda sentence, _: self.line(kind="unobserved", sentence=sentence))

    def opened(self, source: object, *, write: bool = False, read: bool = True) -> None:
        super().opened(source, write=write, read=read)
        # importing a reader opens its files, so that it is told before it can read
        for sentence in readers.imported():
            self.unobserved[sentence] = None

    def result(self, text: str, parameters: str, table: FrameDigest) -> None:
        self.line(kind="result", text=text, parameters=parameters, table=asdict(table))

    def seeded(self, name: str, value: str) -> None:
        before = len(self.seeds.get(name, ()))
        super().seeded(name, value)
        if len(self.seeds[name]) > before:
            self.line(kind="seed", name=name, value=value)

    def tell_unobservable(self) -> None:
        """At the end of the process."""
        for sentence in readers.unobservable(self.rules.roots):
            self.unobserved[sentence] = None
        if self.errors:
            self.line(kind="errors", count=self.errors)

    def line(self, **facts: Any) -> None:
        self._file.write(facts)

    def _tell_read(self, kind: str, path: str, seen: observe.Seen) -> None:
        self.line(kind=kind, path=path, stamp=asdict(seen.stamp), writable=seen.writable)


class LineFile:
    """A file to which lines are added, whatever the program does with the descriptors it finds open."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._open()

    def write(self, facts: dict[str, Any]) -> None:
        text = (json.dumps(facts) + "\n").encode()
        # a program may have closed it, and opened a file of its own under the same number
        try:
            now = os.fstat(self._descriptor)
        except OSError:
            self._open()
        else:
            if (now.st_dev, now.st_ino) != self._identity:
                self._open()
        os.write(self._descriptor, text)

    def _open(self) -> None:
        name = os.path.join(self._folder, f"{os.getpid()}-{os.urandom(4).hex()}.jsonl")
        low = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._descriptor = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _HIGH)
        except OSError:  # no such number may be used here
            self._descriptor = os.dup(low)
        os.close(low)
        found = os.fstat(self._descriptor)
        self._identity = (found.st_dev, found.st_ino)


def take(observer: observe.Observer, line: dict[str, Any]) -> None:
    """Add what a line says to an observer. Raises KeyError, TypeError, ValueError for one that says nothing."""
    kind = line["kind"]
    if kind == "unobserved":
        observer.unobserved[line["sentence"]] = None
    elif kind == "written":
        observer.written[line["path"]] = None
    elif kind == "errors":
        observer.errors += int(line["count"])
    elif kind == "result":
        observer.result(line["text"], line["parameters"], FrameDigest(**line["table"]))
    elif kind == "seed":
        observer.seeded(str(line["name"]), str(line["value"]))
    elif kind in ("read", "foreign"):
        seen = observe.Seen(Stamp(**line["stamp"]), line["writable"])
        if kind == "foreign":
            observer.foreign.setdefault(line["path"], seen)
        else:
            observer.read_elsewhere(line["path"], seen)


def read_new(path: str, offset: int) -> tuple[list[dict[str, Any]], int]:
    """The whole lines after `offset`, and where the next one begins."""
    with open(path, "rb") as file:
        file.seek(offset)
        content = file.read()
    whole = content.rfind(b"\n") + 1
    lines = []
    for text in content[:whole].splitlines():
        with contextlib.suppress(ValueError):
            lines.append(json.loads(text))
    return lines, offset + whole
