"""Having a file judged by a process that can do nothing else, and that is not believed more than it must be."""

from __future__ import annotations

import json
import re
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from registry.artifacts.scanning.report import (
    CLEAN,
    MOST_CHARACTERS,
    MOST_FINDINGS,
    UNSCANNABLE,
    WORSE,
    worst,
)

ROOT = Path(__file__).resolve().parents[2]
# No site-packages, no environment, no user's modules: the standard library and ours.
BOOT = "import sys; sys.path.append(sys.argv[1]); from registry.artifacts.scanning.child import main; main()"
# Seconds of CPU: a minute, and more for files of which much must be read; wall time has room for a slow store.
CPU_SECONDS, CPU_MOST, CPU_BYTES = 60, 1800, 4 * 1024 * 1024
MOST_READ = 1024 * 1024
# Files that share a process: how large, and how many after each other.
SMALL, MOST_SHARED = 1024 * 1024, 500
MOST_REPLY = 256 * 1024
KEYS = {"where", "what", "name", "verdict"}

Read = Callable[[int, int], bytes]


class _Nonsense(Exception):
    """The process said what it may not say, or nothing; the sentence says what."""


@dataclass(frozen=True)
class Judged:
    """What is inside a file. `findings` as `registry.models.ScanReport` keeps them."""

    format: str
    verdict: str
    findings: list[dict[str, str]] = field(default_factory=list)


def judge(
    read: Read,
    size: int,
    *,
    boot: str = BOOT,
    cpu_seconds: int | None = None,
    wall_seconds: float | None = None,
) -> Judged:
    """Judge a file of `size` bytes, of which `read(offset, length)` gives exactly those asked for.

    Never raises what the file is to blame for: a process that dies, hangs or talks nonsense makes it unscannable.
    What `read` raises goes through: it says nothing of the file.
    """
    if cpu_seconds is None:
        cpu_seconds = min(CPU_SECONDS + size // CPU_BYTES, CPU_MOST)
    process, overdue = _start(boot, wall_seconds or cpu_seconds * 2 + 60)
    try:
        _greet(process, size, cpu_seconds)
        return _converse(process, read, size)
    except _Nonsense as wrong:
        process.kill()
        reason = _ended(process.wait(), overdue) or str(wrong)
        found = {
            "where": "",
            "what": f"the scan gave no result: {reason}",
            "name": "",
            "verdict": UNSCANNABLE,
        }
        return Judged("unknown", UNSCANNABLE, [found])
    finally:
        _end(process, overdue)


class Several:
    """Judges small files one after another in one process, which takes a fraction of a process for each.

    What a process that has judged others before does not call clean, or fails on, is judged again by one of its
    own, and the shared one is ended: nothing that is told of a file comes from a process that has met another,
    unless all that it says is that both are clean.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._overdue: threading.Timer | None = None
        self._left = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop()

    def judge(self, read: Read, size: int) -> Judged:
        """As `judge`."""
        if size > SMALL:
            return judge(read, size)
        try:
            found = self._shared(read, size)
            if found.verdict == CLEAN:
                return found
            if self._left == MOST_SHARED - 1:
                self._drop()
                return found  # the process was this file's own so far
        except _Nonsense:
            pass
        except BaseException:
            self._drop()
            raise
        self._drop()
        return judge(read, size)

    def _shared(self, read: Read, size: int) -> Judged:
        if self._process is None or not self._left:
            self._drop()
            self._process, self._overdue = _start(BOOT, CPU_SECONDS * 2 + 60)
            self._left = MOST_SHARED
            _greet(self._process, size, CPU_SECONDS)
        else:
            _send(_pipes(self._process)[0], struct.pack("<QI", size, 0))
        self._left -= 1
        return _converse(self._process, read, size)

    def _drop(self) -> None:
        if self._process is not None and self._overdue is not None:
            _end(self._process, self._overdue)
        self._process = self._overdue = None


def _start(boot: str, wall_seconds: float) -> tuple[subprocess.Popen[bytes], threading.Timer]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-c", boot, str(ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"LC_ALL": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
    )
    overdue = threading.Timer(wall_seconds, process.kill)
    overdue.daemon = True
    overdue.start()
    return process, overdue


def _end(process: subprocess.Popen[bytes], overdue: threading.Timer) -> None:
    overdue.cancel()
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            _close(pipe)


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        pass


def _ended(code: int, overdue: threading.Timer) -> str:
    """Why the process ended by itself, in words; "" when it was we who ended it."""
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and not overdue.is_alive()):
        return "it takes longer than a scan may"
    if code < 0 and code != -signal.SIGKILL:
        return f"its process was ended by {signal.Signals(-code).name}"
    return ""


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Where it hears, and where it speaks."""
    if process.stdin is None or process.stdout is None:
        raise _Nonsense("it has no pipes")
    return process.stdin, process.stdout


def _greet(process: subprocess.Popen[bytes], size: int, cpu_seconds: int) -> None:
    """Hand it the first file; it says that it is shut in before it asks for a byte."""
    answers, questions = _pipes(process)
    _send(answers, struct.pack("<QI", size, cpu_seconds))
    if _take(questions, 1) != b"H":
        raise _Nonsense("its process did not start")
    if _json(questions).get("shut_out") not in ("filter", "namespace"):
        raise _Nonsense("this system cannot keep its process from the network")


def _converse(process: subprocess.Popen[bytes], read: Read, size: int) -> Judged:
    answers, questions = _pipes(process)
    while True:
        kind = _take(questions, 1)
        if kind == b"D":
            return _checked(_json(questions))
        if kind != b"R":
            raise _Nonsense("its process answered nonsense")
        offset, length = struct.unpack("<QI", _take(questions, 12))
        if not 0 < length <= MOST_READ or offset + length > size:
            raise _Nonsense("its process asked for bytes that are not there")
        _send(answers, read(offset, length))


def _send(pipe: IO[bytes], content: bytes) -> None:
    try:
        pipe.write(content)
        pipe.flush()
    except (BrokenPipeError, ValueError):
        raise _Nonsense("its process ended early") from None


def _take(pipe: IO[bytes], count: int) -> bytes:
    found = pipe.read(count)
    if len(found) != count:
        raise _Nonsense("its process ended early")
    return found


def _json(pipe: IO[bytes]) -> dict[str, Any]:
    (length,) = struct.unpack("<I", _take(pipe, 4))
    if length > MOST_REPLY:
        raise _Nonsense("its process answered too much")
    try:
        told = json.loads(_take(pipe, length))
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise _Nonsense("its process answered nonsense")
    return told


def _checked(told: dict[str, Any]) -> Judged:
    format_, verdict, findings = told.get("format"), told.get("verdict"), told.get("findings")
    if not isinstance(format_, str) or not re.fullmatch(r"[a-z0-9-]{1,40}", format_) or verdict not in WORSE:
        raise _Nonsense("its process answered nonsense")
    if not isinstance(findings, list) or len(findings) > MOST_FINDINGS:
        raise _Nonsense("its process answered nonsense")
    for found in findings:
        texts = list(found.values()) if isinstance(found, dict) and set(found) == KEYS else [None]
        if not all(isinstance(t, str) and len(t) <= MOST_CHARACTERS and "\0" not in t for t in texts):
            raise _Nonsense("its process answered nonsense")
        if found["verdict"] not in WORSE:
            raise _Nonsense("its process answered nonsense")
    # Never better than what it tells of, and never clean with something told.
    verdict = worst([verdict, *(found["verdict"] for found in findings)])
    return Judged(format_, verdict, findings)
