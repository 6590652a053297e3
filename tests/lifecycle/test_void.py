"""An approval is given to something: what comes after it voids it, with the reason, by every way it could be used."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from lifecycle.actions import promotions as actions
from lifecycle.actions.promotions import decide_promotion, move_version, request_promotion
from lifecycle.models import Promotion, State
from lifecycle.promotions import PromotionIsClosed, apply, settle
from lifecycle.tasks.promotions import evaluate_gates
from registry.journal import outbox
from registry.models import Event
from tests.cast import Cast, hold_role
from tests.factories import evaluate, fresh, promotion_at, published_policy, simple_policy, staged_version

BOUND = {"gate": "metric_at_least", "parameters": {"metric": "accuracy", "bound": 0.8}}


@pytest.fixture
def approved(cast: Cast) -> Promotion:
    """Two approvals are asked, and cora has given hers."""
    simple_policy(cast, "production", gates=[BOUND], approvals=2)
    promotion = promotion_at(cast, "awaiting_approval")
    hold_role(cast.namespace, cast.user("otto"), "production_operator")
    return decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("cora"))


def evidence(cast: Cast, promotion: Promotion) -> None:
    evaluate(cast, promotion.version, 0.95)


def policy(cast: Cast, promotion: Promotion) -> None:
    simple_policy(cast, "production", gates=[BOUND], approvals=3)


def own_policy(cast: Cast, promotion: Promotion) -> None:
    published_policy(
        cast, model=promotion.version.model, target="production", gates=[], approvals={"count": 1}
    )


CHANGES = [
    (evidence, "the evidence changed since the gates were passed"),
    (policy, "the policy changed: {namespace} production policy, revision 3 was published after"),
    (own_policy, "the policy changed: {namespace}/scorer production policy, revision 1 was published after"),
]
Change = Callable[[Cast, Promotion], None]


@pytest.mark.parametrize(("change", "why"), CHANGES)
def test_the_second_approval_finds_it_void(cast: Cast, approved: Promotion, change: Change, why: str) -> None:
    change(cast, approved)

    answer = decide_promotion(promotion=approved, verdict="approve", by=cast.principal("otto"))

    assert answer.state == State.VOID
    assert answer.outcome.startswith(why.format(namespace=cast.namespace.name))
    assert fresh(approved.version).stage == "staging"
    event = Event.objects.get(subject_id=approved.pk, type="promotion.void")
    assert event.reason == answer.outcome


@pytest.mark.parametrize(("change", "why"), CHANGES)
def test_the_journal_finds_it_void_before_anybody_asks(
    cast: Cast, approved: Promotion, change: Change, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr("lifecycle.evidence.enqueue", lambda task, promotion_id: sent.append(promotion_id))
    outbox.drain(most=1000)
    sent.clear()
    change(cast, approved)
    outbox.drain(most=1000)
    assert str(approved.pk) in sent

    evaluate_gates(promotion_id=str(approved.pk))

    approved.refresh_from_db()
    assert approved.state == State.VOID
    assert approved.outcome.startswith(why.format(namespace=cast.namespace.name))


def test_production_changed(cast: Cast, approved: Promotion) -> None:
    """Another version goes there first; and what is there leaves."""
    simple_policy(cast, "production", gates=[BOUND])
    first = promotion_at(cast, "applied").version
    simple_policy(cast, "production", gates=[BOUND], approvals=2)
    waiting = promotion_at(cast, "awaiting_approval", value=0.95)
    decide_promotion(promotion=waiting, verdict="approve", by=cast.principal("cora"))
    move_version(version=first, move="suspend", reason="it is biased", by=cast.principal("cora"))

    waiting.refresh_from_db()

    assert waiting.state == State.VOID
    assert waiting.outcome == f"production changed: {first.reference} is now deprecated"
    with pytest.raises(PromotionIsClosed, match="production changed"):
        decide_promotion(promotion=waiting, verdict="approve", by=cast.principal("otto"))


def test_its_time_runs_out(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "VALID_FOR", timedelta(seconds=1))
    simple_policy(cast, "production", gates=[BOUND], approvals=1)
    promotion = promotion_at(cast, "awaiting_approval")
    time.sleep(max(0.0, (promotion.expires_at - timezone.now()).total_seconds()))

    with pytest.raises(PromotionIsClosed, match="has expired; ask again"):
        decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("cora"))
    with pytest.raises(PromotionIsClosed, match="has expired; ask again"):
        apply(promotion_id=promotion.pk, by=cast.principal("cora"))
    with (
        pytest.raises(IntegrityError, match="it has expired"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s", [promotion.pk])
    # To ask again needs no sweep.
    again = actions.request_promotion(
        version=promotion.version, target="production", by=cast.principal("eve")
    )
    assert again.state == State.EVALUATING
    promotion.refresh_from_db()
    assert (promotion.state, promotion.outcome) == (State.EXPIRED, "nobody decided in time")
    with pytest.raises(PromotionIsClosed, match="is expired: nobody decided in time"):
        decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("cora"))


def test_nor_does_the_database_apply_it(cast: Cast, approved: Promotion) -> None:
    """Both have approved by hand; then another revision is published, or its time is moved."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO lifecycle_approval (promotion_id, by_id, verdict, reason, binding, at)"
            " VALUES (%s, %s, 'approve', '', %s, now())",
            [approved.pk, cast.user("otto").pk, approved.binding],
        )
    for attack, told in (
        ("UPDATE lifecycle_promotion SET expires_at = now() + interval '1 year' WHERE id = %s", "sealed"),
        ("UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s", "another policy was published"),
    ):
        policy(cast, approved)
        with (
            pytest.raises(IntegrityError, match=told),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(attack, [approved.pk])


def test_what_waits_for_its_gates_is_asked_for_again_too(cast: Cast) -> None:
    """Nobody has approved it yet, but somebody would, by a policy that is not in force."""
    promotion = request_promotion(version=staged_version(cast), target="production", by=cast.principal("eve"))
    assert settle(promotion_id=promotion.pk).state == State.EVALUATING
    policy(cast, promotion)

    assert settle(promotion_id=promotion.pk).outcome.startswith("the policy changed")
