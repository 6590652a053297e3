"""Retention: its policy, carrying it out, and bringing bytes back."""

from __future__ import annotations

from django.db import transaction

from lifecycle import retention
from lifecycle.models import RetentionPolicy
from lifecycle.retention import Planned
from lifecycle.tasks.retention import move_tier
from registry.errors import DomainError, InvalidInput
from registry.journal import record
from registry.journal.enqueue import enqueue
from registry.models import ModelVersion, Namespace, Principal
from registry.permissions import check_can
from registry.references import check_not_deleted
from registry.roles import Permission

MOST_DAYS = 36_500
MOST_FORMER = 1_000


class NotPublished(DomainError):
    """Only a version that is ready has bytes to bring back."""

    code = "version-not-ready"


@transaction.atomic
def edit_retention(
    *, namespace: Namespace, after_days: int, keep_former: int, enabled: bool, by: Principal
) -> RetentionPolicy:
    """Set the namespace's policy. Raises Forbidden, InvalidInput. Setting what is set records nothing."""
    check_can(by, Permission.RETENTION_EDIT, namespace)
    if not 0 <= after_days <= MOST_DAYS:
        raise InvalidInput(f"after_days is 0 to {MOST_DAYS}.", field="after_days")
    if not 0 <= keep_former <= MOST_FORMER:
        raise InvalidInput(f"keep_former is 0 to {MOST_FORMER}.", field="keep_former")
    wanted = {"after_days": after_days, "keep_former": keep_former, "enabled": enabled}
    policy, made = RetentionPolicy.objects.select_for_update().get_or_create(
        namespace=namespace, defaults=wanted
    )
    before = None if made else {name: getattr(policy, name) for name in wanted}
    if before == wanted:
        return policy
    for name, value in wanted.items():
        setattr(policy, name, value)
    policy.save()
    record("retention.edited", subject=namespace, by=by, namespace=namespace, before=before, after=wanted)
    return policy


@transaction.atomic
def run_retention(*, namespace: Namespace, by: Principal) -> list[Planned]:
    """Carry the policy out now, enabled or not; what it does is what the plan says. Raises Forbidden."""
    check_can(by, Permission.RETENTION_EDIT, namespace)
    planned, moves = retention.start(retention.policy_of(namespace))
    for move in moves:
        enqueue(move_tier.name, move_id=str(move.pk))
    if planned:
        record(
            "retention.run",
            subject=namespace,
            by=by,
            namespace=namespace,
            after={
                "versions": [each.version.reference for each in planned],
                "bytes": sum(each.size for each in planned),
            },
        )
    return planned


@transaction.atomic
def restore_version(*, version: ModelVersion, by: Principal, reason: str = "") -> int:
    """Bring a version's bytes back to the hot bucket; how many blobs are to move. Raises Forbidden, NotPublished.

    A version whose bytes are at hand stays as it is.
    """
    check_can(by, Permission.VERSION_RESTORE, version.model.namespace)
    check_not_deleted(version)
    if version.status != ModelVersion.Status.READY:
        raise NotPublished(f"{version.reference} is {version.status}: there are no bytes to bring back.")
    moves = retention.bring_back(version)
    for move in moves:
        enqueue(move_tier.name, move_id=str(move.pk))
    if moves:
        record(
            "version.restore_requested",
            subject=version,
            by=by,
            namespace=version.model.namespace,
            reason=reason,
            after={"blobs": len(moves)},
        )
    return len(moves)
