"""Policies: which one applies, what a new namespace starts with, and the floor below every one of them."""

from __future__ import annotations

import json
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from lifecycle.gates import BROKEN, GATES
from lifecycle.models import Policy, Promotion
from registry.errors import InvalidInput
from registry.models import ModelVersion, Namespace, RegisteredModel, RoleGroup, Stage
from registry.roles import DESIGNATED

MOST_GATES = 30
MOST_APPROVALS = 10
MOST_GROUPS = 5
# What no policy can leave out; the trigger `satisfied` holds the same line in the database.
FLOOR: dict[str, tuple[str, ...]] = {
    Stage.STAGING: ("integrity_verified",),
    Stage.PRODUCTION: ("integrity_verified", "lineage_complete"),
}
SEEDS: dict[str, dict[str, Any]] = {
    Stage.STAGING: {
        "gates": [
            {"gate": "integrity_verified", "parameters": {}},
            {"gate": "lineage_complete", "parameters": {}},
            {"gate": "evaluated_on", "parameters": {"split": "test"}},
            {"gate": "metric_at_least", "parameters": {"metric": "accuracy", "split": "test", "bound": 0.8}},
        ],
        "approvals": {"count": 0},
    },
    Stage.PRODUCTION: {
        "gates": [
            {"gate": "integrity_verified", "parameters": {}},
            {"gate": "lineage_complete", "parameters": {}},
            {"gate": "evaluated_on", "parameters": {"split": "test"}},
            {"gate": "no_regression", "parameters": {"metric": "accuracy", "split": "test"}},
            {"gate": "external_check", "parameters": {"name": "integration"}},
        ],
        "approvals": {"count": 1},
    },
}


def ensure_seeded(namespace: Namespace) -> None:
    """Publish the seed policies for a namespace that has none. Safe to call side by side."""
    for target, seed in SEEDS.items():
        if Policy.objects.filter(namespace=namespace, model=None, risk_tier="", target=target).exists():
            continue
        try:
            with transaction.atomic():
                Policy.objects.create(
                    namespace=namespace,
                    target=target,
                    revision=1,
                    state=Policy.State.PUBLISHED,
                    published_at=timezone.now(),
                    gates=checked_gates(seed["gates"]),
                    approvals=seed["approvals"],
                )
        except IntegrityError:
            continue  # somebody else was first


def current(model: RegisteredModel, target: str) -> Policy:
    """The newest published policy for the model and target: the model's own, else its risk tier's, else its
    namespace's."""
    ensure_seeded(model.namespace)
    rows = Policy.objects.filter(
        Q(model=model) | Q(model=None, risk_tier__in={"", model.risk_tier}),
        namespace=model.namespace,
        target=target,
        state=Policy.State.PUBLISHED,
    )
    # A row with a model comes first, then one with a tier: there is no other tier among them.
    return rows.order_by(F("model").asc(nulls_last=True), "-risk_tier", "-revision")[0]


def in_force(
    namespace: Namespace, target: str, model: RegisteredModel | None, risk_tier: str
) -> Policy | None:
    """The newest published revision for exactly these: a model has its own or none."""
    rows = Policy.objects.filter(
        namespace=namespace,
        target=target,
        model=model,
        risk_tier=risk_tier,
        state=Policy.State.PUBLISHED,
    )
    return rows.select_related("namespace", "model__namespace").order_by("-revision").first()


def superseded(promotion: Promotion) -> str:
    """Why the policy that its approvals are asked under is not the one that applies now; "" while it is, and for a
    rollback, which has none."""
    if promotion.policy_id is None:
        return ""
    now = current(promotion.version.model, promotion.target)
    if now.pk == promotion.policy_id:
        return ""
    if now.published_at and now.published_at > promotion.requested_at:
        return f"the policy changed: {now} was published after it was asked for"
    return f"the policy changed: by the model's risk tier, {now} applies now"


def snapshot(policy: Policy) -> dict[str, Any]:
    """The policy as it is frozen onto a promotion: every gate with a key that is unique within it."""
    listed: list[dict[str, Any]] = []
    for gate in with_floor(policy.gates, policy.target):
        same = sum(1 for other in listed if other["gate"] == gate["gate"])
        key = gate["gate"] if not same else f"{gate['gate']}-{same + 1}"
        listed.append({"key": key, "gate": gate["gate"], "parameters": gate["parameters"]})
    least = 1 if policy.target == Stage.PRODUCTION else 0
    return {
        "name": f"{policy.scope} {policy.target}",
        "revision": policy.revision,
        "target": policy.target,
        "gates": listed,
        "approvals": {**policy.approvals, "count": max(policy.approvals.get("count", 0), least)},
    }


def with_floor(gates: list[dict[str, Any]], target: str) -> list[dict[str, Any]]:
    """The gates, and those of the floor that are not among them."""
    have = {gate["gate"] for gate in gates}
    floor = [{"gate": name, "parameters": GATES[name].checked({}, name)} for name in FLOOR[target]]
    return [*gates, *(gate for gate in floor if gate["gate"] not in have)]


def rollback_snapshot(version: ModelVersion) -> dict[str, Any]:
    """What a rollback has to meet: the bytes, and nothing that would keep an operator waiting at night."""
    return {
        "name": "rollback",
        "revision": 1,
        "target": Stage.PRODUCTION.value,
        "gates": [{"key": "integrity_verified", "gate": "integrity_verified", "parameters": {}}],
        "approvals": {"count": 0},
    }


def checked_gates(given: Any) -> list[dict[str, Any]]:
    """A list of gates with typed parameters. Raises InvalidInput that points at what is wrong."""
    if not isinstance(given, list) or len(given) > MOST_GATES:
        raise InvalidInput(f"gates is a list of at most {MOST_GATES}.", field="gates")
    checked = []
    for position, item in enumerate(given):
        where = f"gates[{position}]"
        if not isinstance(item, dict) or not isinstance(item.get("gate"), str):
            raise InvalidInput('A gate is {"gate": name, "parameters": {...}}.', field=where)
        gate = GATES.get(item["gate"])
        if gate is None:
            raise InvalidInput(
                BROKEN.get(item["gate"], f"There is no gate {item['gate']!r}; there are {', '.join(GATES)}."),
                field=f"{where}.gate",
            )
        parameters = gate.checked(item.get("parameters", {}), f"{where}.parameters")
        checked.append({"gate": gate.name, "parameters": json.loads(json.dumps(parameters))})
    return checked


def checked_approvals(given: Any, target: str, namespace: Namespace) -> dict[str, Any]:
    """How many approvals are asked, how many of them from which groups, and whether designated reviewers count.

    Raises InvalidInput that points at what is wrong: also at a group that is not there, or has too few people.
    """
    known: dict[str, Any] = {"count": None, "groups": [], "designated_reviewers": True}
    if isinstance(given, dict) and (unknown := sorted(set(map(str, given)) - set(known))):
        raise InvalidInput(
            f"approvals has no {unknown[0]!r}; it has {', '.join(known)}.", field=f"approvals.{unknown[0]}"
        )
    asked = {**known, **given} if isinstance(given, dict) else known
    count, designated = asked["count"], asked["designated_reviewers"]
    least = 1 if target == Stage.PRODUCTION else 0
    if not isinstance(count, int) or isinstance(count, bool) or not least <= count <= MOST_APPROVALS:
        raise InvalidInput(
            f'approvals is {{"count": n}}, n from {least} to {MOST_APPROVALS} for {target}.',
            field="approvals.count",
        )
    if not isinstance(designated, bool):
        raise InvalidInput("designated_reviewers is true or false.", field="approvals.designated_reviewers")
    groups = _checked_groups(asked["groups"], namespace)
    if sum(each["count"] for each in groups) > count:
        raise InvalidInput(
            f"The groups ask for {sum(each['count'] for each in groups)} people, and one person stands for one group: "
            "count is at least that.",
            field="approvals.count",
        )
    if not designated and any(each["group"] == DESIGNATED for each in groups):
        raise InvalidInput(
            "Designated reviewers are asked for, and do not count: one of the two.",
            field="approvals.designated_reviewers",
        )
    # What is as it always was is not written, so that policies that say the same are the same.
    return {
        "count": count,
        **({"groups": groups} if groups else {}),
        **({} if designated else {"designated_reviewers": False}),
    }


def _checked_groups(given: Any, namespace: Namespace) -> list[dict[str, Any]]:
    if not isinstance(given, list) or len(given) > MOST_GROUPS:
        raise InvalidInput(f"groups is a list of at most {MOST_GROUPS}.", field="approvals.groups")
    people = Count("group__user", filter=Q(group__user__is_active=True, group__user__is_service=False))
    there = dict(RoleGroup.objects.filter(namespace=namespace).annotate(n=people).values_list("role", "n"))
    checked: list[dict[str, Any]] = []
    for position, item in enumerate(given):
        where = f"approvals.groups[{position}]"
        if (
            not isinstance(item, dict)
            or set(item) - {"group", "count"}
            or not isinstance(item.get("group"), str)
        ):
            raise InvalidInput('A group is {"group": name, "count": n}.', field=where)
        name, count = item["group"], item.get("count", 1)
        if name != DESIGNATED and name not in there:
            raise InvalidInput(
                f"{namespace.name} has no group {name[:100]!r}; there are {', '.join(sorted([*there, DESIGNATED]))}.",
                field=f"{where}.group",
            )
        if any(each["group"] == name for each in checked):
            raise InvalidInput(f"{name} is listed twice.", field=f"{where}.group")
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_APPROVALS:
            raise InvalidInput(f"count is from 1 to {MOST_APPROVALS}.", field=f"{where}.count")
        if name != DESIGNATED and count > there[name]:
            raise InvalidInput(
                f"{there[name]} active {'person is' if there[name] == 1 else 'people are'} in {name}: {count} cannot "
                "approve.",
                field=f"{where}.count",
            )
        checked.append({"group": name, "count": count})
    return checked
