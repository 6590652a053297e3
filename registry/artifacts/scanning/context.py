"""What the readers of containers share: the report, the budget, and the way back for the files inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from registry.artifacts.scanning.report import Report
from registry.artifacts.scanning.source import Budget, Input

# Judges a file inside a file: its bytes, its place, how deep it lies, the role it plays. Returns its format.
Look = Callable[[Input, str, int, str], str]
TORCH_PICKLE, RAW = "torch pickle", "raw"


@dataclass
class Context:
    """One scan."""

    look: Look
    report: Report = field(default_factory=Report)
    budget: Budget = field(default_factory=Budget)


def inside(where: str, name: str) -> str:
    """The place of a file inside another."""
    return f"{where} > {name}" if where else name
