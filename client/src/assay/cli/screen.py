"""What a command has in its hands: a client, and a screen that prints for people or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock

import typer
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from assay.cli.words import plain
from assay.client import Client
from assay.errors import AssayError, PolicyFileInvalid, ReferenceInvalid, Refusal, SettingsError
from assay.transfer.progress import Step

# What was typed, or given in a file, is wrong: nothing was asked of the server.
WRONG = (ReferenceInvalid, SettingsError, PolicyFileInvalid)
LABELS: dict[Step, str] = {"hash": "Hashing", "upload": "Uploading", "download": "Downloading"}


class Screen:
    """Answers go to standard output, what is said meanwhile to standard error. Colour only on a terminal."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.out = Console(highlight=False)
        self.err = Console(stderr=True, highlight=False)

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there to answer."""
        return sys.stdin.isatty() and not self.as_json

    def show(self, answer: object, *views: RenderableType) -> None:
        """Print the answer as JSON where that was asked for, else the views."""
        if self.as_json:
            sys.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False) + "\n")
            return
        for view in views:
            self.out.print(view)

    def waiting(self, words: str) -> AbstractContextManager[object]:
        """A sign of life while something takes time."""
        return self.err.status(words) if self.err.is_terminal and not self.as_json else nullcontext()

    def refuse(self, error: AssayError) -> None:
        """One sentence and its reasons."""
        if self.as_json:
            problem: dict[str, object] = {"sentence": error.sentence, "reasons": list(error.reasons)}
            if isinstance(error, Refusal):
                problem |= {"code": error.code, "status": error.status, "field": error.field}
            sys.stderr.write(json.dumps({"error": problem}, indent=2, ensure_ascii=False) + "\n")
            return
        sentence = Text("Refused: " if isinstance(error, Refusal) else "Failed: ", style="bold red")
        sentence.append(plain(error.sentence, "not bold default"))
        if isinstance(error, Refusal) and error.field:
            sentence.append(plain(f" ({error.field})", "not bold dim"))
        self.err.print(sentence)
        for reason in error.reasons:
            self.err.print(Text("  - ") + plain(reason))


class Bars:
    """Progress bars on a terminal; nothing elsewhere."""

    def __init__(self, screen: Screen) -> None:
        self._bars = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=None),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=screen.err,
            disable=screen.as_json or not screen.err.is_terminal,
            expand=True,
        )
        self._tasks: dict[Step, TaskID] = {}
        self._lock = Lock()

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, step: Step, total: int) -> None:
        with self._lock:
            if step in self._tasks:  # the rest of a transfer takes another way
                self._bars.reset(self._tasks[step], total=total)
            elif total:
                self._tasks[step] = self._bars.add_task(LABELS[step], total=total)

    def advance(self, step: Step, amount: int) -> None:
        if step in self._tasks:
            self._bars.advance(self._tasks[step], amount)


@contextmanager
def session(url: str | None, token: str | None, as_json: bool) -> Iterator[tuple[Client, Screen]]:
    """A client and a screen; what goes wrong inside is printed in a sentence and ends the command."""
    screen = Screen(as_json)
    try:
        with Client(url, token) as client:
            yield client, screen
    except AssayError as error:
        screen.refuse(error)
        raise typer.Exit(2 if isinstance(error, WRONG) else 1) from None
