"""Who answers for a request or a version does not decide on it: refused with a sentence, by every way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from lifecycle.actions.policies import report_check
from lifecycle.actions.promotions import OwnRequest, decide_promotion, request_promotion
from lifecycle.dossier.inbox import count_waiting
from lifecycle.models import Approval, Promotion
from lifecycle.promotions import settle
from registry.actions.roles import grant_role
from tests.cast import Cast, hold_role
from tests.factories import evaluate, fresh, ready_version, simple_policy

ASKED = "You asked for this promotion, so somebody else must decide on it."
MADE = "You trained or registered this version, so somebody else must decide on it."


def waiting(cast: Cast, made_by: str, asked_by: str) -> Promotion:
    simple_policy(cast, "production", gates=[])
    version = ready_version(cast, by=made_by)
    evaluate(cast, version, 0.9, by="ada" if made_by != "ada" else "eve")
    for target in ("staging", "production"):
        asked = request_promotion(version=fresh(version), target=target, by=cast.principal(asked_by))
        report_check(version=version, name="integration", passed=True, by=cast.principal("ci"))
        promotion = settle(promotion_id=asked.pk)
    assert promotion.state == "awaiting_approval", promotion.outcome
    return promotion


def trained_by_a_person(cast: Cast) -> Promotion:
    return waiting(cast, "ben", "eve")


def trained_by_an_account(cast: Cast) -> Promotion:
    """ci trained it; ada answers for ci."""
    return waiting(cast, "ci", "eve")


def asked_by_an_account(cast: Cast) -> Promotion:
    grant_role(namespace=cast.namespace, user=cast.user("ci"), role="ml_engineer", by=cast.principal("ada"))
    return waiting(cast, "ben", "ci")


CASES = [
    (trained_by_a_person, "eve", ASKED),
    (trained_by_a_person, "ben", MADE),
    (trained_by_an_account, "ada", MADE),
    (asked_by_an_account, "ada", ASKED),
]


@pytest.mark.parametrize(("scene", "who", "told"), CASES)
def test_though_they_are_operators(
    cast: Cast, scene: Callable[[Cast], Promotion], who: str, told: str
) -> None:
    promotion = scene(cast)
    hold_role(cast.namespace, cast.user(who), "production_operator")

    for verdict in ("approve", "reject"):
        with pytest.raises(OwnRequest) as refusal:
            decide_promotion(promotion=promotion, verdict=verdict, reason="mine", by=cast.principal(who))
        assert refusal.value.sentence == told
        # By a token of theirs it is they who decide.
        answer = cast.client(who).post(f"/api/v1/promotions/{promotion.pk}/{verdict}", {"reason": "mine"})
        assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == (
            403,
            "own-request",
            told,
        )
    with pytest.raises(IntegrityError, match="does not decide"), transaction.atomic():
        Approval.objects.create(
            promotion=promotion,
            by=cast.user(who),
            verdict="approve",
            binding=promotion.binding,
            at=timezone.now(),
        )
    assert count_waiting(cast.principal(who)) == 0
    assert count_waiting(cast.principal("cora")) == 1
