"""How much of what a run used was captured: complete, incomplete or unknown, with a sentence for each reason."""

from __future__ import annotations

import threading
from typing import Any

# What the registry takes: notes, and characters of each.
_MOST, _LONGEST = 200, 2000


class Completeness:
    """Collects reasons. Something known to be missing makes a run incomplete; something that could not be seen at
    all makes it unknown, which outweighs: it can never be made good by what is known."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._incomplete: dict[str, None] = {}
        self._unknown: dict[str, None] = {}

    def incomplete(self, sentence: str) -> None:
        with self._lock:
            self._incomplete[sentence] = None

    def unknown(self, sentence: str) -> None:
        with self._lock:
            self._unknown[sentence] = None

    @property
    def state(self) -> str:
        return "unknown" if self._unknown else "incomplete" if self._incomplete else "complete"

    @property
    def notes(self) -> list[str]:
        return [*self._unknown, *self._incomplete]

    def facts(self) -> dict[str, Any]:
        """The `capture` of a run, as it is sent."""
        notes = [note if len(note) <= _LONGEST else note[: _LONGEST - 1] + "…" for note in self.notes]
        if len(notes) > _MOST:
            notes = [*notes[: _MOST - 1], f"And {len(notes) - _MOST + 1} more."]
        return {"state": self.state, "notes": notes}
