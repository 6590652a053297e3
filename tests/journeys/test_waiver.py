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
    waiver = Waiver.objects.get(result__promotion__pk=failed)
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


def test_an_incident_is_opened_told_and_closed(cast: Cast, live: Live, run: Run) -> None:
    version = ready_version(cast)
    reference, model = version.reference, str(version.model)
    opened = run("ben", 0, "incident", "open", reference, "Wrong scores", "--severity", "high", "--json")
    incident = json.loads(opened.stdout)
    assert (incident["about"], incident["severity"]) == (reference, "high")
    assert f"{model}  Drift  open" in run("ben", 0, "incident", "open", model, "Drift").stdout
    assert "Wrong scores" in run("vera", 0, "incident", "list").stdout
    assert "incident.close" in run("ben", 1, "incident", "close", incident["id"], "--reason", "x").stderr
    assert "closed" in run("cora", 0, "incident", "close", incident["id"], "--reason", "Fixed.").stdout
    assert "Wrong scores" not in run("vera", 0, "incident", "list").stdout
    assert "Fixed." in run("vera", 0, "incident", "list", "--all").stdout
