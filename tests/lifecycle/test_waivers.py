"""Waivers: two people let one result stand, for a reason and a time; shown everywhere; never integrity or malice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from lifecycle.actions.policies import report_check
from lifecycle.actions.promotions import AlreadyDecided, OwnRequest, decide_promotion, request_promotion
from lifecycle.actions.waivers import NeverWaived, NotWaivable, WaiverOpen, ask_waiver, decide_waiver
from lifecycle.models import Approval, GateResult, Promotion, Waiver, WaiverDecision
from lifecycle.promotions import settle
from lifecycle.tasks.promotions import evaluate_gates
from registry.actions.roles import grant_role
from registry.artifacts.scanning import SCANNER
from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.journal import outbox
from registry.models import Blob, Event, ModelVersion, ScanReport
from tests.cast import Cast
from tests.factories import a_waiver, evaluate, fresh, ready_version, results, simple_policy, staged_version

WHY = "two points are worth the new country"
METRIC = {"gate": "metric_at_least", "parameters": {"metric": "accuracy", "bound": 0.8}}


def asked_again(cast: Cast, waiver: Waiver) -> Promotion:
    """The same version asks for the same stage once more."""
    promotion = waiver.result.promotion
    again = request_promotion(
        version=fresh(promotion.version), target=promotion.target, by=cast.principal("eve")
    )
    return settle(promotion_id=again.pk)


def granted(cast: Cast, waiver: Waiver, verdict: str = "grant", by: str = "cora") -> WaiverDecision:
    return decide_waiver(waiver=waiver, verdict=verdict, reason=WHY, by=cast.principal(by))


def refused(cast: Cast, gates: list[dict[str, Any]], version: ModelVersion | None = None) -> Promotion:
    """A promotion to staging that these gates were asked about."""
    simple_policy(cast, "staging", gates, approvals=0)
    asked = request_promotion(
        version=version or ready_version(cast), target="staging", by=cast.principal("eve")
    )
    return settle(promotion_id=asked.pk)


def asking(cast: Cast, promotion: Promotion, gate: str, by: str = "eve", **more: Any) -> Waiver:
    given = {"reason": WHY, "until": timezone.now() + timedelta(days=7), **more}
    return ask_waiver(promotion=promotion, gate=gate, by=cast.principal(by), **given)


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


def test_a_report_that_arrives_is_not_waived(cast: Cast) -> None:
    promotion = refused(cast, [{"gate": "external_check", "parameters": {"name": "smoke"}}])
    granted(cast, asking(cast, promotion, "external_check"))
    report_check(version=promotion.version, name="smoke", passed=False, by=cast.principal("ci"))
    assert settle(promotion_id=promotion.pk).state == "gates_failed"


# ---- who, and what is asked of them


@pytest.mark.parametrize("who", ["ben", "cora", "otto", "vera", "ci"])
def test_engineers_ask(cast: Cast, who: str) -> None:
    promotion = a_waiver(cast).result.promotion
    with pytest.raises(Forbidden):
        asking(cast, promotion, "metric_at_least", by=who)


@pytest.mark.parametrize("who", ["ada", "ben", "eve", "otto", "vera", "ci"])
def test_operators_decide(cast: Cast, who: str) -> None:
    waiver = a_waiver(cast)
    for verdict in ("grant", "refuse"):
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
    grant_role(
        namespace=cast.namespace, user=cast.user(who), role="production_operator", by=cast.principal("ada")
    )
    with pytest.raises(OwnRequest):
        granted(cast, waiver, by=who)
    with pytest.raises(IntegrityError, match="does not decide"), transaction.atomic():
        WaiverDecision.objects.create(
            waiver=waiver, verdict="grant", reason=WHY, by=cast.user(who), at=timezone.now()
        )


def test_accounts_are_no_people(cast: Cast) -> None:
    waiver = a_waiver(cast)
    for role in ("production_operator", "ml_engineer"):
        grant_role(namespace=cast.namespace, user=cast.user("ci"), role=role, by=cast.principal("ada"))
    with pytest.raises(Forbidden, match="by people"):
        granted(cast, waiver, by="ci")
    granted(cast, waiver, "refuse")
    with pytest.raises(Forbidden, match="by people"):
        asking(cast, waiver.result.promotion, "metric_at_least", by="ci")


@pytest.mark.parametrize("days", [-1, 0, 91])
def test_it_has_a_term(cast: Cast, days: int) -> None:
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


# ---- what is never waived


def test_integrity_is_never_waived(cast: Cast) -> None:
    version = ready_version(cast)
    Blob.objects.filter(artifacts__manifest=version.manifest).update(quarantined_at=timezone.now())
    promotion = refused(cast, [], version)
    assert promotion.state == "gates_failed"
    with pytest.raises(NeverWaived, match="Integrity is never waived"):
        asking(cast, promotion, "integrity_verified")
    _never(cast, promotion, "integrity_verified")


def _never(cast: Cast, promotion: Promotion, gate: str) -> None:
    """Nor past the action: the database refuses the asking."""
    result = promotion.gate_results.filter(key=gate).latest("pk")
    with pytest.raises(IntegrityError, match="never waived"), transaction.atomic():
        Waiver.objects.create(
            result=result,
            reason=WHY,
            until=timezone.now() + timedelta(days=1),
            by=cast.user("eve"),
            at=timezone.now(),
        )


def scanned(version: ModelVersion, verdict: str, scanner: str = SCANNER) -> None:
    blob = version.manifest.artifacts.get().blob
    found = [{"where": "", "what": "imports os.system", "name": "os.system", "verdict": verdict}]
    ScanReport.objects.create(blob=blob, scanner=scanner, format="pickle", verdict=verdict, findings=found)


SCAN = {"gate": "scan_clean", "parameters": {}}


def test_a_malicious_file_is_never_waived(cast: Cast) -> None:
    version = ready_version(cast)
    scanned(version, "malicious")
    promotion = refused(cast, [SCAN], version)
    with pytest.raises(NeverWaived, match=r"A malicious file is never waived: model\.skops is malicious"):
        asking(cast, promotion, "scan_clean")
    _never(cast, promotion, "scan_clean")


def test_a_suspicious_file_is_until_it_is_found_malicious(cast: Cast) -> None:
    """A later release of the scanner sees more: what was granted before counts no more, and not for the database."""
    version = ready_version(cast)
    scanned(version, "suspicious", scanner="0")
    scanned(version, "suspicious")
    promotion = refused(cast, [SCAN], version)
    waiver = asking(cast, promotion, "scan_clean")
    granted(cast, waiver)
    again = asked_again(cast, waiver)
    assert again.state == "applied"

    other = ready_version(cast)
    scanned(other, "suspicious")
    promotion = refused(cast, [SCAN], other)
    waiver = asking(cast, promotion, "scan_clean")
    granted(cast, waiver)
    scanned(other, "malicious", scanner="999")
    second = asked_again(cast, waiver)
    assert (second.state, results(second)["scan_clean"][0]) == ("gates_failed", "fail")
    with pytest.raises(IntegrityError, match="never waived"), transaction.atomic():
        _waived_by_hand(second, waiver)


def _waived_by_hand(promotion: Promotion, waiver: Waiver) -> GateResult:
    result = promotion.gate_results.filter(key=waiver.result.key).latest("pk")
    return GateResult.objects.create(
        promotion=promotion, key=result.key, gate=result.gate, verdict="waived", sentence="so I say",
        evidence=result.evidence, waiver=waiver, at=timezone.now(),
    )  # fmt: skip


def test_the_database_asks_for_a_grant_that_covers_it(cast: Cast) -> None:
    waiver = a_waiver(cast)
    failed = waiver.result.promotion
    with pytest.raises(IntegrityError, match="no waiver that was granted"), transaction.atomic():
        _waived_by_hand(failed, waiver)
    granted(cast, waiver)
    other = ready_version(cast)
    evaluate(cast, other, 0.5)
    elsewhere = request_promotion(version=other, target="staging", by=cast.principal("eve"))
    settle(promotion_id=elsewhere.pk)
    with pytest.raises(IntegrityError, match="no waiver that was granted"), transaction.atomic():
        _waived_by_hand(elsewhere, waiver)
    _waived_by_hand(failed, waiver)


def test_the_database_applies_nothing_whose_waiver_is_over_or_found_malicious(cast: Cast) -> None:
    """All else is there: the result is waived, and the approvals are none."""
    version = ready_version(cast)
    scanned(version, "suspicious")
    promotion = refused(cast, [SCAN], version)
    waiver = asking(cast, promotion, "scan_clean")
    granted(cast, waiver)
    again = request_promotion(version=fresh(version), target="staging", by=cast.principal("eve"))
    for result in promotion.gate_results.all():
        GateResult.objects.create(
            promotion=again, key=result.key, gate=result.gate, evidence=result.evidence, sentence="s",
            verdict="waived" if result.key == "scan_clean" else "pass", at=timezone.now(),
            waiver=waiver if result.key == "scan_clean" else None,
        )  # fmt: skip
    statement = "UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s"
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement, [again.pk])
        transaction.set_rollback(True)
    scanned(version, "malicious", scanner="999")
    with (
        pytest.raises(IntegrityError, match="gates are not passed: scan_clean"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, [again.pk])


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
