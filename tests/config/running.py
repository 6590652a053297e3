"""`manage.py up` as a process, looked at from outside: its output, its children, its end."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from config.embedded.home import free_port, walkable
from config.embedded.programs import CHECKOUT

ADDRESSES = ("DATABASE_", "REDIS_", "S3_", "ASSAY_")


def clean_environment() -> dict[str, str]:
    """Ours, without any address or setting of the test run's own services."""
    return {name: value for name, value in os.environ.items() if not name.startswith(ADDRESSES)}


def as_ordinary_user(command: list[str]) -> list[str]:
    """The command as `nobody`, when we are root; as it is, when we are ordinary already.

    An interpreter or checkout below a closed folder (root's home) stays readable for it, and nothing more.
    """
    if os.geteuid() != 0:
        return command
    entry = pwd.getpwnam("nobody")
    argv = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
    if not (walkable(Path(sys.executable).resolve()) and walkable(CHECKOUT)):
        argv += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return [*argv, *command]


class Up:
    """One run of `manage.py up`. Leaving the context kills it and everything it started."""

    def __init__(
        self, home: Path, *, environment: Mapping[str, str] | None = None, ordinary_user: bool = False
    ) -> None:
        self.home = home
        self.port = free_port()
        self.environment = {**clean_environment(), **(environment or {}), "ASSAY_HOME": str(home)}
        self.command = [sys.executable, "manage.py", "up", "--port", str(self.port)]
        if ordinary_user:
            self.command = as_ordinary_user(self.command)
        self.log = home.parent / f"{home.name}.out"
        self.began = 0

    def __enter__(self) -> Self:
        with self.log.open("ab") as out:
            self.began = out.tell()
            self.process = subprocess.Popen(
                self.command, cwd=CHECKOUT, env=self.environment, stdout=out, stderr=subprocess.STDOUT
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        with self.log.open("rb") as file:
            file.seek(self.began)
            return file.read().decode()

    def wait_for(self, text: str, seconds: float = 150) -> None:
        """Return when it has printed something that matches `text`."""
        deadline = time.monotonic() + seconds
        while not re.search(text, self.output()):
            assert self.process.poll() is None, f"ended with {self.process.returncode}\n{self.output()}"
            assert time.monotonic() < deadline, f"no {text!r} in\n{self.output()}"
            time.sleep(0.05)

    def wait_until_ready(self) -> None:
        self.wait_for("Assay is ready")

    def family(self) -> list[psutil.Process]:
        """Everything it started, and what that started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, pattern: str) -> psutil.Process:
        """The direct child whose command line matches."""
        found = [
            process
            for process in psutil.Process(self.process.pid).children()
            if re.search(pattern, " ".join(process.cmdline()))
        ]
        assert len(found) == 1, found
        return found[0]

    def settings(self) -> dict[str, str]:
        """What it left in run.env for other shells."""
        lines = (self.home / "run.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if not line.startswith("#"))

    def end(self, number: signal.Signals, seconds: float = 40) -> int:
        """Send it the signal; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """kill -9 of the supervisor alone: what remains of the others is the kernel's and theirs."""
        self.process.kill()
        self.process.wait()


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [
        process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def all_gone(processes: list[psutil.Process], seconds: float) -> bool:
    """Whether all of them end within that time."""
    return within(seconds, lambda: not alive(processes))


def within(seconds: float, true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def removable(folder: Path) -> None:
    """Remove what `nobody` or Postgres' account left in it."""
    shutil.rmtree(folder, ignore_errors=True)
