"""How the demonstration speaks: acts, steps, and claims that are checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


class DoesNotHold(Exception):
    """A claim of the demonstration is not true; the sentence says which."""


class Teller:
    """Prints what happens, as a person would want to read it, and keeps what was claimed."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.claims: list[tuple[str, str]] = []
        self.began = time.monotonic()
        self._act = 0

    def title(self, text: str, *lines: str) -> None:
        """The first lines."""
        self.console.print(f"\n[bold]{text}[/]")
        for line in lines:
            self.console.print(line)

    def act(self, text: str) -> None:
        """A new part of the story."""
        self._act += 1
        self.console.print()
        self.console.rule(
            f"[bold]{self._act}. {text}[/]  [dim]{self.elapsed():.0f} s[/]", align="left", style="dim"
        )

    def person(self, who: str, does: str) -> None:
        """Somebody does something."""
        self.console.print(f"[cyan]{who:>5}[/]  {does}")

    def shows(self, *lines: str) -> None:
        """What they then see."""
        for line in lines:
            self.console.print(f"       [dim]│[/] {line}")

    def claim(self, sentence: str, holds: bool, seen: object = "") -> None:
        """Say that something is so, after having looked. Raises DoesNotHold when it is not."""
        if not holds:
            self.console.print(f"       [red]✗ {sentence}[/]  [red]but: {seen}[/]")
            raise DoesNotHold(sentence)
        self.console.print(f"       [green]✓[/] {sentence}")
        self.claims.append((str(self._act), sentence))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table of strings."""
        table = Table(
            title=title, title_justify="left", title_style="bold", header_style="bold", show_edge=False
        )
        for column in columns[:-1]:
            table.add_column(column, no_wrap=True)
        table.add_column(columns[-1])
        for row in rows:
            table.add_row(*row)
        self.console.print()
        self.console.print(table)

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began


def wait_for(look: Callable[[], Any], what: str, *, seconds: float = 90.0) -> Any:
    """Look until the answer is true, and return it. Raises DoesNotHold after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        if time.monotonic() > deadline:
            raise DoesNotHold(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.2)
    return answer
