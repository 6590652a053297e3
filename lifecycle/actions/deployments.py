"""Reporting what runs where: a heartbeat that changes nothing costs one row's update, a change is kept for ever."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from lifecycle import deployments
from lifecycle.models import Deployment, DeploymentChange
from lifecycle.models.deployments import SERVES
from registry.errors import DomainError, InvalidInput
from registry.models import ModelVersion, Principal, RegisteredModel, Stage
from registry.models.people import NAME
from registry.permissions import check_can
from registry.roles import Permission

# A heartbeat is not a stream, and a silence of more than a month is nobody's alarm.
SHORTEST_INTERVAL, LONGEST_INTERVAL = 10, 31 * 86_400
MOST_TARGETS = 1000
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TARGET = re.compile(NAME)
What = DeploymentChange.What


class NotDeployed(DomainError):
    """Nothing of the model is reported to run there."""

    code = "not-deployed"
    status = 404


class TooManyTargets(DomainError):
    """A model has so many targets that most of them cannot be meant."""

    code = "too-many-targets"


@dataclass(frozen=True)
class Report:
    """What a target says of itself. What is None stays as it was reported before; at first: `digest` is the
    version's own, `serves` production, and no `interval` is promised (0 takes the promise back)."""

    digest: str | None = None
    serves: str | None = None
    interval: int | None = None


@transaction.atomic
def report_deployment(
    *,
    version: ModelVersion,
    target: str,
    report: Report | None = None,
    by: Principal,
    now: datetime | None = None,
) -> Deployment:
    """A target runs this version. Nothing that is reported is refused for being wrong: it is kept, and named.

    Saying the same again is a heartbeat: the time is noted, and nothing else. Raises Forbidden, InvalidInput,
    TooManyTargets.
    """
    check_can(by, Permission.DEPLOYMENT_REPORT, version.model.namespace)
    report = report or Report()
    _check(version, target, report)
    now = now or timezone.now()
    row = _locked(version.model, target)
    if row is None:
        row = _first(version, target, report, by, now)
        if row is not None:
            return row
        # Somebody else was first.
        row = _locked(version.model, target)
        if row is None:
            raise NotDeployed(f"{version.model} at {target} could not be noted; say it again.")
    if row.removed_at is None and deployments.is_silent(row, now):
        # A silence that no sweep has met is noted before it ends: what was not heard did not run, for all we know.
        deployments.judge(row, by=by, now=now)
    before, seen = deployments.state_of(row), row.last_seen
    told = _as_told(row, version, report, by)
    changed = row.removed_at is not None or any(getattr(row, name) != value for name, value in told.items())
    same_thing = row.removed_at is None and (row.version_id, row.digest) == (version.pk, told["digest"])
    for name, value in told.items():
        setattr(row, name, value)
    # Of two reports at once the second to be written may be the first to be made.
    now = max(now, row.last_seen)
    row.since, row.last_seen, row.removed_at = (row.since if same_thing else now), now, None
    row.save(update_fields=[*told, "since", "last_seen", "removed_at"])
    if changed:
        deployments.write_change(row, What.DEPLOYED, by=by, now=now, seen=seen)
        deployments.note_change(row, "deployment.reported", by=by, now=now, before=before)
    deployments.judge(row, by=by, now=now)
    return row


@transaction.atomic
def remove_deployment(
    *,
    model: RegisteredModel,
    target: str,
    reason: str = "",
    by: Principal,
    now: datetime | None = None,
) -> Deployment:
    """Nothing of the model runs at the target any more. Saying it again changes nothing. Raises Forbidden,
    NotDeployed where it never was reported to."""
    check_can(by, Permission.DEPLOYMENT_REPORT, model.namespace)
    row = _locked(model, target)
    if row is None:
        raise NotDeployed(f"Nothing of {model} was ever reported to run at {target[:100]!r}.")
    if row.removed_at is not None:
        return row
    now = now or timezone.now()
    before, seen = deployments.state_of(row), row.last_seen
    row.removed_at = now
    row.save(update_fields=["removed_at"])
    deployments.judge(row, by=by, now=now)
    deployments.write_change(row, What.UNDEPLOYED, by=by, now=now, seen=seen)
    deployments.note_change(row, "deployment.removed", by=by, now=now, before=before, reason=reason)
    return row


def _locked(model: RegisteredModel, target: str) -> Deployment | None:
    rows = Deployment.objects.filter(model=model, target=target).values_list("pk", flat=True)
    pk = rows.first()
    return deployments.locked(pk) if pk else None


def _first(
    version: ModelVersion, target: str, report: Report, by: Principal, now: datetime
) -> Deployment | None:
    """The target's row, made; None when somebody else made it meanwhile."""
    if Deployment.objects.filter(model=version.model).count() >= MOST_TARGETS:
        raise TooManyTargets(
            f"{version.model} has {MOST_TARGETS:,} targets already, and has no more: name a target by what it "
            "serves, not by the machine or the day."
        )
    row = Deployment(model=version.model, target=target, serves=Stage.PRODUCTION, since=now, last_seen=now)
    for name, value in _as_told(row, version, report, by).items():
        setattr(row, name, value)
    Deployment.objects.bulk_create([row], ignore_conflicts=True)
    if not Deployment.objects.filter(pk=row.pk).exists():
        return None
    deployments.write_change(row, What.DEPLOYED, by=by, now=now, seen=None)
    deployments.note_change(row, "deployment.reported", by=by, now=now, before=None)
    deployments.judge(row, by=by, now=now)
    return row


def _as_told(row: Deployment, version: ModelVersion, report: Report, by: Principal) -> dict[str, Any]:
    digest = report.digest.removeprefix("sha256:") if report.digest else version.manifest.digest
    return {
        "version": version,
        "digest": digest or "",
        "serves": report.serves or row.serves,
        "interval": row.interval if report.interval is None else report.interval or None,
        "reporter": by.account,
    }


def _check(version: ModelVersion, target: str, report: Report) -> None:
    if not version.manifest.digest:
        raise InvalidInput(
            f"{version.reference} is {version.status} and has no digest: it cannot run anywhere yet.",
            field="version",
        )
    if not _TARGET.fullmatch(target):
        raise InvalidInput(
            "A target is 1 to 100 lower-case letters, digits, `.`, `_` or `-`, beginning and ending with a letter "
            "or digit, such as eu-1.",
            field="target",
        )
    if report.digest is not None and not _DIGEST.fullmatch(report.digest):
        raise InvalidInput("A digest is `sha256:` and 64 lower-case hex digits.", field="digest")
    if report.serves is not None and report.serves not in dict(SERVES):
        raise InvalidInput("A target serves production or staging.", field="serves")
    if report.interval and not SHORTEST_INTERVAL <= report.interval <= LONGEST_INTERVAL:
        raise InvalidInput(
            f"interval_seconds is 0, for no promise, or from {SHORTEST_INTERVAL} to {LONGEST_INTERVAL:,}.",
            field="interval_seconds",
        )
