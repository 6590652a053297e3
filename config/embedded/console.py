"""`manage.py up` in a terminal: prefixed logs, the banner, and an end without leftovers."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TextIO

from config.embedded.home import HomeIsBusy, is_free
from config.embedded.postgres import WheelMissing
from config.embedded.process import Child, ChildFailed
from config.embedded.restarter import Restarter
from config.embedded.supervisor import PROCESSES, CannotStart, Stack

_COLOURS = {
    "web": 36,
    "worker": 33,
    "upkeep": 33,
    "beat": 35,
    "database": 34,
    "broker": 32,
    "store": 94,
    "assay": 1,
}
_TICK = 0.2
# Every few seconds, and of interest to nobody: in the log files only.
_ROUTINE = re.compile(r"Sending due task|[. ](sweep|drain)_\w+[\[(]")


class Stopped(BaseException):
    """Ctrl-C, SIGTERM, or the terminal was closed."""


class Console:
    """Lines of several processes on one terminal, each with its name in front."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.colour = out.isatty() and "NO_COLOR" not in os.environ
        self._read: dict[str, int] = {}

    def say(self, name: str, text: str) -> None:
        prefix = f"{name:>8} | "
        if self.colour:
            prefix = f"\x1b[{_COLOURS.get(name, 0)}m{prefix}\x1b[0m"
        try:
            for line in text.rstrip("\n").splitlines():
                self.out.write(f"{prefix}{line}\n")
            self.out.flush()
        except (BrokenPipeError, OSError):
            pass  # nobody reads any more; the logs are in files

    def follow(self, child: Child) -> None:
        """Print what a process has written since the last time: whole lines only."""
        try:
            size = child.log.stat().st_size
            position = self._read.setdefault(child.name, child.log_start)
            if size < position:
                position = 0  # the log was begun anew
            if size == position:
                return
            with child.log.open("rb") as file:
                file.seek(position)
                text = file.read()
        except FileNotFoundError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._read[child.name] = position + len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if not _ROUTINE.search(line):
                self.say(child.name, line)

    def skip(self, child: Child) -> None:
        """Leave out what it has written so far."""
        self._read[child.name] = child.log.stat().st_size


def run(home: Path, port: int | None, out: TextIO = sys.stdout) -> int:
    """Start everything, watch over it, and stop it again. Returns the exit code."""
    console = Console(out)
    stack = Stack(home, port=port)
    handlers = {
        number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        if port is not None and not is_free(port):
            raise CannotStart(
                f"Port {port} is taken by another process: choose one with --port, or leave it out."
            )
        with stack:
            try:
                _start(stack, console)
                _watch(stack, console)
            except Stopped:
                for number in handlers:
                    signal.signal(number, _hurry)
                console.say("assay", "stopping (Ctrl-C again kills)")
            finally:
                _stop_all(stack, console)
    except Stopped:  # a third Ctrl-C: everything is killed by now
        return 130
    except (CannotStart, ChildFailed, HomeIsBusy, WheelMissing, OSError) as error:
        console.say("assay", str(error))
        return 1
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 0


def _start(stack: Stack, console: Console) -> None:
    began = time.monotonic()
    console.say("assay", f"starting in {stack.home.path}")
    stack.start_services()
    for name in ("database", "broker", "store"):
        console.say(name, "ready" if name in stack.services else "given by URL")
    password = stack.prepare()
    if password:
        # Now, not only in the banner: should a later step fail, the password is not lost.
        console.say("assay", f"first start: administrator admin, one-time password {password}")
    stack.start_processes()
    console.say("assay", _banner(stack, password, time.monotonic() - began))


def _watch(stack: Stack, console: Console) -> None:
    restarter = Restarter(stack, console.say)
    for name in PROCESSES:
        console.skip(stack.children[name])
    while True:
        for name in PROCESSES:
            console.follow(stack.children[name])
        restarter.look()
        time.sleep(_TICK)


def _stop_all(stack: Stack, console: Console) -> None:
    try:
        stack.stop()
    except Stopped:
        stack.stop(fast=True)
    console.say("assay", "stopped")


def _banner(stack: Stack, password: str | None, seconds: float) -> str:
    url = stack.environ().get("ASSAY_PUBLIC_URL", stack.url)
    rows = [
        ("console", f"{url}/"),
        ("admin", f"{url}/admin/"),
        ("API", f"{url}/api/v1/docs/"),
        ("sign in", f"admin / {password}  (shown this once: change it)" if password else ""),
        ("data", f"{stack.home.path}  (logs in {stack.home.path / 'logs'})"),
    ]
    lines = [f"  {name:<8} {value}" for name, value in rows if value]
    title = f"Assay is ready ({seconds:.1f} s). Ctrl-C stops it."
    width = max(map(len, itertools.chain(lines, [title])))
    return "\n".join(["=" * width, title, *lines, "=" * width])


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


def _hurry(number: int, frame: FrameType | None) -> None:
    raise Stopped
