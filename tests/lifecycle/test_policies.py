"""Policies: seeds, revisions, the floor, and refusals that point at what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.actions.policies import draft_policy, publish_policy
from lifecycle.models import Policy
from lifecycle.policies import FLOOR, current, ensure_seeded, snapshot
from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.models import Event
from tests.cast import Cast
from tests.factories import published_policy, ready_version


def test_a_new_namespace_starts_with_the_seeds(cast: Cast) -> None:
    ensure_seeded(cast.namespace)
    ensure_seeded(cast.namespace)

    found = Policy.objects.filter(namespace=cast.namespace).order_by("target")
    assert [(p.target, p.revision, p.state) for p in found] == [
        ("production", 1, "published"),
        ("staging", 1, "published"),
    ]
    production, staging = found
    assert {g["gate"] for g in staging.gates} >= {"evaluated_on", "metric_at_least"}
    assert {g["gate"] for g in production.gates} >= {"external_check", "no_regression"}
    assert production.approvals == {"count": 1}


def test_each_publication_is_a_revision_with_its_event(cast: Cast) -> None:
    gates = [{"gate": "metric_at_least", "parameters": {"metric": "auc", "bound": 0.7}}]

    policy = publish(cast, gates=gates)

    assert policy.revision == 2
    assert policy.gates[0]["parameters"]["split"] == "test"
    event = Event.objects.get(namespace=cast.namespace, type="policy.published")
    assert event.before is not None
    assert event.before["revision"] == 1
    assert event.actor == cast.user("cora")
    drafted = Event.objects.get(namespace=cast.namespace, type="policy.drafted")
    assert drafted.actor == cast.user("ada")
    assert drafted.after is not None
    assert (
        "Changed: auc on test is at least 0.7; before: accuracy on test is at least 0.8."
        in drafted.after["changes"]
    )


def test_a_models_own_policy_wins(cast: Cast) -> None:
    model = ready_version(cast).model
    own = published_policy(cast, model=model, target="staging", gates=[], approvals={"count": 0})
    publish(cast)

    assert current(model, "staging") == own
    assert current(ready_version(cast, model="other").model, "staging") != own


@pytest.mark.parametrize("target", ["staging", "production"])
def test_no_policy_goes_below_the_floor(cast: Cast, target: str) -> None:
    policy = publish(cast, target=target, gates=[], approvals={"count": 1})

    frozen = snapshot(policy)

    assert {g["gate"] for g in frozen["gates"]} == set(FLOOR[target])
    assert frozen["approvals"]["count"] >= (1 if target == "production" else 0)


def test_the_same_gate_twice_has_two_keys(cast: Cast) -> None:
    twice = [
        {"gate": "metric_at_least", "parameters": {"metric": m, "bound": 0.5}} for m in ("auc", "accuracy")
    ]

    keys = [g["key"] for g in snapshot(publish(cast, gates=twice))["gates"]]

    assert keys == ["metric_at_least", "metric_at_least-2", "integrity_verified"]


@pytest.mark.parametrize("who", ["ben", "eve", "cora", "otto", "ci"])
def test_only_namespace_admins_draft(cast: Cast, who: str) -> None:
    with pytest.raises(Forbidden):
        publish(cast, by=who)


def test_a_stranger_sees_nothing(cast: Cast) -> None:
    with pytest.raises(NotVisible):
        publish(cast, by="mallory")


@pytest.mark.parametrize(
    ("gates", "field"),
    [
        ("integrity_verified", "gates"),
        ([{"gate": "magic", "parameters": {}}], "gates[0].gate"),
        (["integrity_verified"], "gates[0]"),
        ([{"gate": "metric_at_least", "parameters": {"metric": "auc"}}], "gates[0].parameters.bound"),
        (
            [{"gate": "metric_at_least", "parameters": {"metric": "auc", "bound": "0.5"}}],
            "gates[0].parameters.bound",
        ),
        (
            [{"gate": "metric_at_least", "parameters": {"metric": "auc", "bound": True}}],
            "gates[0].parameters.bound",
        ),
        (
            [{"gate": "metric_at_least", "parameters": {"metric": "auc", "bound": float("nan")}}],
            "gates[0].parameters.bound",
        ),
        ([{"gate": "integrity_verified", "parameters": {"depth": 1}}], "gates[0].parameters.depth"),
        ([{"gate": "integrity_verified", "parameters": []}], "gates[0].parameters"),
        (
            [{"gate": "no_regression", "parameters": {"metric": "auc", "direction": "up"}}],
            "gates[0].parameters.direction",
        ),
        ([{"gate": "lineage_complete", "parameters": {"require": ["moon"]}}], "gates[0].parameters.require"),
        ([{"gate": "lineage_complete", "parameters": {"require": [{}]}}], "gates[0].parameters.require"),
        ([{"gate": "integrity_verified"}] * 31, "gates"),
    ],
)
def test_what_is_wrong_is_pointed_at(cast: Cast, gates: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        publish(cast, gates=gates)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    "approvals", [{}, {"count": 0}, {"count": -1}, {"count": 11}, {"count": "1"}, [], None]
)
def test_production_asks_for_at_least_one_approval(cast: Cast, approvals: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        publish(cast, target="production", approvals=approvals)
    assert refusal.value.field == "approvals.count"


def publish(
    cast: Cast, *, target: str = "staging", gates: Any = (), approvals: Any = None, by: str = "ada"
) -> Policy:
    policy, _ = draft_policy(
        namespace=cast.namespace,
        target=target,
        gates=list(gates) if gates == () else gates,
        approvals={"count": 0} if approvals is None and target == "staging" else approvals,
        by=cast.principal(by),
    )
    return publish_policy(policy=policy, by=cast.principal("cora"))
