"""How the doctor goes through its checks."""

from __future__ import annotations

import pytest

from config.doctor.findings import Check, Finding, Wrong, clock_skew, examine


def fails() -> str:
    raise Wrong("it is broken", "mend it")


def crashes() -> str:
    raise ValueError("first line\nsecond line")


def test_a_check_says_what_it_found() -> None:
    assert list(examine([Check("a", "one", lambda: "fine")])) == [Finding("a", "one", "ok", "fine")]


def test_a_failed_one_says_what_would_help() -> None:
    assert list(examine([Check("a", "one", fails)])) == [
        Finding("a", "one", "fail", "it is broken", "mend it")
    ]


def test_an_unforeseen_error_is_a_finding() -> None:
    assert list(examine([Check("a", "one", crashes)])) == [
        Finding("a", "one", "fail", "ValueError: first line")
    ]


def test_without_a_vital_one_the_rest_of_its_area_is_not_tried() -> None:
    checks = [
        Check("a", "one", fails, vital=True),
        Check("a", "two", lambda: "fine"),
        Check("b", "three", lambda: "fine"),
    ]
    assert [finding.verdict for finding in examine(checks)] == ["fail", "untried", "ok"]


def test_after_another_one_the_rest_is_tried() -> None:
    checks = [Check("a", "one", fails), Check("a", "two", lambda: "fine")]
    assert [finding.verdict for finding in examine(checks)] == ["fail", "ok"]


@pytest.mark.parametrize(("ours", "theirs"), [(100.0, 104.9), (104.9, 100.0), (100.0, 100.0)])
def test_clocks_may_differ_a_little(ours: float, theirs: float) -> None:
    assert "of ours" in clock_skew(ours, theirs)


@pytest.mark.parametrize(("ours", "theirs"), [(100.0, 105.0), (200.0, 100.0)])
def test_but_not_more(ours: float, theirs: float) -> None:
    with pytest.raises(Wrong, match="differ by"):
        clock_skew(ours, theirs)
