"""Validation reports: structured, kept with the decision for ever, shown where the decision is."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction
from django.test import Client

from lifecycle.actions.promotions import decide_promotion
from lifecycle.models import State
from lifecycle.reports import checked_report
from registry.errors import InvalidInput
from tests.cast import Cast
from tests.factories import promotion_at, simple_policy

REPORT = {
    "summary": "Challenger rebuilt; ranks agree.",
    "findings": [{"severity": "medium", "text": "Portugal has 200 examples."}],
    "conditions": ["Look at Portugal again in March."],
}


def test_it_stays_with_the_approval(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    there = f"/api/v1/promotions/{promotion.pk}"
    answer = cast.client("cora").post(f"{there}/approve", {"reason": "fine", "report": REPORT}, format="json")
    assert answer.status_code == 200, answer.content
    shown = cast.client("vera").get(there).json()
    assert [each["report"] for each in shown["approvals"]] == [REPORT]
    page = Client()
    page.force_login(cast.user("vera"))
    for path in (f"/promotions/{promotion.pk}", f"/admin/desk/{promotion.pk}/"):
        text = " ".join(page.get(path).content.decode().split())
        assert "Validation report: 1 finding, 1 condition" in text
        assert "<b>Medium</b> Portugal has 200 examples." in text
        assert "Look at Portugal again in March." in text
    with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE lifecycle_approval SET report = NULL WHERE promotion_id = %s", [promotion.pk])


@pytest.mark.parametrize(
    ("report", "field"),
    [
        ("fine", "report"),
        ({}, "report.summary"),
        ({**REPORT, "summary": " "}, "report.summary"),
        ({**REPORT, "summary": "a\x00b"}, "report.summary"),
        ({**REPORT, "summary": "x" * 4001}, "report.summary"),
        ({**REPORT, "verdict": "fine"}, "report.verdict"),
        ({**REPORT, "findings": "none"}, "report.findings"),
        ({**REPORT, "findings": [{"severity": "bad", "text": "x"}]}, "report.findings[0].severity"),
        ({**REPORT, "findings": [{"severity": [], "text": "x"}]}, "report.findings[0].severity"),
        ({**REPORT, "findings": [{"severity": "low"}]}, "report.findings[0]"),
        ({**REPORT, "findings": [REPORT["findings"][0], {"severity": "low", "text": ""}]}, "report.findings[1].text"),
        ({**REPORT, "conditions": [1]}, "report.conditions[0]"),
        ({**REPORT, "conditions": ["x"] * 51}, "report.conditions"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_pointed_at(report: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        checked_report(report)
    assert refusal.value.field == field


def test_nothing_is_decided_with_a_report_that_is_wrong(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    with pytest.raises(InvalidInput):
        decide_promotion(promotion=promotion, verdict="approve", report={}, by=cast.principal("cora"))
    assert not promotion.approvals.exists()


def test_it_is_written_on_the_desk_and_kept_with_a_rejection(cast: Cast) -> None:
    simple_policy(cast, "production", gates=[])
    promotion = promotion_at(cast, "awaiting_approval")
    page = Client()
    page.force_login(cast.user("cora"))
    sent = {
        "verdict": "reject",
        "reason": "see the report",
        "summary": "Not for Portugal.",
        "findings": "High: three points worse in Portugal\n\nlow: the card is short",
    }
    wrong = page.post(f"/admin/desk/{promotion.pk}/", {**sent, "findings": "worse"}, follow=True)
    assert "The severity of a finding is one of low, medium, high, critical." in wrong.content.decode()
    page.post(f"/admin/desk/{promotion.pk}/", sent)
    promotion.refresh_from_db()
    assert promotion.state == State.REJECTED
    assert promotion.approvals.get().report == {
        "summary": "Not for Portugal.",
        "findings": [
            {"severity": "high", "text": "three points worse in Portugal"},
            {"severity": "low", "text": "the card is short"},
        ],
        "conditions": [],
    }
