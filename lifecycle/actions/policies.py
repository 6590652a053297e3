"""Drafting, publishing and withdrawing policies, and reporting checks."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from lifecycle.models import CheckReport, Policy
from lifecycle.policies import checked_approvals, checked_gates, ensure_seeded, in_force
from lifecycle.revisions import changes, same
from registry.errors import DomainError, Forbidden, InvalidInput
from registry.journal import record
from registry.models import ModelVersion, Namespace, Principal, RegisteredModel, Stage
from registry.permissions import accounts_of, check_can
from registry.roles import Permission

LONGEST_REASON = 4000
LONGEST_TIER = 40


class OwnPolicy(Forbidden):
    """Who drafted a production policy does not publish it."""

    code = "own-policy"


class PolicyNotDraft(DomainError):
    """It was published or withdrawn already."""

    code = "policy-not-draft"


def checked_policy(
    *, namespace: Namespace, target: str, gates: Any, approvals: Any
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The gates and approvals with their defaults. Raises InvalidInput that points at the gate and parameter."""
    if target not in (Stage.STAGING, Stage.PRODUCTION):
        raise InvalidInput("A policy is for staging or for production.", field="target")
    return checked_gates(gates), checked_approvals(approvals, target, namespace)


@transaction.atomic
def draft_policy(
    *,
    namespace: Namespace,
    target: str,
    gates: Any,
    approvals: Any,
    model: RegisteredModel | None = None,
    risk_tier: str = "",
    reason: str = "",
    by: Principal,
) -> tuple[Policy, bool]:
    """A new revision that waits to be published, and whether this call made it; a draft that waited in its place
    is withdrawn.

    What says the same as the revision in force, or as the draft that waits, makes none: that one is returned.
    Raises Forbidden, and InvalidInput that points at the gate and parameter.
    """
    check_can(by, Permission.POLICY_EDIT, namespace)
    if model and risk_tier:
        raise InvalidInput("A policy is for a model or for a risk tier, not for both.", field="risk_tier")
    if len(risk_tier) > LONGEST_TIER:
        raise InvalidInput(f"A risk tier has at most {LONGEST_TIER} characters.", field="risk_tier")
    _check_reason(reason)
    checked, asked = checked_policy(namespace=namespace, target=target, gates=gates, approvals=approvals)
    ensure_seeded(namespace)
    _one_at_a_time(namespace)
    now_in_force = in_force(namespace, target, model, risk_tier)
    rows = Policy.objects.filter(namespace=namespace, model=model, risk_tier=risk_tier, target=target)
    waiting = rows.filter(state=Policy.State.DRAFT).first()
    if waiting and waiting.replaces == now_in_force and same(waiting, checked, asked):
        return waiting, False
    if now_in_force and same(now_in_force, checked, asked):
        return now_in_force, False
    revision = (rows.aggregate(newest=Max("revision"))["newest"] or 0) + 1
    if waiting:
        _withdraw(waiting, by=by, reason=f"revision {revision} was drafted in its place")
    policy = Policy.objects.create(
        namespace=namespace,
        model=model,
        risk_tier=risk_tier,
        target=target,
        revision=revision,
        gates=checked,
        approvals=asked,
        reason=reason,
        replaces=now_in_force,
        created_by=by.account,
    )
    _note("policy.drafted", policy, by=by, reason=reason)
    return policy, True


@transaction.atomic
def publish_policy(*, policy: Policy, reason: str = "", by: Principal) -> Policy:
    """Put a draft in force: for production by somebody else than who drafted it. What it says never changes. Open
    promotions that ask for approvals become void; what nobody approves keeps the policy it was asked under.

    Raises Forbidden, OwnPolicy, PolicyNotDraft.
    """
    check_can(by, Permission.POLICY_PUBLISH, policy.namespace)
    _check_reason(reason)
    _one_at_a_time(policy.namespace)
    row = _draft(policy)
    if row.target == Stage.PRODUCTION:
        if by.account.is_service:
            raise Forbidden("A production policy is published by a person, not by a service account.")
        if row.created_by_id and by.account.pk in accounts_of({row.created_by_id}):
            raise OwnPolicy("You drafted this production policy, so somebody else must publish it.")
    # Nothing was published since it was drafted: that would have been a draft, which withdraws this one.
    row.state, row.published_by, row.published_at = Policy.State.PUBLISHED, by.account, timezone.now()
    row.save(update_fields=["state", "published_by", "published_at"])
    _note("policy.published", row, by=by, reason=reason)
    return row


@transaction.atomic
def withdraw_policy(*, policy: Policy, reason: str = "", by: Principal) -> Policy:
    """End a draft that is not to be published. Raises Forbidden, PolicyNotDraft."""
    check_can(by, Permission.POLICY_PUBLISH, policy.namespace)
    _check_reason(reason)
    _one_at_a_time(policy.namespace)
    row = _draft(policy)
    _withdraw(row, by=by, reason=reason)
    return row


def _draft(policy: Policy) -> Policy:
    row = Policy.objects.select_related("namespace", "model__namespace", "replaces").get(pk=policy.pk)
    if row.state != Policy.State.DRAFT:
        raise PolicyNotDraft(
            f"Revision {row.revision} is {row.state}: only a draft is published or withdrawn."
        )
    return row


def _withdraw(row: Policy, *, by: Principal, reason: str) -> None:
    row.state = Policy.State.WITHDRAWN
    row.save(update_fields=["state"])
    _note("policy.withdrawn", row, by=by, reason=reason)


def _one_at_a_time(namespace: Namespace) -> None:
    """The namespace's row orders the revisions."""
    Namespace.objects.select_for_update(no_key=True).get(pk=namespace.pk)


def _check_reason(reason: str) -> None:
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(f"A reason has at most {LONGEST_REASON:,} characters.", field="reason")


def _note(type_: str, policy: Policy, *, by: Principal, reason: str) -> None:
    """The policy's event: what was asked before, what is asked by this revision, and the difference in words."""
    before = policy.replaces
    record(
        type_,
        subject=policy,
        by=by,
        namespace=policy.namespace,
        reason=reason,
        before={"revision": before.revision, "gates": before.gates, "approvals": before.approvals}
        if before
        else None,
        after={
            "revision": policy.revision,
            "state": policy.state,
            "gates": policy.gates,
            "approvals": policy.approvals,
            "changes": [
                told["sentence"] for told in changes(before, policy.target, policy.gates, policy.approvals)
            ],
        },
    )


@transaction.atomic
def report_check(
    *, version: ModelVersion, name: str, passed: bool, sentence: str = "", url: str = "", by: Principal
) -> CheckReport:
    """What a pipeline found: kept for ever, attributed, the newest counts. Raises Forbidden, InvalidInput."""
    check_can(by, Permission.CHECK_REPORT, version.model.namespace)
    report = CheckReport(version=version, name=name, passed=passed, sentence=sentence, url=url, by=by.account)
    report.clean_fields()
    report.save()
    record(
        "check.reported",
        subject=version,
        by=by,
        namespace=version.model.namespace,
        reason=sentence,
        after={"check": name, "passed": passed, "report": str(report.pk)},
    )
    return report
