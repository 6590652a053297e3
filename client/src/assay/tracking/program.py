"""A run of a program that knows nothing of it: `assay run -- python train.py`.

The program is started with `inject/` first on its PYTHONPATH, so that every Python process of it looks on and tells
(`process`, `telling`). It does not begin until the run is created, so that a refusal comes before any work.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from assay.tracking import environment, observe, process, telling
from assay.tracking.capture import Capture
from assay.tracking.command import LAUNCHERS, Command, arguments
from assay.tracking.runs import ActiveRun, Ended, Options

_INJECT = Path(__file__).resolve().parent / "inject"
# How long Python may take to start before the training is thought to be something else.
_SECONDS_TO_HELLO = 10.0
_SECONDS_BETWEEN = 0.1
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Program:
    """The program while it runs, and what its processes tell."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.folder = Path(tempfile.mkdtemp(prefix="assay-run-"))
        self.hellos: list[dict[str, Any]] = []
        self.started: list[dict[str, Any]] = []
        self.raised: list[dict[str, Any]] = []
        self.code: set[str] = set()
        self.began = time.time()
        self._read: dict[str, int] = {}
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Raises OSError when there is no such program."""
        before = os.environ.get("PYTHONPATH", "")
        given = {"PYTHONPATH": os.pathsep.join([str(_INJECT), *([before] if before else [])])}
        self._child = subprocess.Popen(
            list(self.command.words), env={**os.environ, **given, "ASSAY_OBSERVED": str(self.folder)}
        )

    def hello(self) -> dict[str, Any] | None:
        """What its first Python process said of itself; None when none came forward."""
        until = time.monotonic() + _SECONDS_TO_HELLO
        while not self.hellos and time.monotonic() < until:
            ended = self._running.poll() is not None
            self.collect(None)
            if ended:
                break
            time.sleep(0.005)
        return self.hellos[0] if self.hellos else None

    def go(self, roots: Sequence[str], *, refused: bool = False) -> None:
        """Let its Python processes begin, or end."""
        plan = {"roots": list(roots), "refused": refused}
        waiting = self.folder / "plan.new"
        waiting.write_text(json.dumps(plan), encoding="utf-8")
        waiting.replace(self.folder / process.PLAN)

    def wait(self) -> int:
        """Its exit status as Python has it: negative for a signal."""
        return self._running.wait()

    def end(self) -> None:
        """Do away with what it told, and with the program if it still runs."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            self._child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def collect(self, observer: observe.Observer | None) -> None:
        """Take the lines that are new. Without an observer only those about the processes themselves are there."""
        for file in sorted(self.folder.glob("*.jsonl")):
            lines, self._read[file.name] = telling.read_new(str(file), self._read.get(file.name, 0))
            for line in lines:
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    self._take(line, observer)

    def unobserved(self) -> Iterator[str]:
        """A sentence for every program that was started and did not come forward as a process that looks on."""
        if not self.hellos:
            yield f"No Python process of `{self.command.program}` could be observed; what was read is not known."
            return
        if (
            not self.command.is_python
            and self.command.program not in LAUNCHERS
            and not self._came(self._running.pid)
        ):
            yield f"The program `{self.command.program}` was started; the files it read could not be observed."
        wanted = Counter((line["pid"], line["program"]) for line in self.started)
        for (parent, program), count in wanted.items():
            there = sum(1 for hello in self.hellos if hello["parent"] == parent and _is(hello, program))
            # one that took the place of its parent has its number
            there += sum(1 for hello in self.hellos[1:] if hello["pid"] == parent and _is(hello, program))
            if there < count:
                yield f"The program `{program}` was started; the files it read could not be observed."

    @property
    def failure(self) -> str:
        """The last lines of the traceback that ended it."""
        first = self.hellos[0]["pid"] if self.hellos else None
        told = [line["text"] for line in self.raised if line["pid"] == first] or [
            line["text"] for line in self.raised
        ]
        return str(told[-1]) if told else ""

    def _came(self, pid: int) -> bool:
        return any(hello["pid"] == pid for hello in self.hellos)

    def _take(self, line: dict[str, Any], observer: observe.Observer | None) -> None:
        match line["kind"]:
            case "hello":
                self.hellos.append(line)
            case "started":
                self.started.append(line)
            case "raised":
                self.raised.append(line)
            case "modules":
                self.code.update(line["files"])
            case _ if observer is not None:
                telling.take(observer, line)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise RuntimeError("the program was not started")
        return self._child

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Signals are passed on to the program meanwhile."""

        def pass_on(number: int, frame: FrameType | None) -> None:
            with contextlib.suppress(ProcessLookupError):
                self._running.send_signal(number)

        def interrupted(number: int, frame: FrameType | None) -> None:
            if not _at_the_terminal():  # which has told the program too
                pass_on(number, frame)

        handlers = {
            **dict.fromkeys(_PASSED_ON, pass_on),
            signal.SIGINT: interrupted,
            signal.SIGQUIT: interrupted,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class ProgramCapture(Capture):
    """Captures from outside: this process looks at the code and the machine, the program's processes tell the rest."""

    def __init__(
        self,
        program: Program,
        data_roots: Sequence[str | os.PathLike[str]] = (),
        results: Mapping[str, str] | None = None,
    ) -> None:
        self._program = program
        self._left = dict(results or {})
        self._said = program.hello()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        super().__init__(program.command.entry, data_roots)

    def begin(self) -> None:
        self._begun = True
        self.attempt("data files", self.datasets.start)
        observe.stop(self.datasets.observer)  # what this process opens is not the training's
        self._program.go(self.datasets.observer.rules.roots)
        self._thread = threading.Thread(target=self._listen, name="assay-listener", daemon=True)
        self._thread.start()

    def end(self) -> None:
        if not self._begun:
            return
        self._begun = False
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with observe.paused():
            self.attempt("data files", self.datasets.stop)
            self.attempt("data files", lambda: self._program.collect(self.datasets.observer))
            self.attempt("data files", self._leave_out_own)
            self.attempt("data files", self._unobserved)
            if self.repository is not None:
                self.attempt("the code", self._code_not_in_git)

    def _listen(self) -> None:
        """What is read is hashed while the training goes on."""
        observe.pause_thread()
        while not self._stop.wait(_SECONDS_BETWEEN):
            with contextlib.suppress(OSError):
                self._program.collect(self.datasets.observer)

    def _leave_out_own(self) -> None:
        """What one of its processes wrote and another then read was no input of the run."""
        observer = self.datasets.observer
        for path, seen in list(observer.reads.items()):
            if path in observer.written and seen.stamp.changed >= self._program.began * 1e9:
                del observer.reads[path]

    def _unobserved(self) -> None:
        observer = self.datasets.observer
        for sentence in [*observer.unobserved, *self._program.unobserved()]:
            self.completeness.unknown(self.redactor.text(sentence))
        if observer.errors:
            self.completeness.incomplete(f"{observer.errors} files that were opened could not be looked at.")

    def _results(self) -> dict[str, str]:
        return self._left

    def _environment(self) -> dict[str, Any]:
        said = self._said
        if said is None:
            self.completeness.incomplete(
                "The packages of the program are not known: no Python process came forward."
            )
            return environment.facts(python="unknown", path=[])
        return environment.facts(said["python"], said["path"])

    def _command(self) -> list[str]:
        words = self._program.command.words
        return [os.path.basename(words[0]), *words[1:]]

    def _code_files(self) -> set[str]:
        return self._program.code


class ProgramRun(ActiveRun):
    """The run of a program. `begin` starts it, too; it waits for the run to be created. `results` are the files that
    it leaves its `model` and its `metrics` in."""

    def __init__(self, options: Options, command: Command, results: Mapping[str, str] | None = None) -> None:
        super().__init__(options, command.entry)
        self._results = dict(results or {})
        self._program = Program(command)

    def train(self) -> int:
        """Run the program to its end, and end the run with it; answers its exit status.

        Raises OSError when it cannot be started, AssayError when the registry refuses the run.
        """
        try:
            with self._program.signals():
                self._program.start()
                try:
                    self.begin(
                        lambda capture: capture.take_arguments(arguments(self._program.command.arguments))
                    )
                except BaseException:
                    self._program.go([], refused=True)
                    raise
                if not self.id:  # nothing is recorded
                    self._program.go([])
                status = self._program.wait()
            self.stop_capture()
            return status
        except BaseException:
            self._program.end()
            raise

    def finish(self, status: int, *, quiet: bool) -> None:
        """Say how it ended. `quiet`: a line about what was registered follows."""
        self.end(quiet=quiet, ended=_ended(status, self._program.failure))
        self._program.end()

    def note_missing(self, sentence: str) -> None:
        """Something of the record is known to be missing."""
        if self._capture is not None:
            self._capture.completeness.incomplete(self._capture.redactor.text(sentence))

    @property
    def began(self) -> float:
        """Seconds since 1970: nothing that the program wrote is older."""
        return self._program.began

    def _new_capture(self) -> Capture:
        return ProgramCapture(self._program, self._options.data_roots, self._results)


def exit_code(status: int) -> int:
    """As a shell tells it: 128 and the number of the signal."""
    return 128 - status if status < 0 else status


def _ended(status: int, failure: str) -> Ended:
    if status == 0:
        return Ended("finished")
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        return Ended("killed", failure or f"Ended by {name}.")
    return Ended("failed", failure or f"Ended with exit status {status}.")


def _is(hello: dict[str, Any], program: str) -> bool:
    """Whether a process is that program: the interpreter, or a script that names it in its first line."""
    return program in {os.path.basename(word) for word in [hello["executable"], *hello["command"][:2]]}


def _at_the_terminal() -> bool:
    """Whether we are in the foreground of a terminal, whose Ctrl-C goes to everything there."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
