"""The chart of a comparison: by how much each measurement is better or worse than production's, on one axis.

Metrics have different units, so what they share is the difference as a part of production's value. To the left is
worse, whichever way the metric itself counts. It is drawn in the rows of the table that holds the numbers, which is
also how it reads without being seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

WIDE = 100.0
MIDDLE = WIDE / 2
# What improved may be cut, so that what got worse stays to be seen beside it.
_IMPROVED_AT_MOST = 6.0
# Where there is no axis: a bar that is cut.
_UNMEASURABLE = math.inf


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, as parts of production's value, worse below zero."""

    low: float
    high: float


@dataclass(frozen=True)
class Change:
    """How far a measurement is from production's: `by`, a part of production's value, worse below zero; infinite
    where production's is zero. `within` and `beside` are the intervals given for the two values, where they were."""

    by: float
    within: Interval | None = None
    beside: Interval | None = None


@dataclass(frozen=True)
class Span:
    """From `x`, `width` wide, of the hundred that the axis is wide."""

    x: float
    width: float


@dataclass(frozen=True)
class Bar:
    """One row's drawing. `cut`: the bar is longer than the axis."""

    bar: Span
    cut: bool
    within: Span | None
    beside: Span | None

    @property
    def leans_left(self) -> bool:
        return self.bar.x < MIDDLE


@dataclass(frozen=True)
class Axis:
    """What the chart shows to either side of production's value, as a part of it."""

    limit: float

    @property
    def percent(self) -> str:
        """`5 %`."""
        return f"{self.limit * 100:g} %"

    def bar(self, change: Change) -> Bar:
        """How a change is drawn on this axis."""
        cut = abs(change.by) > self.limit * 1.0001
        return Bar(
            bar=self._span(Interval(min(change.by, 0.0), max(change.by, 0.0))),
            cut=cut,
            within=self._span(change.within) if change.within and not cut else None,
            beside=self._span(change.beside) if change.beside else None,
        )

    def _span(self, told: Interval) -> Span:
        start, end = self._place(told.low), self._place(told.high)
        return Span(round(start, 1), round(end - start, 1))

    def _place(self, by: float) -> float:
        share = max(-1.0, min(1.0, by / self.limit))
        return MIDDLE + MIDDLE * share


def axis_of(changes: Iterable[Change]) -> Axis:
    """An axis on which what got worse fills its half, and what improved is cut where it would hide that."""
    finite = [change.by for change in changes if math.isfinite(change.by)]
    worst = max((-by for by in finite if by < 0), default=0.0)
    best = max((by for by in finite if by > 0), default=0.0)
    return Axis(_round_up(max(worst, best / _IMPROVED_AT_MOST) if worst else best))


def change(
    value: float, other: float, *, lower_is_better: bool, mine: tuple[float | None, float | None],
    theirs: tuple[float | None, float | None],
) -> Change:  # fmt: skip
    """The change from `other`, production's value, to `value`; `mine` and `theirs` are the ends of their intervals."""
    if other == 0:
        return Change(math.copysign(_UNMEASURABLE, _turned(value, lower_is_better)) if value else 0.0)

    def part(of: float) -> float:
        return _turned((of - other) / abs(other), lower_is_better)

    def interval(ends: tuple[float | None, float | None]) -> Interval | None:
        if ends[0] is None or ends[1] is None:
            return None
        low, high = sorted((part(ends[0]), part(ends[1])))
        return Interval(low, high)

    return Change(part(value), within=interval(mine), beside=interval(theirs))


def _turned(by: float, lower_is_better: bool) -> float:
    return -by if lower_is_better else by


def _round_up(by: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... that is no less: an axis ends at a number one can read."""
    if by <= 0:
        return 0.01
    size = 10.0 ** math.floor(math.log10(by))
    return next(step * size for step in (1, 2, 5, 10) if step * size >= by * 0.9999)
