"""Publishing policies, and reporting checks."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from lifecycle.models import CheckReport, Policy
from lifecycle.policies import checked_approvals, checked_gates, ensure_seeded
from registry.errors import InvalidInput
from registry.journal import record
from registry.models import ModelVersion, Namespace, Principal, RegisteredModel, Stage
from registry.permissions import check_can
from registry.roles import Permission


@transaction.atomic
def publish_policy(
    *,
    namespace: Namespace,
    target: str,
    gates: Any,
    approvals: Any,
    model: RegisteredModel | None = None,
    by: Principal,
) -> Policy:
    """A new revision, published at once and immutable. Open promotions that ask for approvals become void; what
    nobody approves keeps the one it was asked under.

    Raises Forbidden, and InvalidInput that points at the gate and parameter.
    """
    check_can(by, Permission.POLICY_EDIT, namespace)
    if target not in (Stage.STAGING, Stage.PRODUCTION):
        raise InvalidInput("A policy is for staging or for production.", field="target")
    checked, asked = checked_gates(gates), checked_approvals(approvals, target, namespace)
    ensure_seeded(namespace)
    # One publisher at a time: the namespace's row orders the revisions.
    Namespace.objects.select_for_update(no_key=True).get(pk=namespace.pk)
    rows = Policy.objects.filter(namespace=namespace, model=model, target=target)
    newest = rows.aggregate(newest=Max("revision"))["newest"] or 0
    before = rows.filter(revision=newest).first()
    policy = Policy.objects.create(
        namespace=namespace,
        model=model,
        target=target,
        revision=newest + 1,
        state=Policy.State.PUBLISHED,
        gates=checked,
        approvals=asked,
        created_by=by.account,
        published_at=timezone.now(),
    )
    record(
        "policy.published",
        subject=policy,
        by=by,
        namespace=namespace,
        before={"revision": newest, "gates": before.gates, "approvals": before.approvals} if before else None,
        after={"revision": policy.revision, "gates": checked, "approvals": asked},
    )
    return policy


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
