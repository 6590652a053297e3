"""Measurements beside production's: what counts as worse, and in which order a reader sees it."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.dossier.comparison import Trend, compare


def measured(
    name: str, value: float, *, digest: str = "sha256:a", split: str = "test", slice_: str = ""
) -> Any:
    return {
        "name": name, "value": value, "dataset": "held-out", "dataset_digest": digest, "split": split,
        "slice": slice_, "by": "ci",
    }  # fmt: skip


def trend(name: str, mine: float, theirs: float, gates: list[Any] | None = None) -> Trend:
    (row,) = compare([measured(name, mine)], [measured(name, theirs)], gates or []).rows
    return row.trend


def test_it_works() -> None:
    found = compare([measured("accuracy", 0.95)], [measured("accuracy", 0.9)])
    (row,) = found.rows
    assert row.trend == Trend.BETTER
    assert row.difference == pytest.approx(0.05)
    assert found.shared == "held-out, test"


@pytest.mark.parametrize(
    ("name", "mine", "theirs", "expected"),
    [
        ("accuracy", 0.8, 0.9, Trend.WORSE),
        ("log_loss", 0.8, 0.9, Trend.BETTER),
        ("rmse", 3.0, 2.0, Trend.WORSE),
        ("f1_macro", 0.5, 0.4, Trend.BETTER),
        ("accuracy", 0.9, 0.9, Trend.SAME),
        ("churn_cost", 10.0, 12.0, Trend.CHANGED),
    ],
)
def test_which_way_is_better_is_known_of_well_known_names_only(
    name: str, mine: float, theirs: float, expected: Trend
) -> None:
    assert trend(name, mine, theirs) == expected


def test_a_gate_says_which_way_is_better_whatever_the_name() -> None:
    lower = [{"gate": "metric_at_most", "parameters": {"metric": "churn_cost"}}]
    assert trend("churn_cost", 10, 12, lower) == Trend.BETTER
    turned = [{"gate": "no_regression", "parameters": {"metric": "accuracy", "direction": "lower"}}]
    assert trend("accuracy", 0.8, 0.9, turned) == Trend.BETTER


def test_other_data_is_not_compared() -> None:
    found = compare([measured("accuracy", 0.9)], [measured("accuracy", 0.95, digest="sha256:b")])
    assert [(r.trend, r.difference) for r in found.rows] == [(Trend.MISSING, None), (Trend.NEW, None)]
    assert (found.worse, found.missing) == (0, 1)


def test_what_got_worse_comes_first_the_most_first() -> None:
    mine = [
        measured("accuracy", 0.95),
        measured("recall", 0.80),
        measured("recall", 0.60, slice_="country = PT"),
        measured("auc", 0.9),
        measured("brier", 0.2),
    ]
    theirs = [
        measured("accuracy", 0.94),
        measured("recall", 0.81),
        measured("recall", 0.70, slice_="country = PT"),
        measured("auc", 0.9),
        measured("precision", 0.9),
    ]
    found = compare(mine, theirs)
    assert [(r.name, r.slice, r.trend.value) for r in found.rows] == [
        ("recall", "country = PT", "worse"),
        ("recall", "", "worse"),
        ("precision", "", "missing"),
        ("accuracy", "", "better"),
        ("auc", "", "same"),
        ("brier", "", "new"),
    ]
    # Drawn is what was measured on both sides: worse to the left, better to the right, of an axis of 20 %.
    assert found.axis.percent == "20 %"
    assert [r.drawn and (r.drawn.bar.x, r.drawn.bar.width) for r in found.rows] == [
        (pytest.approx(14.3), pytest.approx(35.7)),
        (pytest.approx(46.9), pytest.approx(3.1)),
        None,
        (50.0, pytest.approx(2.7)),
        (50.0, 0.0),
        None,
    ]
    assert [r.percent for r in found.rows] == ["14 %", "1.2 %", "", "1.1 %", "", ""]


def test_nothing_measured_is_nothing_to_compare() -> None:
    assert not compare([], [])
    (row,) = compare([measured("accuracy", 0.0)], [measured("accuracy", 0.0)]).rows
    assert row.trend == Trend.SAME


def test_what_nobody_knows_the_better_way_of_is_not_drawn() -> None:
    (row,) = compare([measured("churn_cost", 10.0)], [measured("churn_cost", 12.0)]).rows
    assert (row.trend, row.drawn, row.percent) == (Trend.CHANGED, None, "17 %")


def test_beside_nothing_the_change_has_no_size_but_a_side() -> None:
    (row,) = compare([measured("log_loss", 0.2)], [measured("log_loss", 0.0)]).rows
    assert row.drawn is not None
    assert (row.trend, row.percent, row.drawn.cut, row.drawn.leans_left) == (Trend.WORSE, "", True, True)
