"""Drafts and their publication: by two people for production, against what is in force, and what they change."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from lifecycle.actions.policies import (
    OwnPolicy,
    PolicyNotDraft,
    draft_policy,
    publish_policy,
    withdraw_policy,
)
from lifecycle.actions.promotions import request_promotion
from lifecycle.models import Policy, Promotion
from lifecycle.policies import current, ensure_seeded
from lifecycle.revisions import changes
from registry.actions.models import edit_model
from registry.actions.people import create_user
from registry.actions.roles import grant_role
from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.models import SYSTEM, Event, Principal
from tests.cast import Cast
from tests.factories import published_policy, ready_version

ACCURATE = {"gate": "metric_at_least", "parameters": {"metric": "accuracy", "bound": 0.8}}
RULE: dict[str, Any] = {"gates": [ACCURATE], "approvals": {"count": 1}}


def draft(cast: Cast, target: str = "production", **other: Any) -> Policy:
    made, _ = draft_policy(
        namespace=cast.namespace, target=target, **{**RULE, "by": cast.principal("ada"), **other}
    )
    return made


def told(cast: Cast, type_: str) -> int:
    return Event.objects.filter(namespace=cast.namespace, type=type_).count()


def test_a_draft_changes_nothing_until_somebody_else_publishes_it(cast: Cast) -> None:
    model = ready_version(cast).model
    before = current(model, "production")
    policy = draft(cast)
    assert (policy.state, policy.replaces, current(model, "production")) == ("draft", before, before)
    with pytest.raises(OwnPolicy, match="somebody else must publish it"):
        publish_policy(policy=policy, by=cast.principal("ada"))
    published = publish_policy(policy=policy, reason="As agreed.", by=cast.principal("cora"))
    assert (published.published_by, current(model, "production")) == (cast.user("cora"), policy)
    event = Event.objects.get(namespace=cast.namespace, type="policy.published")
    assert event.reason == "As agreed."
    assert event.after is not None
    assert "No longer asked: " in event.after["changes"][0]


@pytest.mark.parametrize("who", ["ben", "eve", "otto", "vera", "ci"])
def test_who_may_not_publish(cast: Cast, who: str) -> None:
    with pytest.raises(Forbidden):
        publish_policy(policy=draft(cast), by=cast.principal(who))
    with pytest.raises(NotVisible):
        publish_policy(policy=draft(cast), by=cast.principal("mallory"))


def test_a_service_account_of_the_drafter_is_not_a_second_person(cast: Cast) -> None:
    robot = create_user(username=f"robot-{cast.namespace.name}", owner=cast.user("ada"), by=SYSTEM)
    grant_role(namespace=cast.namespace, user=robot, role="namespace_admin", by=SYSTEM)
    with pytest.raises(Forbidden, match="by a person"):
        publish_policy(policy=draft(cast), by=Principal(user=robot))
    drafted = draft(cast, by=Principal(user=robot), approvals={"count": 2})
    with pytest.raises(OwnPolicy):
        publish_policy(policy=drafted, by=cast.principal("ada"))
    assert publish_policy(policy=drafted, by=cast.principal("cora")).state == "published"


def test_one_person_may_publish_for_staging(cast: Cast) -> None:
    assert publish_policy(policy=draft(cast, "staging"), by=cast.principal("ada")).state == "published"


def test_what_says_the_same_makes_no_revision(cast: Cast) -> None:
    first = draft(cast)
    assert draft_policy(namespace=cast.namespace, target="production", **RULE, by=cast.principal("ada")) == (
        first,
        False,
    )
    publish_policy(policy=first, by=cast.principal("cora"))
    assert draft(cast) == first
    assert (told(cast, "policy.drafted"), told(cast, "policy.published")) == (1, 1)


def test_another_draft_withdraws_the_one_that_waits(cast: Cast) -> None:
    first, second = draft(cast), draft(cast, approvals={"count": 2})
    first.refresh_from_db()
    assert (first.state, second.state, second.revision) == ("withdrawn", "draft", first.revision + 1)
    withdrawn = Event.objects.get(namespace=cast.namespace, type="policy.withdrawn")
    assert withdrawn.reason == f"revision {second.revision} was drafted in its place"
    with pytest.raises(PolicyNotDraft, match="withdrawn: only a draft"):
        publish_policy(policy=first, by=cast.principal("cora"))


def test_withdrawing(cast: Cast) -> None:
    policy = draft(cast)
    with pytest.raises(Forbidden):
        withdraw_policy(policy=policy, by=cast.principal("eve"))
    withdraw_policy(policy=policy, reason="Not now.", by=cast.principal("ada"))
    assert Event.objects.get(namespace=cast.namespace, type="policy.withdrawn").reason == "Not now."
    with pytest.raises(PolicyNotDraft):
        withdraw_policy(policy=policy, by=cast.principal("ada"))
    assert draft(cast).revision == policy.revision + 1


def test_a_models_policy_comes_before_its_tiers_and_that_before_the_namespaces(cast: Cast) -> None:
    model = ready_version(cast).model
    plain = current(model, "staging")
    tiered = published_policy(cast, target="staging", risk_tier="high", gates=[], approvals={"count": 1})
    assert current(model, "staging") == plain
    with pytest.raises(Forbidden, match=r"policy\.edit"):
        edit_model(model=model, risk_tier="high", by=cast.principal("ben"))
    model = edit_model(model=model, risk_tier="high", by=cast.principal("ada"))
    assert current(model, "staging") == tiered
    own = published_policy(cast, target="staging", model=model, gates=[], approvals={"count": 2})
    published_policy(cast, target="staging", risk_tier="high", gates=[], approvals={"count": 3})
    assert current(model, "staging") == own
    assert str(tiered) == f"{cast.namespace.name}, tier high staging policy, revision 1"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"target": "archived"}, "target"),
        ({"risk_tier": "x" * 41}, "risk_tier"),
        ({"reason": "x" * 4001}, "reason"),
        ({"approvals": {"count": 0}}, "approvals.count"),
    ],
)
def test_refused_drafts_point_at_the_field(cast: Cast, given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        draft(cast, **given)
    assert refusal.value.field == field
    with pytest.raises(InvalidInput, match="not for both"):
        draft(cast, model=ready_version(cast).model, risk_tier="high")


def test_what_a_revision_changes(cast: Cast) -> None:
    before = published_policy(
        cast,
        target="staging",
        gates=[ACCURATE, {"gate": "evaluated_on"}, {"gate": "signature_valid"}],
        approvals={"count": 0},
    )
    tighter = {"gate": "metric_at_least", "parameters": {"metric": "accuracy", "bound": 0.9}}
    second = {"gate": "metric_at_least", "parameters": {"metric": "auc", "bound": 0.7}}
    after = published_policy(
        cast, target="staging", gates=[second, tighter, {"gate": "evaluated_on"}], approvals={"count": 1}
    )
    told = changes(before, "staging", after.gates, after.approvals)
    assert [(each["what"], each.get("gate")) for each in told] == [
        ("removed", "signature_valid"),
        ("changed", "metric_at_least"),
        ("added", "metric_at_least"),
        ("approvals", None),
    ]
    assert told[1]["parameters"] == {"bound": [0.8, 0.9]}
    assert told[1]["sentence"] == (
        "Changed: accuracy on test is at least 0.9; before: accuracy on test is at least 0.8."
    )
    assert told[2]["sentence"] == "Newly asked: auc on test is at least 0.7."
    assert told[3]["sentence"] == "Approvals: 0 before; 1 now."
    assert changes(after, "staging", after.gates, after.approvals) == []
    moved = changes(after, "staging", list(reversed(after.gates)), after.approvals)
    assert [each["what"] for each in moved] == ["moved"]


def row(cast: Cast, **other: Any) -> Policy:
    """A row past the actions, as a program with the runtime role's password would write it."""
    ensure_seeded(cast.namespace)
    held = Policy.objects.get(namespace=cast.namespace, target="production", state="published")
    return Policy.objects.create(
        **{
            "namespace": cast.namespace,
            "target": "production",
            "revision": 2,
            "replaces": held,
            "created_by": cast.user("ada"),
            "approvals": {"count": 1},
            **other,
        }
    )


def refused(constraint: str, policy: Policy, **to: Any) -> None:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        Policy.objects.filter(pk=policy.pk).update(**to)
    assert caught.value.__cause__.diag.constraint_name == constraint  # type: ignore[union-attr]


def test_the_database_asks_for_the_second_person(cast: Cast) -> None:
    policy, now = row(cast), timezone.now()
    for who in ("ada", "eve", "ci", "mallory"):
        wanted = {"ada": "own_policy", "ci": "own_policy"}.get(who, "not_a_publisher")
        refused(wanted, policy, state="published", published_by=cast.user(who), published_at=now)
    refused("own_policy", policy, state="published", published_at=now)
    refused("sealed", policy, gates=[{"gate": "magic"}])
    refused("sealed", policy, created_by=cast.user("eve"))
    Policy.objects.filter(pk=policy.pk).update(
        state="published", published_by=cast.user("cora"), published_at=now
    )
    refused("sealed", policy, published_by=cast.user("eve"))
    refused("legal_edges", policy, state="draft")


def test_the_database_takes_no_published_row_but_the_first(cast: Cast) -> None:
    for other in ({}, {"revision": 1, "risk_tier": "low"}, {"created_by": None}):
        with pytest.raises(IntegrityError, match="drafted, then published"), transaction.atomic():
            row(cast, state="published", **other)


def test_the_database_holds_a_draft_against_what_is_in_force(cast: Cast) -> None:
    stale = row(cast, replaces=None)
    refused("policy_overtaken", stale, state="published", published_by=cast.user("cora"))
    with pytest.raises(IntegrityError, match="one_draft_at_a_time"), transaction.atomic():
        row(cast, revision=3)
    with pytest.raises(IntegrityError, match="policy_of_a_model_or_a_tier"), transaction.atomic():
        row(cast, revision=4, model=ready_version(cast).model, risk_tier="high")


def test_a_promotion_carries_the_policy_of_its_own_tier(cast: Cast) -> None:
    version = ready_version(cast)
    other = published_policy(cast, target="staging", risk_tier="low", gates=[], approvals={"count": 0})
    asked = request_promotion(version=version, target="staging", by=cast.principal("eve"))
    with pytest.raises(IntegrityError, match="does not carry"), transaction.atomic():
        Promotion.objects.create(
            version=version,
            target="staging",
            policy=other,
            policy_snapshot=asked.policy_snapshot,
            requested_by=cast.user("eve"),
            requested_at=asked.requested_at,
            expires_at=asked.expires_at,
        )
