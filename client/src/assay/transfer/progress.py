"""How long work tells about itself."""

from __future__ import annotations

from typing import Literal, Protocol

Step = Literal["hash", "upload", "download"]


class Progress(Protocol):
    """Told of bytes done; may be called by several threads at once."""

    def begin(self, step: Step, total: int) -> None:
        """`total` bytes are to be done."""

    def advance(self, step: Step, amount: int) -> None:
        """`amount` more bytes are done; negative when a piece has to be done again."""


class Silence:
    """Tells nobody."""

    def begin(self, step: Step, total: int) -> None:
        pass

    def advance(self, step: Step, amount: int) -> None:
        pass


class Attempt:
    """The bytes of one attempt, taken back when it fails, so that a bar never passes its end."""

    def __init__(self, progress: Progress, step: Step) -> None:
        self._progress = progress
        self._step = step
        self._done = 0

    def advance(self, amount: int) -> None:
        self._done += amount
        self._progress.advance(self._step, amount)

    def take_back(self) -> None:
        if self._done:
            self._progress.advance(self._step, -self._done)
        self._done = 0
