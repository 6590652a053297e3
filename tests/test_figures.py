from __future__ import annotations

import json

import pytest

from tests.figures import percentile, print_campaign, print_figure, ratio


def test_a_ratio_above_one_means_ours_is_better() -> None:
    assert ratio(50, 100, "lower") == 2
    assert ratio(50, 100, "higher") == 0.5
    assert ratio(50, None, "lower") is None
    assert ratio(0, 100, "lower") is None


def test_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([5, 1, 4, 2, 3], 0.5) == 2
    assert percentile([5, 1, 4, 2, 3], 0.95) == 5
    assert percentile([7], 0.01) == 7
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_a_figure_is_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_figure("search", ours=4.0, reference=53.0, unit="ms", n=3, milliseconds=[3, 4, 9])

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "name": "search",
        "ours": 4.0,
        "reference": 53.0,
        "ratio": 13.25,
        "unit": "ms",
        "p50_ms": 4,
        "p95_ms": 9,
        "n": 3,
    }


@pytest.mark.parametrize(
    ("cases", "bad", "control_caught", "green"),
    [(24, 0, True, True), (24, 1, True, False), (24, 0, False, False), (0, 0, True, False)],
)
def test_a_campaign_is_green_only_when_it_could_have_been_red(
    cases: int, bad: int, control_caught: bool, green: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_campaign("kill", cases=cases, bad=bad, control_caught=control_caught) is green
    assert json.loads(capsys.readouterr().out) == {
        "name": "kill",
        "cases": cases,
        "bad": bad,
        "control_caught": control_caught,
    }
