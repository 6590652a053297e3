"""What a reproduction is made of: for each piece, whether it is there, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

PRESENT, CHANGED, MISSING, UNKNOWN = "present", "changed", "missing", "unknown"


@dataclass(frozen=True)
class Piece:
    """`state` is present, changed, missing or unknown: what cannot be checked."""

    name: str
    state: str
    sentence: str

    def facts(self) -> dict[str, str]:
        return {"name": self.name, "state": self.state, "sentence": self.sentence}


@dataclass(frozen=True)
class Compared:
    """One result, as it was and as it is now."""

    name: str
    original: Any
    now: Any
    same: bool

    def facts(self) -> dict[str, Any]:
        return {"name": self.name, "original": self.original, "now": self.now, "same": self.same}


@dataclass
class Outcome:
    """What came of running it again. `problem` says why it was not run, or could not be compared."""

    compared: Sequence[Compared] = ()
    exit_status: int | None = None
    problem: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether it ended well, and every result is what it was; False where nothing could be compared."""
        return (
            not self.problem
            and self.exit_status == 0
            and bool(self.compared)
            and all(c.same for c in self.compared)
        )

    def facts(self) -> dict[str, Any]:
        return {
            "same": self.same,
            "exit_status": self.exit_status,
            "problem": self.problem,
            "notes": self.notes,
            "compared": [each.facts() for each in self.compared],
        }
