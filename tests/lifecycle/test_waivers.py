"""Waivers: two people let one result stand, for a reason and a time; shown everywhere; never integrity or malice."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from lifecycle.actions.policies import report_check
from lifecycle.actions.promotions import (
    AlreadyDecided,
    OwnRequest,
    decide_promotion,
    request_promotion,
    withdraw_promotion,
)
from lifecycle.actions.waivers import NotWaivable, WaiverOpen, decide_waiver
from lifecycle.models import Approval, WaiverDecision
from lifecycle.promotions import settle
from lifecycle.tasks.promotions import evaluate_gates
from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.journal import outbox
from registry.models import Event
from tests.cast import Cast, hold_role
from tests.factories import a_waiver, evaluate, fresh, ready_version, results, simple_policy, staged_version
from tests.lifecycle.waiving import WHY, asked_again, asking, granted, refused

METRIC = {"gate": "metric_at_least", "parameters": {"metric": "accuracy", "bound": 0.8}}


# ---- what it does


def test_it_works(cast: Cast) -> None:
    waiver = a_waiver(cast)
    assert asked_again(cast, waiver).state == "gates_failed", "asked for is not granted"
    granted(cast, waiver)

    promotion = asked_again(cast, waiver)

    assert promotion.state == "applied"
    assert fresh(promotion.version).stage == "staging"
    verdict, sentence = results(promotion)["metric_at_least"]
    eve, cora = cast.user("eve").username, cast.user("cora").username
    assert verdict == "waived"
    assert sentence.startswith(
        f"Waived until {waiver.until:%Y-%m-%d %H:%M} UTC, asked by {eve}, granted by {cora}: "
    )
    assert "the bound is for grown-up models. The gate says: accuracy is 0.5 " in sentence
    assert promotion.gate_results.get(verdict="waived").waiver == waiver
    types = ["waiver.asked", "waiver.granted"]
    told = Event.objects.filter(type__in=types, namespace=cast.namespace).order_by("pk")
    assert [(e.type, e.actor, e.subject_label) for e in told] == [
        ("waiver.asked", cast.user("eve"), promotion.version.reference),
        ("waiver.granted", cast.user("cora"), promotion.version.reference),
    ]


def test_refused_it_does_nothing(cast: Cast) -> None:
    waiver = a_waiver(cast)
    granted(cast, waiver, "refuse")
    assert asked_again(cast, waiver).state == "gates_failed"
    with pytest.raises(AlreadyDecided):
        granted(cast, waiver)


def test_it_covers_what_the_gate_said_and_nothing_else(cast: Cast) -> None:
    waiver = a_waiver(cast)
    granted(cast, waiver)
    version = fresh(waiver.result.promotion.version)
    evaluate(cast, version, 0.4)
    worse = asked_again(cast, waiver)
    assert (worse.state, results(worse)["metric_at_least"][0]) == ("gates_failed", "fail")
    # Nor what a later policy asks, nor another version.
    simple_policy(
        cast, "staging", [{**METRIC, "parameters": {"metric": "accuracy", "bound": 0.9}}], approvals=0
    )
    evaluate(cast, version, 0.5)
    assert asked_again(cast, waiver).state == "gates_failed"
    other = ready_version(cast)
    evaluate(cast, other, 0.5)
    assert (
        settle(
            promotion_id=request_promotion(version=other, target="staging", by=cast.principal("eve")).pk
        ).state
        == "gates_failed"
    )


def test_it_ends(cast: Cast) -> None:
    waiver = a_waiver(cast, days=1)
    granted(cast, waiver)
    promotion = request_promotion(
        version=waiver.result.promotion.version, target="staging", by=cast.principal("eve")
    )
    settled = settle(promotion_id=promotion.pk, now=timezone.now() + timedelta(days=1, minutes=1))
    assert settled.state == "gates_failed"


def test_an_approval_is_given_to_it_and_void_without_it(cast: Cast) -> None:
    """What ends while somebody has yet to approve was not approved."""
    simple_policy(cast, "production", [{"gate": "external_check", "parameters": {"name": "smoke"}}])
    version = staged_version(cast)
    promotion = request_promotion(version=version, target="production", by=cast.principal("eve"))
    settle(promotion_id=promotion.pk)
    granted(cast, asking(cast, promotion, "external_check", until=timezone.now() + timedelta(days=1)))
    assert settle(promotion_id=promotion.pk).state == "awaiting_approval"
    late = timezone.now() + timedelta(days=1, minutes=1)
    assert settle(promotion_id=promotion.pk, now=late).state == "void"


def test_what_waits_goes_on_when_it_is_granted(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr("lifecycle.evidence.enqueue", lambda task, promotion_id: sent.append(promotion_id))
    promotion = refused(
        cast, [{"gate": "external_check", "parameters": {"name": "smoke", "within_hours": 4}}]
    )
    assert promotion.state == "evaluating"
    waiver = asking(cast, promotion, "external_check")
    outbox.drain(most=1000)
    sent.clear()
    granted(cast, waiver)
    outbox.drain(most=1000)
    assert sent == [str(promotion.pk)]
    evaluate_gates(promotion_id=sent[0])
    promotion.refresh_from_db()
    assert promotion.state == "applied"
    assert fresh(promotion.version).stage == "staging"


def test_another_check_that_waits_too_is_not_waived(cast: Cast) -> None:
    """Neither has found anything, so their evidence is the same: it is what the policy asks that tells them apart."""
    promotion = refused(cast, [{"gate": "external_check", "parameters": {"name": "smoke"}}])
    granted(cast, asking(cast, promotion, "external_check"))
    withdraw_promotion(promotion=promotion, by=cast.principal("eve"))
    security = [{"gate": "external_check", "parameters": {"name": "security"}}]
    again = refused(cast, security, fresh(promotion.version))
    assert (again.state, results(again)["external_check"][0]) == ("evaluating", "pending")


def test_a_report_that_arrives_is_not_waived(cast: Cast) -> None:
    promotion = refused(cast, [{"gate": "external_check", "parameters": {"name": "smoke"}}])
    granted(cast, asking(cast, promotion, "external_check"))
    report_check(version=promotion.version, name="smoke", passed=False, by=cast.principal("ci"))
    assert settle(promotion_id=promotion.pk).state == "gates_failed"


# ---- who, and what is asked of them


def test_engineers_ask_and_operators_decide(cast: Cast) -> None:
    waiver = a_waiver(cast)
    for who in ("ben", "cora", "otto", "vera", "ci"):
        with pytest.raises(Forbidden):
            asking(cast, waiver.result.promotion, "metric_at_least", by=who)
    for who, verdict in itertools.product(("ada", "ben", "eve", "otto", "vera", "ci"), ("grant", "refuse")):
        with pytest.raises(Forbidden):
            granted(cast, waiver, verdict, by=who)
    assert not WaiverDecision.objects.filter(waiver=waiver).exists()


def test_the_stranger_sees_none(cast: Cast) -> None:
    waiver = a_waiver(cast)
    for attempt in (
        lambda: granted(cast, waiver, by="mallory"),
        lambda: asking(cast, waiver.result.promotion, "metric_at_least", by="mallory"),
    ):
        with pytest.raises(NotVisible):
            attempt()
    assert cast.client("mallory").get("/api/v1/waivers").json()["results"] == []


@pytest.mark.parametrize("who", ["eve", "ben"])
def test_nobody_grants_their_own(cast: Cast, who: str) -> None:
    """Who asked, and who made the version, though they are operators; nor past the action."""
    waiver = a_waiver(cast)
    hold_role(cast.namespace, cast.user(who), "production_operator")
    with pytest.raises(OwnRequest):
        granted(cast, waiver, by=who)
    with pytest.raises(IntegrityError, match="does not decide"), transaction.atomic():
        WaiverDecision.objects.create(
            waiver=waiver, verdict="grant", reason=WHY, by=cast.user(who), at=timezone.now()
        )


def test_accounts_are_no_people(cast: Cast) -> None:
    waiver = a_waiver(cast)
    for role in ("production_operator", "ml_engineer"):
        hold_role(cast.namespace, cast.user("ci"), role)
    with pytest.raises(Forbidden, match="by people"):
        granted(cast, waiver, by="ci")
    granted(cast, waiver, "refuse")
    with pytest.raises(Forbidden, match="by people"):
        asking(cast, waiver.result.promotion, "metric_at_least", by="ci")


def test_it_has_a_term(cast: Cast) -> None:
    for days in (-1, 0, 91):
        with pytest.raises(InvalidInput) as refusal:
            a_waiver(cast, days=days)
        assert refusal.value.field == "until"


def test_it_needs_reasons_and_a_result_that_is_in_the_way(cast: Cast) -> None:
    waiver = a_waiver(cast)
    promotion = waiver.result.promotion
    with pytest.raises(WaiverOpen):
        asking(cast, promotion, "metric_at_least")
    with pytest.raises(InvalidInput, match="a reason"):
        asking(cast, promotion, "metric_at_least", reason=" ")
    with pytest.raises(InvalidInput, match="in its way are: metric_at_least"):
        asking(cast, promotion, "no_regression")
    with pytest.raises(NotWaivable, match="is pass"):
        asking(cast, promotion, "evaluated_on")
    with pytest.raises(InvalidInput, match="a reason"):
        decide_waiver(waiver=waiver, verdict="grant", reason="", by=cast.principal("cora"))
    granted(cast, waiver)
    done = asked_again(cast, waiver)
    with pytest.raises(NotWaivable, match="is applied"):
        asking(cast, done, "metric_at_least")


# ---- where it is seen


def test_over_rest_and_on_the_pages(cast: Cast) -> None:
    waiver = a_waiver(cast)
    failed = waiver.result.promotion
    assert not Approval.objects.filter(promotion=failed).exists()
    eve, cora = cast.client("eve"), cast.client("cora")
    listed = cora.get(f"/api/v1/waivers?namespace={cast.namespace.name}&state=asked").json()["results"]
    assert [(row["id"], row["gate"], row["verdict"]) for row in listed] == [
        (str(waiver.pk), "metric_at_least", "fail")
    ]
    shown = eve.get(f"/api/v1/promotions/{failed.pk}").json()
    by_key = {gate["key"]: gate["waiver"] for gate in shown["gates"]}
    assert by_key["metric_at_least"]["state"] == "asked"
    assert by_key["evaluated_on"] is None
    page = Client()
    page.force_login(cast.user("vera"))
    text = page.get(f"/promotions/{failed.pk}").content.decode()
    assert "Waiver asked" in text
    assert "the bound is for grown-up models" in text

    assert eve.post(f"/api/v1/waivers/{waiver.pk}/grant", {"reason": WHY}).status_code == 403
    assert cora.post(f"/api/v1/waivers/{waiver.pk}/grant", {"reason": WHY}).json()["state"] == "granted"
    again = asked_again(cast, waiver)
    gates = {gate["key"]: gate for gate in eve.get(f"/api/v1/promotions/{again.pk}").json()["gates"]}
    assert (gates["metric_at_least"]["verdict"], gates["metric_at_least"]["waiver"]["decided_by"]) == (
        "waived",
        cast.user("cora").username,
    )
    assert "Waived until" in page.get(f"/promotions/{again.pk}").content.decode()
    more = eve.post(
        f"/api/v1/promotions/{failed.pk}/waivers",
        {"gate": "metric_at_least", "reason": "r", "until": "2020-01-01T00:00:00Z"},
    )
    assert (more.status_code, more.json()["field"]) == (422, "until")


def test_it_is_granted_in_the_admin(cast: Cast) -> None:
    waiver = a_waiver(cast)
    address = f"/admin/lifecycle/waiver/{waiver.pk}"
    vera, cora = Client(), Client()
    vera.force_login(cast.user("vera"))
    cora.force_login(cast.user("cora"))
    assert vera.post(f"{address}/grant/", {"reason": WHY}).status_code == 403
    page = cora.get(f"{address}/grant/").content.decode()
    assert "be let stand until" in page
    assert "accuracy is 0.5" in page
    done = cora.post(f"{address}/grant/", {"reason": WHY}, follow=True)
    assert "metric_at_least is let stand until" in done.content.decode()
    assert asked_again(cast, waiver).state == "applied"


def test_production_waives_and_is_approved(cast: Cast) -> None:
    """With approvals: the waiver is part of what is approved."""
    simple_policy(cast, "production", [{**METRIC, "parameters": {"metric": "accuracy", "bound": 0.95}}])
    version = staged_version(cast, 0.9)
    failed = settle(
        promotion_id=request_promotion(version=version, target="production", by=cast.principal("eve")).pk
    )
    waiver = asking(cast, failed, "metric_at_least")
    granted(cast, waiver)
    waiting = asked_again(cast, waiver)
    assert waiting.state == "awaiting_approval"
    done = decide_promotion(promotion=waiting, verdict="approve", by=cast.principal("cora"))
    assert done.state == "applied"
