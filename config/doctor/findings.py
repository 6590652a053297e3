"""A check, what it found, and the order in which checks are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "fail", "untried"]


class Wrong(Exception):
    """A check failed: what is so, and what would help."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


@dataclass(frozen=True)
class Check:
    """`run` returns a sentence or raises Wrong. When a `vital` one fails, its area is not tried further."""

    area: str
    name: str
    run: Callable[[], str]
    vital: bool = False


@dataclass(frozen=True)
class Finding:
    area: str
    check: str
    verdict: Verdict
    sentence: str
    hint: str = ""


def examine(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run the checks in order. An error nobody foresaw is a finding too, with its type and words."""
    lost: dict[str, str] = {}
    for check in checks:
        if check.area in lost:
            yield Finding(check.area, check.name, "untried", f"not tried: {lost[check.area]} failed")
            continue
        try:
            yield Finding(check.area, check.name, "ok", check.run())
            continue
        except Wrong as wrong:
            yield Finding(check.area, check.name, "fail", wrong.sentence, wrong.hint)
        except Exception as error:  # noqa: BLE001 - a doctor who faints helps nobody
            yield Finding(check.area, check.name, "fail", f"{type(error).__name__}: {first_line(error)}")
        if check.vital:
            lost[check.area] = check.name


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else "no details"


def clock_skew(ours: float, theirs: float, limit: float = 5.0) -> str:
    """Both in seconds since 1970. Raises Wrong when they differ by `limit` s or more."""
    skew = abs(ours - theirs)
    if skew >= limit:
        raise Wrong(
            f"its clock and ours differ by {skew:.0f} s, {limit:.0f} s are too many",
            "Synchronise both by NTP: leases, signatures and the journal compare times.",
        )
    return f"within {max(skew, 0.1):.1f} s of ours"
