"""The chart's axis and bars: a loss stays to be seen beside a gain that is many times larger."""

from __future__ import annotations

import math

import pytest

from lifecycle.dossier.chart import Axis, Change, Span, axis_of, change

NOTHING = (None, None)


def moved(value: float, other: float, *, lower: bool = False) -> float:
    return change(value, other, lower_is_better=lower, mine=NOTHING, theirs=NOTHING).by


def test_it_works() -> None:
    axis = axis_of([Change(-0.038), Change(0.04)])
    assert axis.percent == "5 %"
    assert axis.bar(Change(-0.05)).bar == Span(0.0, 50.0)
    assert axis.bar(Change(0.025)).bar == Span(50.0, 25.0)


@pytest.mark.parametrize(
    ("value", "other", "lower", "by"),
    [(0.9, 1.0, False, -0.1), (0.9, 1.0, True, 0.1), (-1.1, -1.0, False, -0.1), (0.0, 0.0, True, 0.0)],
)
def test_worse_is_below_zero_whichever_way_a_metric_counts(
    value: float, other: float, lower: bool, by: float
) -> None:
    assert moved(value, other, lower=lower) == pytest.approx(by)


def test_a_gain_does_not_hide_a_loss() -> None:
    """A loss of a hundredth beside a gain of a half: the gain is cut, and says so."""
    axis = axis_of([Change(-0.01), Change(0.5)])
    assert axis.limit == pytest.approx(0.1)
    assert axis.bar(Change(-0.01)).bar.width >= 5
    gain = axis.bar(Change(0.5))
    assert (gain.bar, gain.cut, gain.leans_left) == (Span(50.0, 50.0), True, False)


@pytest.mark.parametrize(
    ("changes", "limit"),
    [([], 0.01), ([0.0], 0.01), ([-math.inf], 0.01), ([-0.2], 0.2), ([0.21], 0.5), ([-0.00004], 0.00005), ([3.0], 5.0)],
)  # fmt: skip
def test_an_axis_ends_at_a_number_one_can_read(changes: list[float], limit: float) -> None:
    assert axis_of([Change(by) for by in changes]).limit == pytest.approx(limit)


def test_intervals_are_turned_with_their_metric_and_stay_on_the_axis() -> None:
    made = change(0.11, 0.10, lower_is_better=True, mine=(0.09, 0.13), theirs=(0.095, None))
    assert made.within is not None
    assert made.within.low == pytest.approx(-0.3)
    assert made.within.high == pytest.approx(0.1)
    assert made.beside is None
    assert Axis(0.1).bar(made).within == Span(0.0, 100.0)


def test_beside_zero_there_is_a_side_and_no_size() -> None:
    assert moved(0.1, 0.0, lower=True) == -math.inf
    assert axis_of([Change(-math.inf), Change(0.02)]).bar(Change(-math.inf)).cut
