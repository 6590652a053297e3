"""Evidence that arrives is looked at: the drain hands it on, the open promotions it touches are evaluated again."""

from __future__ import annotations

import pytest
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from lifecycle.actions.policies import report_check
from lifecycle.actions.promotions import request_promotion
from lifecycle.gates import GATES
from lifecycle.gates.evaluate import context_of, findings
from lifecycle.models import Promotion
from lifecycle.promotions import settle
from lifecycle.tasks.promotions import evaluate_gates
from registry.journal import outbox
from registry.models import OutboxItem
from tests.cast import Cast
from tests.factories import evaluate, promotion_at, ready_version, results, staged_version


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the promotions whose evaluation was asked for."""
    asked: list[str] = []
    monkeypatch.setattr("lifecycle.evidence.enqueue", lambda task, promotion_id: asked.append(promotion_id))
    return asked


def drained(cast: Cast) -> None:
    outbox.drain(most=1000)
    assert not OutboxItem.objects.filter(event__namespace=cast.namespace).exists()


def test_a_reported_check_wakes_the_promotion_that_waits_for_it(cast: Cast, sent: list[str]) -> None:
    version = staged_version(cast)
    promotion = request_promotion(version=version, target="production", by=cast.principal("eve"))
    settle(promotion_id=promotion.pk)
    drained(cast)
    sent.clear()

    report_check(version=version, name="integration", passed=True, by=cast.principal("ci"))
    drained(cast)

    assert sent == [str(promotion.pk)]
    evaluate_gates(promotion_id=sent[0])
    assert Promotion.objects.get(pk=promotion.pk).state == "awaiting_approval"


def test_a_failed_check_ends_it(cast: Cast) -> None:
    version = staged_version(cast)
    promotion = request_promotion(version=version, target="production", by=cast.principal("eve"))
    report_check(version=version, name="integration", passed=False, sentence="500s", by=cast.principal("ci"))

    evaluate_gates(promotion_id=str(promotion.pk))

    promotion.refresh_from_db()
    assert promotion.state == "gates_failed"
    assert "500s" in results(promotion)["external_check"][1]


def test_the_requesters_own_report_is_none(cast: Cast) -> None:
    version = staged_version(cast)
    promotion = request_promotion(version=version, target="production", by=cast.principal("eve"))
    report_check(version=version, name="integration", passed=True, by=cast.principal("eve"))

    evaluate_gates(promotion_id=str(promotion.pk))

    assert results(promotion)["external_check"][0] == "pending"


def test_an_evaluation_of_something_else_wakes_nobody(cast: Cast, sent: list[str]) -> None:
    promotion_at(cast, "awaiting_approval")
    drained(cast)
    sent.clear()

    evaluate(cast, ready_version(cast, model="unrelated"), 0.5)
    drained(cast)

    assert sent == []


def test_a_consumer_that_fails_holds_nothing_up(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate(cast, ready_version(cast), 0.5)
    waiting = OutboxItem.objects.filter(event__namespace=cast.namespace)
    before = waiting.count()

    def broken(event: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(outbox, "consumers", lambda: (broken,))
    outbox.drain(most=1000)

    assert waiting.count() == before
    item = waiting.order_by("pk")[0]
    assert (item.attempts, "boom" in item.last_error) == (1, True)
    # However often it fails, it waits and holds nothing up.
    waiting.update(attempts=60, due_at=timezone.now())
    outbox.drain(most=1000)
    assert waiting.order_by("pk")[0].attempts == 61


def test_a_gate_that_raises_never_passes(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    version = staged_version(cast)
    promotion = request_promotion(version=version, target="production", by=cast.principal("eve"))

    def broken(context: object, given: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(GATES["no_regression"], "evaluate", broken)
    promotion = settle(promotion_id=promotion.pk)

    assert promotion.state == "gates_failed"
    assert results(promotion)["no_regression"][0] == "error"


def test_the_same_facts_give_the_same_evidence_and_no_second_row(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    rows = promotion.gate_results.count()

    first, second = (findings(context_of(promotion, promotion.requested_at)) for _ in range(2))
    settle(promotion_id=promotion.pk)

    assert first == second
    assert promotion.gate_results.count() == rows


def test_asking_enqueues_after_commit(
    cast: Cast, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    version = ready_version(cast)
    with django_capture_on_commit_callbacks() as callbacks:
        request_promotion(version=version, target="staging", by=cast.principal("eve"))

    assert len(callbacks) == 2  # the drain of the event, and the evaluation of the gates
