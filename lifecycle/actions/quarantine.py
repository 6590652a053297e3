"""Putting versions under quarantine, all of them or none, and lifting it again by somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from lifecycle import promotions
from lifecycle.models import OPEN, Promotion, Quarantine, QuarantineLift, State
from lifecycle.quarantine import standing
from lineage.impact import Question, affected_versions, impact
from registry.errors import DomainError, Forbidden, InvalidInput
from registry.journal import record
from registry.models import ModelVersion, Namespace, Principal, Stage
from registry.models.visibility import namespaces_where
from registry.permissions import accounts_of, check_can
from registry.references import check_not_deleted
from registry.roles import Permission

LONGEST_REASON = 4000
# Every version has rows, an event and its model's lock in one transaction.
MOST = 2000
ROWS = ModelVersion.objects.select_related("model__namespace", "created_by")


class NotQuarantined(DomainError):
    """There is nothing to lift."""

    code = "not-quarantined"


class OwnQuarantine(Forbidden):
    """Who doubted a version does not clear it."""

    code = "own-quarantine"


@dataclass
class Placed:
    """What one call put under quarantine. `in_production` are those that are used now: they are not taken out.

    `already` stood under one for the same reason; `not_yours` are affected too, in namespaces whose versions the
    caller may see but not quarantine, and `restricted` counts those that they may not see.
    """

    quarantines: list[Quarantine] = field(default_factory=list)
    already: list[ModelVersion] = field(default_factory=list)
    in_production: list[ModelVersion] = field(default_factory=list)
    voided: list[Promotion] = field(default_factory=list)
    not_yours: list[ModelVersion] = field(default_factory=list)
    restricted: int = 0


@transaction.atomic
def quarantine_versions(
    *,
    versions: Sequence[ModelVersion],
    reason: str,
    by: Principal,
    found_by: dict[str, Any] | None = None,
) -> Placed:
    """Put these versions under quarantine. Their open promotions become void; none leaves production.

    Raises NotVisible, Forbidden, InvalidInput, VersionDeleted.
    """
    _check_reason(reason, "To put versions under quarantine")
    if not versions:
        raise InvalidInput("Name the versions to put under quarantine.", field="versions")
    if len(versions) > MOST:
        raise InvalidInput(
            f"One call puts at most {MOST:,} versions under quarantine; these are {len(versions):,}: "
            "name them in parts.",
            field="versions",
        )
    for namespace in _namespaces(versions):
        check_can(by, Permission.VERSION_QUARANTINE, namespace)
    now = timezone.now()
    rows = _locked(versions)
    for row in rows:
        check_not_deleted(row)
    for_the_same = set(
        standing(row.pk for row in rows).filter(reason=reason).values_list("version", flat=True)
    )
    done = Placed(already=[row for row in rows if row.pk in for_the_same])
    done.in_production = [row for row in rows if row.stage == Stage.PRODUCTION]
    for row in rows:
        if row.pk not in for_the_same:
            _place(row, reason, found_by or {}, by, now, done)
    return done


@transaction.atomic
def quarantine_affected(*, question: Question, reason: str, by: Principal) -> Placed:
    """Put every version under quarantine that what is doubted went into, where the caller may; the others are told.

    Raises NotVisible, Forbidden when there are some and none is theirs, InvalidInput.
    """
    found = impact(question, by, most=1)
    ids = affected_versions(question, by, most=MOST + 1)
    rows = ROWS.filter(pk__in=ids, deleted_at=None).order_by("pk")
    if len(ids) > MOST:
        raise InvalidInput(
            f"More than {MOST:,} versions are affected, and one call puts at most so many under quarantine: "
            "ask for the list, and name them in parts.",
            field="impact",
        )
    theirs = namespaces_where(by, Permission.VERSION_QUARANTINE)
    mine = list(rows.filter(model__namespace__in=theirs))
    others = list(rows.exclude(model__namespace__in=theirs))
    if not mine and others:
        check_can(by, Permission.VERSION_QUARANTINE, others[0].model.namespace)
    asked = {
        "dataset": question.datasets,
        "commit": question.commits,
        "package": question.packages,
        "image": question.images,
        "base": question.bases,
    }
    found_by = {name: list(values)[:100] for name, values in asked.items() if values}
    done = Placed()
    if mine:
        done = quarantine_versions(versions=mine, reason=reason, by=by, found_by=found_by)
    else:
        _check_reason(reason, "To put versions under quarantine")
    done.not_yours, done.restricted = others, found.restricted
    return done


@transaction.atomic
def lift_quarantine(*, versions: Sequence[ModelVersion], reason: str, by: Principal) -> list[QuarantineLift]:
    """Lift every quarantine that these versions stand under, which somebody else placed.

    Raises NotVisible, Forbidden, OwnQuarantine, NotQuarantined, InvalidInput.
    """
    _check_reason(reason, "To lift a quarantine")
    for namespace in _namespaces(versions):
        check_can(by, Permission.VERSION_QUARANTINE, namespace)
    if by.account.is_service:
        raise Forbidden("A quarantine is lifted by a person, not by a service account.")
    now = timezone.now()
    lifted: list[QuarantineLift] = []
    for row in _locked(versions):
        found = list(standing([row.pk]).order_by("at", "pk"))
        if not found:
            raise NotQuarantined(f"{row.reference} is not under quarantine: there is nothing to lift.")
        if by.account.pk in accounts_of({each.by_id for each in found}):
            raise OwnQuarantine(f"You put {row.reference} under quarantine, so somebody else must lift it.")
        lifted += [
            QuarantineLift.objects.create(quarantine=each, reason=reason, by=by.account, at=now)
            for each in found
        ]
        record(
            "version.quarantine_lifted",
            subject=row,
            by=by,
            namespace=row.model.namespace,
            reason=reason,
            before={"quarantined_for": [each.reason for each in found]},
            after={"stage": row.stage},
            at=now,
        )
    return lifted


def _place(
    row: ModelVersion, reason: str, found_by: dict[str, Any], by: Principal, now: datetime, done: Placed
) -> None:
    placed = Quarantine.objects.create(version=row, reason=reason, found_by=found_by, by=by.account, at=now)
    open_ones = Promotion.objects.filter(version=row, state__in=OPEN).order_by("pk")
    voided = []
    for promotion_id in list(open_ones.values_list("pk", flat=True)):
        promotion = promotions.locked(promotion_id)
        promotions.end(
            promotion, State.VOID, f"{row.reference} was put under quarantine: {reason}", by=by, now=now
        )
        voided.append(promotion)
    done.quarantines.append(placed)
    done.voided += voided
    # Of its own namespace only: whoever hears of this event may not see the others.
    beside = [
        each.reference for each in done.in_production if each.model.namespace_id == row.model.namespace_id
    ]
    record(
        "version.quarantined",
        subject=row,
        by=by,
        namespace=row.model.namespace,
        reason=reason,
        before=None,
        after={
            "quarantine": str(placed.pk),
            "stage": row.stage,
            "in_production": row.stage == Stage.PRODUCTION,
            "in_production_now": beside,
            "voided": [str(promotion.pk) for promotion in voided],
            "found_by": found_by,
        },
        at=now,
    )


def _locked(versions: Sequence[ModelVersion]) -> list[ModelVersion]:
    """The versions as they are under their models' locks, which are taken in one order, so that no two calls lock
    crosswise."""
    for model_id in sorted({version.model_id for version in versions}):
        promotions.lock_registered(model_id)
    return list(ROWS.filter(pk__in={version.pk for version in versions}).order_by("pk"))


def _namespaces(versions: Sequence[ModelVersion]) -> list[Namespace]:
    found: dict[UUID, Namespace] = {v.model.namespace_id: v.model.namespace for v in versions}
    return sorted(found.values(), key=lambda namespace: namespace.name)


def _check_reason(reason: str, what: str) -> None:
    if not reason.strip():
        raise InvalidInput(f"{what} needs a reason: it is what everybody reads.", field="reason")
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(f"A reason has at most {LONGEST_REASON} characters.", field="reason")
