"""Inside a Python process under `assay run`: looks on from before the script's first line.

The first thing that a process does is to say that it is there; it goes on when it is told what counts as data. What
it sees is written as lines (`telling`). Loaded by `inject/sitecustomize.py`, with the standard library only.
"""

from __future__ import annotations

import atexit
import contextlib
import inspect
import json
import os
import platform
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from . import observe, readers, seeds, telling

PLAN = "plan.json"
_SECONDS = 120.0
# the registry is told fewer, once secrets, which may span lines, were taken out
_MOST_LINES = 400
_MOST_MODULES = 5000


class ProcessObserver(telling.TellingObserver):
    """Every Python process that is started from here looks on by itself; what was started is told to be compared."""

    def started(self, program: str) -> None:
        # `subprocess` may use posix_spawn, which says it a second time
        frame = inspect.currentframe()
        while frame is not None:
            if frame.f_code.co_name == "_posix_spawn":
                return
            frame = frame.f_back
        self.line(kind="started", program=program, pid=os.getpid())

    def forked(self) -> None:
        """The copy goes on looking, and telling into the same file."""

    def raised(self, kind: type[BaseException], error: BaseException) -> None:
        lines = "".join(traceback.format_exception(kind, error, error.__traceback__)).splitlines()
        self.line(kind="raised", pid=os.getpid(), text="\n".join(lines[-_MOST_LINES:]))


def begin(folder: str) -> None:
    """Say hello, wait for the plan, look on."""
    hello = telling.LineFile(folder)
    hello.write(
        {
            "kind": "hello", "pid": os.getpid(), "parent": os.getppid(), "command": list(sys.orig_argv),
            "executable": sys.executable, "path": [entry for entry in sys.path if entry],
            "python": f"{platform.python_implementation()} {platform.python_version()}",
        }
    )  # fmt: skip
    plan = _plan(folder)
    if plan is None:
        hello.write(
            {"kind": "unobserved", "sentence": "A Python process went on before it could be observed."}
        )
        return
    if plan.get("refused"):
        os._exit(1)
    roots = [Path(root) for root in plan["roots"]]
    observer = ProcessObserver(observe.Rules.under(roots), folder)
    observe.start(observer)
    readers.wrap()
    seeds.wrap()
    # registered first, so it runs last: everything that was imported is there
    atexit.register(_end, observer)


def _plan(folder: str) -> dict[str, Any] | None:
    path = os.path.join(folder, PLAN)
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until and os.path.isdir(folder):
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
            return found
        time.sleep(0.005)
    return None


def _end(observer: ProcessObserver) -> None:
    with contextlib.suppress(Exception), observe.paused():
        observer.tell_unobservable()
        roots = observer.rules.roots
        files = {str(getattr(module, "__file__", "")) for module in list(sys.modules.values())}
        inside = sorted(
            file for file in files if file.startswith(roots) and not file.startswith(observer.rules.excluded)
        )
        observer.line(kind="modules", files=inside[:_MOST_MODULES])
