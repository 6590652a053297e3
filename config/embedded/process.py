"""One child process: started so that it dies with us, stopped so that nothing of it remains."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1
LOG_LIMIT = 20 * 1024 * 1024


class ChildFailed(RuntimeError):
    """A child ended, or did not become ready, in time; the message holds the end of its log."""


@dataclass(frozen=True)
class Account:
    """The unprivileged account a server runs as when we are root."""

    uid: int
    gid: int

    @classmethod
    def nobody(cls) -> Account:
        entry = pwd.getpwnam("nobody")
        return cls(entry.pw_uid, entry.pw_gid)


def die_with_parent(number: int) -> None:
    """Ask the kernel to send this process the signal `number` when the thread that started it ends."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


class Child:
    """A server process in a session of its own, its output appended to a log.

    Started from the main thread only: the kernel ends a child when the *thread* that forked it ends.
    `stop_signal` asks it to end; `death_signal` is what it gets when we are killed.
    """

    def __init__(  # noqa: PLR0913 - what a process is made of
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        account: Account | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        death_signal: signal.Signals = signal.SIGTERM,
        grace: float = 10.0,
    ) -> None:
        self.name = name
        self.argv = [str(part) for part in argv]
        self.log = log
        self.env = dict(env) if env is not None else dict(os.environ)
        self.cwd = cwd
        self.account = account
        self.stop_signal = stop_signal
        self.death_signal = death_signal
        self.grace = grace
        self.log_start = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._gone = False  # its number may belong to somebody else by now

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ChildFailed(f"{self.name} was never started.")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it, once whatever a killed supervisor left of it has ended."""
        if self.running:
            return
        end_orphan(self._pid_file)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        parent, death = os.getpid(), int(self.death_signal)

        def in_child() -> None:  # between fork and exec, after the change of account (which would undo it)
            die_with_parent(death)
            if os.getppid() != parent:
                os._exit(1)

        with self.log.open("ab") as out:
            if out.tell() > LOG_LIMIT:
                out.truncate(0)
            self.log_start = out.tell()
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                env=self.env,
                start_new_session=True,
                preexec_fn=in_child,  # noqa: PLW1509 - it only calls prctl, and threads of ours hold no locks it needs
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
            )
        self._gone = False
        self._pid_file.write_text(f"{self._process.pid} {_started_at(self._process.pid)}\n")

    def wait_until(self, ready: Callable[[], bool], timeout: float, every: float = 0.02) -> None:
        """Return when `ready()` is true. Raises ChildFailed when the process ends first or time is up."""
        deadline = time.monotonic() + timeout
        while not ready():
            self.check_alive(time.monotonic() < deadline)
            time.sleep(every)

    def check_alive(self, in_time: bool = True) -> None:
        """Raise ChildFailed, with the end of its log, when it has ended or its time to get ready is up."""
        if not self.running:
            raise ChildFailed(f"{self.name} ended with {self.exit_code}.\n{self.last_lines()}")
        if not in_time:
            raise ChildFailed(f"{self.name} did not get ready in time.\n{self.last_lines()}")

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.running:
            self._process.send_signal(number)

    def stop(self) -> None:
        """Ask it to end, wait, then kill what is left of its group."""
        self.signal(self.stop_signal)
        self.wait_or_kill()

    def wait_or_kill(self) -> None:
        """Give it its grace to end, then kill what is left of its group."""
        if self._process is not None:
            try:
                self._process.wait(self.grace)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the process and everything in its group; returns when it is gone."""
        if self._process is None or self._gone:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._gone = True
        self._pid_file.unlink(missing_ok=True)

    def output(self) -> str:
        """What it has written since its last start."""
        try:
            with self.log.open("rb") as file:
                file.seek(self.log_start)
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def last_lines(self, count: int = 15) -> str:
        return "\n".join(self.output().splitlines()[-count:])

    @property
    def _pid_file(self) -> Path:
        return self.log.with_suffix(".pid")


def end_orphan(pid_file: Path, patience: float = 8.0) -> None:
    """Wait until the process named in `pid_file` has ended; kill it when it takes longer than `patience` s.

    After our own kill -9 the kernel tells the children, who need a moment: two servers over one data
    folder would harm it.
    """
    try:
        pid, started = (int(part) for part in pid_file.read_text().split())
    except (FileNotFoundError, ValueError):
        return
    deadline = time.monotonic() + patience
    while _started_at(pid) == started:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            deadline += patience
        time.sleep(0.05)
    pid_file.unlink(missing_ok=True)


def _started_at(pid: int) -> int:
    """Clock ticks since boot at which `pid` was started; 0 when it is gone or a zombie nobody reaps."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])
