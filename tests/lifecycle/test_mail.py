"""Who is told by mail of a promotion, and of what goes back or out of production."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.actions.promotions import decide_promotion, move_version, request_promotion, roll_back
from lifecycle.promotions import settle
from registry.actions.accounts import set_address
from registry.actions.roles import create_group, grant_role
from registry.journal import outbox
from registry.models import Mail
from tests.cast import Cast
from tests.factories import (
    a_waiver,
    evaluate,
    fresh,
    promotion_at,
    published_policy,
    ready_version,
    simple_policy,
    staged_version,
)
from tests.lifecycle.holding import asked, held

EVERYBODY = ("ada", "ben", "eve", "cora", "otto", "vera", "mallory")


@pytest.fixture(autouse=True)
def reachable(cast: Cast, settings: Any) -> None:
    settings.EMAIL_HOST = "mail.example.org"
    for name in EVERYBODY:
        set_address(email=f"{name}@example.org", by=cast.principal(name))


def mailed(cast: Cast, subject: str) -> dict[str, str]:
    """Who is told something that begins so, and the text."""
    while outbox.drain():
        pass
    rows = Mail.objects.filter(event__namespace=cast.namespace, subject__startswith=subject)
    return {mail.to.email.partition("@")[0]: mail.body for mail in rows.select_related("to")}


def test_it_waits_for_those_who_may_decide(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    told = mailed(cast, f"Waits for you: {promotion.version.reference} to production")
    assert set(told) == {"cora"}
    assert (
        f"{cast.user('eve').username} asks to bring {promotion.version.reference} to production: better"
        in told["cora"]
    )
    assert f"/admin/desk/{promotion.pk}/" in told["cora"]


def test_who_made_the_version_is_not_asked(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval", version=staged_version(cast, by="cora"))
    assert promotion.state == "awaiting_approval"
    assert mailed(cast, "Waits for you") == {}


def test_who_asked_is_told_of_a_rejection(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    decide_promotion(
        promotion=promotion, verdict="reject", reason="Portugal got worse.", by=cast.principal("cora")
    )
    told = mailed(cast, f"Rejected: {promotion.version.reference} to production")
    assert set(told) == {"eve"}
    assert "Portugal got worse." in told["eve"]


def test_who_asked_is_told_what_the_gates_refused(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.5)
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))
    settle(promotion_id=promotion.pk)
    told = mailed(cast, f"Refused by its gates: {version.reference} to staging")
    assert set(told) == {"eve"}
    assert "1 of " in told["eve"]


def test_back_and_out_of_production(cast: Cast) -> None:
    first = fresh(promotion_at(cast, "applied").version)
    second = fresh(promotion_at(cast, "applied", version=staged_version(cast, 0.95), value=0.95).version)
    back = roll_back(model=second.model, reason="It drifts.", by=cast.principal("cora"))
    assert settle(promotion_id=back.pk).state == "applied"
    told = mailed(cast, f"Rolled back: {first.reference}")
    assert set(told) == {"ben"}  # who made it; cora did it herself, and is the only operator
    assert f"{cast.user('cora').username}: It drifts." in told["ben"]
    move_version(version=fresh(first), move="suspend", reason="Wrong prices.", by=cast.principal("cora"))
    told = mailed(cast, f"Suspended: {first.reference}")
    assert "is out of production" in told["ben"]


def test_a_waiver_waits_too(cast: Cast) -> None:
    waiver = a_waiver(cast)
    told = mailed(cast, "Waits for you: a waiver")
    assert set(told) == {"cora"}
    assert waiver.reason in told["cora"]


def test_an_event_that_is_handed_on_twice_is_mailed_once(cast: Cast) -> None:
    promotion_at(cast, "awaiting_approval")
    assert len(mailed(cast, "Waits for you")) == 1
    mail = Mail.objects.get(event__namespace=cast.namespace, subject__startswith="Waits")
    for consume in outbox.consumers():
        consume(mail.event)
    assert Mail.objects.filter(event=mail.event).count() == 1


def test_who_is_in_a_group_that_the_policy_names_is_asked_too(cast: Cast) -> None:
    create_group(namespace=cast.namespace, name="risk", by=cast.principal("ada"))
    for who in ("vera", "eve"):
        grant_role(namespace=cast.namespace, user=cast.user(who), role="risk", by=cast.principal("ada"))
    simple_policy(cast, "production", approvals=1)
    promotion_at(cast, "awaiting_approval", value=0.9)
    assert set(mailed(cast, "Waits for you")) == {"cora"}
    published_policy(
        cast,
        target="production",
        gates=[],
        approvals={"count": 2, "groups": [{"group": "risk", "count": 1}]},
    )
    promotion_at(cast, "awaiting_approval", value=0.9)
    # eve asked for it, and is not asked.
    assert set(mailed(cast, "Waits for you")) == {"cora", "vera"}


def test_that_a_hold_be_lifted_waits_for_the_others(cast: Cast) -> None:
    hold = held(cast, ready_version(cast))
    asked(cast, hold)
    (who,) = mailed(cast, "Waits for you: a legal hold of")
    assert who.startswith("cora"), "ada asked, and decides on nothing"
