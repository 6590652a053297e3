"""A gate that refuses, let stand by two people in the shell, and seen by a third."""

from __future__ import annotations

import json

import pytest

from lifecycle.models import Promotion, Waiver
from lifecycle.promotions import settle
from tests.cast import Cast
from tests.conftest import Live
from tests.factories import evaluate, fresh, ready_version
from tests.journeys.conftest import Run

pytestmark = pytest.mark.django_db(transaction=True)


def test_asked_granted_and_asked_for_again(cast: Cast, live: Live, run: Run) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.5)
    reference = version.reference

    def promoted() -> str:
        """The promotion's id, when its gates have been looked at."""
        told = run("eve", 0, "promote", reference, "staging", "--reason", "try it", "--no-wait", "--json")
        settle(promotion_id=json.loads(told.stdout)["id"])
        return str(json.loads(told.stdout)["id"])

    def said(who: str, code: int, *arguments: str) -> str:
        """All that was printed, on one line."""
        told = run(who, code, *arguments)
        return " ".join((told.stdout + told.stderr).split())

    failed = promoted()
    wrong = said("eve", 1, "waiver", "ask", failed, "no_regression", "--reason", "why not")
    assert "in its way are: metric_at_least" in wrong
    asked = said(
        "eve", 0, "waiver", "ask", failed, "metric_at_least", "--reason", "A new country.", "--days", "3"
    )
    waiver = Waiver.objects.get(result__promotion=failed)
    assert "metric_at_least of " in asked
    assert f"assay waiver grant {waiver.pk}" in asked
    assert "waiver asked: A new country." in said("vera", 0, "promotion", failed)
    assert str(waiver.pk) in said("cora", 0, "waiver", "list", "--state", "asked")
    assert "promotion.decide" in said("eve", 1, "waiver", "grant", str(waiver.pk), "--reason", "Mine.")

    granted = said("cora", 0, "waiver", "grant", str(waiver.pk), "--reason", "Seen.")
    assert f"assay promote {reference} staging" in granted
    again = promoted()
    shown = said("vera", 0, "promotion", again)
    assert "waived metric_at_least Waived until" in shown
    assert Promotion.objects.get(pk=again).state == "applied"
    assert fresh(version).stage == "staging"
    assert "decided already" in said("cora", 1, "waiver", "refuse", str(waiver.pk), "--reason", "No.")
