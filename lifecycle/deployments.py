"""What runs where, beside what is approved: what is wrong with it, in a sentence, and when that began and ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from lifecycle import quarantine
from lifecycle.models import Deployment, DeploymentChange, Drift
from lifecycle.production import Approved, approved_at, approved_now
from registry.journal import record
from registry.models import SYSTEM, ModelVersion, Principal, RegisteredModel, Stage, StageChange

What = DeploymentChange.What
ROWS = Deployment.objects.select_related("version__model__namespace", "version__manifest", "reporter")
# Not a difference of minutes: somebody has to act.
LOUD = frozenset({Drift.OUT_OF_USE, Drift.UNDER_QUARANTINE, Drift.OTHER_BYTES})


@dataclass(frozen=True)
class Running:
    """What runs at a target, now or at a time. `approved`: it is what was in production then; None where staging's
    versions belong. Of the past `last_seen` is not known, as heartbeats leave no trace."""

    target: str
    serves: str
    version: ModelVersion
    digest: str
    since: datetime
    last_seen: datetime | None
    interval: int | None
    reporter: str
    approved: bool | None
    drift: list[str] = field(default_factory=list)
    sentence: str = ""

    @property
    def loud(self) -> bool:
        """Whether something runs that must not."""
        return bool(LOUD.intersection(self.drift))


def grace() -> timedelta:
    """How long targets have to follow when production changes."""
    return timedelta(seconds=settings.DEPLOYMENT_GRACE_SECONDS)


def wrong_with(row: Deployment, approved: Approved, doubted: bool, now: datetime) -> list[Drift]:
    """What is wrong with what runs there. No query for a row of ROWS."""
    version, found = row.version, []
    if version.deleted_at is not None or version.stage == Stage.DEPRECATED:
        found.append(Drift.OUT_OF_USE)
    if doubted:
        found.append(Drift.UNDER_QUARANTINE)
    if row.digest != version.manifest.digest:
        found.append(Drift.OTHER_BYTES)
    follows = row.serves == Stage.PRODUCTION and approved.since and now - approved.since < grace()
    if not found and not follows and not _belongs(row, approved):
        found.append(Drift.NOT_APPROVED)
    if is_silent(row, now):
        found.append(Drift.SILENT)
    return found


def is_silent(row: Deployment, now: datetime) -> bool:
    """Whether it has not reported for longer than it promised to."""
    return row.interval is not None and now - row.last_seen > timedelta(seconds=row.interval)


def _belongs(row: Deployment, approved: Approved) -> bool:
    if row.serves == Stage.STAGING:
        return row.version.stage in (Stage.STAGING, Stage.PRODUCTION)
    # By content: the same bytes under another number are what was approved.
    return row.digest == approved.digest


def told(row: Deployment, drift: Iterable[Drift], approved: Approved) -> str:
    """What is wrong, in a sentence each."""
    return " ".join(_sentence(row, each, approved) for each in drift)


def _sentence(row: Deployment, drift: Drift, approved: Approved) -> str:
    version, target = row.version, row.target
    match drift:
        case Drift.OUT_OF_USE:
            return f"{target} still runs {version.reference}, which {_taken_out(version)}"
        case Drift.UNDER_QUARANTINE:
            return f"{target} still runs a doubted version: {quarantine.told(version)}"
        case Drift.OTHER_BYTES:
            return (
                f"{target} says that it runs {version.reference}, but its bytes are sha256:{row.digest[:12]}… and not "
                f"sha256:{(version.manifest.digest or '')[:12]}… as published."
            )
        case Drift.SILENT:
            return (
                f"{target} was last heard of at {row.last_seen:%Y-%m-%d %H:%M:%S} UTC, and was to report every "
                f"{row.interval} seconds."
            )
    if row.serves == Stage.STAGING:
        return (
            f"{target} runs {version.reference}, which is in {version.stage}: staging targets run versions that "
            "are in staging or production."
        )
    if approved.version is None:
        return f"{target} runs {version.reference}, but nothing of {version.model} is in production."
    return (
        f"{target} runs {version.reference}, but {approved.version.reference} is in production since "
        f"{approved.since:%Y-%m-%d %H:%M} UTC."
    )


def _taken_out(version: ModelVersion) -> str:
    if version.deleted_at is not None:
        return f"was deleted on {version.deleted_at:%Y-%m-%d}."
    moves = StageChange.objects.filter(version=version, to_stage=Stage.DEPRECATED).select_related("by")
    move = moves.order_by("-pk").first()
    if move is None:
        return f"is {version.stage}."
    verb = "suspended" if move.move == "suspend" else "deprecated"
    by = f" by {move.by.get_username()}" if move.by else ""
    return f"was {verb}{by} on {move.at:%Y-%m-%d %H:%M} UTC: {move.reason.rstrip('.')}."


def write_change(row: Deployment, what: str, *, by: Principal, now: datetime, seen: datetime | None) -> None:
    """The row's state as it is now, for ever; `seen` is when what was there before was last reported."""
    DeploymentChange.objects.create(
        deployment=row,
        what=what,
        version=row.version,
        digest=row.digest,
        serves=row.serves,
        interval=row.interval,
        since=row.since,
        seen_before=seen,
        drift=row.drift,
        sentence=row.drift_sentence,
        by=by.user,
        at=now,
    )


def note_change(
    row: Deployment,
    type_: str,
    *,
    by: Principal,
    now: datetime,
    before: dict[str, Any] | None,
    reason: str = "",
) -> None:
    """The event: what runs where, for whoever listens."""
    record(
        type_,
        subject=row,
        by=by,
        namespace=row.version.model.namespace,
        reason=reason,
        before=before,
        after=state_of(row),
        at=now,
    )


def state_of(row: Deployment) -> dict[str, Any]:
    """What runs there, as events carry it."""
    return {
        "target": row.target,
        "serves": row.serves,
        "version": row.version.reference,
        "digest": f"sha256:{row.digest}",
        "drift": row.drift,
    }


def judge(row: Deployment, *, by: Principal, now: datetime) -> None:
    """Compare the locked row with what is approved, and write down what began or ended.

    `deployment.drifted` when something is wrong that was not wrong before, `deployment.settled` when nothing is any
    more; what is only less wrong is kept without an event.
    """
    approved = approved_now([row.model_id]).get(row.model_id, Approved())
    doubted = quarantine.standing([row.version_id]).exists()
    found = wrong_with(row, approved, doubted, now) if row.removed_at is None else []
    had, before = set(row.drift), state_of(row)
    if set(found) == had:
        return
    row.drift = [each.value for each in found]
    row.drift_sentence = told(row, found, approved)
    row.drifted_at = (row.drifted_at or now) if found else None
    row.save(update_fields=["drift", "drift_sentence", "drifted_at"])
    write_change(row, What.DRIFTED if found else What.SETTLED, by=by, now=now, seen=row.last_seen)
    if set(found) - had:
        note_change(row, "deployment.drifted", by=by, now=now, before=before, reason=row.drift_sentence)
    elif not found:
        ended = "does not run any more" if row.removed_at else "is as it should be"
        said = f"What {row.target} was reported to run, {row.version.reference}, {ended}."
        note_change(row, "deployment.settled", by=by, now=now, before=before, reason=said)


def locked(deployment_id: Any) -> Deployment:
    """The deployment, locked until the transaction ends."""
    return ROWS.select_for_update(of=("self",)).get(pk=deployment_id)


def sweep(now: datetime) -> int:
    """Judge every deployment whose state is not what was written of it. Returns how many."""
    rows = list(ROWS.filter(removed_at=None))
    changed = [row.pk for row, _, drift in _judged(rows, now) if set(drift) != set(row.drift)]
    for pk in changed:
        with transaction.atomic():
            judge(locked(pk), by=SYSTEM, now=now)
    return len(changed)


def _judged(rows: list[Deployment], now: datetime) -> Iterable[tuple[Deployment, Approved, list[Drift]]]:
    """Each with what is in production of its model and what is wrong. Three queries for all."""
    approved = approved_now({row.model_id for row in rows})
    versions = {row.version_id for row in rows}
    doubted = set(quarantine.standing(versions).values_list("version", flat=True))
    for row in rows:
        beside = approved.get(row.model_id, Approved())
        yield row, beside, wrong_with(row, beside, row.version_id in doubted, now)


def running_now(rows: Any, now: datetime) -> list[Running]:
    """What runs, of these deployments (a queryset from ROWS), as it is judged now and not as the last sweep did."""
    found = list(rows.filter(removed_at=None).order_by("serves", "target"))
    return [
        Running(
            target=row.target,
            serves=row.serves,
            version=row.version,
            digest=row.digest,
            since=row.since,
            last_seen=row.last_seen,
            interval=row.interval,
            reporter=row.reporter.get_username(),
            approved=None if row.serves == Stage.STAGING else _belongs(row, beside),
            drift=[each.value for each in drift],
            sentence=told(row, drift, beside),
        )
        for row, beside, drift in _judged(found, now)
    ]


def running_at(model: RegisteredModel, at: datetime) -> list[Running]:
    """What ran where at a time, and what was known to be wrong with it."""
    been = DeploymentChange.objects.filter(deployment__model=model, at__lte=at).order_by("deployment", "-pk")
    newest = been.distinct("deployment").select_related(
        "deployment", "version__model__namespace", "version__manifest"
    )
    reported = been.filter(what=What.DEPLOYED).distinct("deployment").select_related("by")
    by = {change.deployment_id: change.by.get_username() for change in reported if change.by}
    approved = approved_at(model, at)
    return sorted(
        (
            Running(
                target=change.deployment.target,
                serves=change.serves,
                version=change.version,
                digest=change.digest,
                since=change.since,
                last_seen=None,
                interval=change.interval,
                reporter=by.get(change.deployment_id, ""),
                approved=None if change.serves == Stage.STAGING else change.digest == approved.digest,
                drift=change.drift,
                sentence=change.sentence,
            )
            for change in newest
            if change.what != What.UNDEPLOYED
        ),
        key=lambda each: (each.serves, each.target),
    )
