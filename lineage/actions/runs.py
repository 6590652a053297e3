"""Runs: started, measured, ended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from lineage.completeness import completeness
from lineage.graph import add_nodes
from lineage.models import Experiment, LatestMetric, Lifecycle, Node, Run, RunMetric, RunParameter, RunTag
from lineage.provenance import used_by
from registry.errors import DomainError, Forbidden, InvalidInput
from registry.journal import record
from registry.models import ModelVersion, Namespace, Principal
from registry.permissions import check_can
from registry.roles import Permission

ENDED = frozenset({Run.Status.FINISHED, Run.Status.FAILED, Run.Status.KILLED})
CAPTURES = ("complete", "incomplete", "unknown")


class RunIsDeleted(DomainError):
    """The run, or its experiment, was deleted; it can be restored."""

    code = "run-is-deleted"


class RunHasEnded(DomainError):
    """How a run ended is written once, and nothing that it did is added afterwards."""

    code = "run-has-ended"


class NotYourRun(Forbidden):
    """What a run did is written by its own account, not by everybody with the right to write runs."""

    code = "not-your-run"


class RunIsReported(DomainError):
    """What a reported run did is what its events told; it is told by further events."""

    code = "run-is-reported"


class ParameterIsWritten(DomainError):
    """A parameter is written once, with one value."""

    code = "parameter-is-written"


class CaptureIsWritten(DomainError):
    """What a run said of its capture is written once."""

    code = "capture-is-written"


@dataclass(frozen=True)
class Making:
    """What a run is made of, fixed at its start; shapes as in the fields of `Run`."""

    entry_point: str = ""
    command: Sequence[str] = ()
    code: Mapping[str, Any] | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Measurement:
    """One value of a metric. `timestamp` is in milliseconds since the epoch; NaN and infinity are kept."""

    key: str
    value: float
    step: int
    timestamp: int

    @property
    def age(self) -> tuple[int, int, bool, float]:
        """What orders measurements of one metric as Postgres does, NaN last: the greatest is the newest."""
        nan = math.isnan(self.value)
        return self.step, self.timestamp, nan, 0.0 if nan else self.value


@transaction.atomic
def start_run(
    *,
    namespace: Namespace,
    by: Principal,
    experiment: str = "default",
    name: str = "",
    started_at: datetime | None = None,
    making: Making | None = None,
) -> Run:
    """A running run, with its node, in the experiment of that name, made when it is new.

    Raises NotVisible, Forbidden, RunIsDeleted (the experiment is).
    """
    check_can(by, Permission.RUN_WRITE, namespace)
    heading = experiment_named(namespace, experiment, by)
    made = making or Making()
    run = Run.objects.create(
        namespace=namespace,
        experiment=heading,
        name=name,
        started_at=started_at or timezone.now(),
        entry_point=made.entry_point,
        command=list(made.command),
        code=dict(made.code) if made.code is not None else None,
        environment=dict(made.environment),
        config=dict(made.config) if made.config is not None else None,
        created_by=by.account,
    )
    add_nodes(Node.Kind.RUN, [run.pk], namespace)
    record(
        "run.started",
        subject=run,
        by=by,
        namespace=namespace,
        after={"experiment": experiment, "name": name, "commit": (run.code or {}).get("commit")},
    )
    return run


def experiment_named(namespace: Namespace, name: str, by: Principal) -> Experiment:
    """The experiment, made where it is new. Raises RunIsDeleted for one that was deleted."""
    heading, _ = Experiment.objects.get_or_create(
        namespace=namespace, name=name, defaults={"created_by": by.account}
    )
    if heading.lifecycle == Lifecycle.DELETED:
        raise RunIsDeleted(
            f"The experiment {name} was deleted: restore it, or name another.", field="experiment"
        )
    return heading


@transaction.atomic
def update_run(
    *,
    run: Run,
    by: Principal,
    status: str | None = None,
    ended_at: datetime | None = None,
    name: str | None = None,
    capture: Mapping[str, Any] | None = None,
    failure: str | None = None,
) -> Run:
    """Rename a run, say how it ended and how much of it was captured; what is None stays as it is.

    The same end and the same capture may be told again. Raises Forbidden, NotYourRun, RunIsDeleted,
    RunIsReported, RunHasEnded, CaptureIsWritten, InvalidInput.
    """
    row = lock_run(run=run, by=by)
    before = row.status
    if name is not None:
        row.name = name
    if capture is not None:
        _write_capture(row, capture)
    if ended_at is not None and status not in ENDED:
        raise InvalidInput(f"ended_at goes with a status of {', '.join(sorted(ENDED))}.", field="ended_at")
    if status is not None:
        _move(row, status, ended_at)
    if failure is not None and row.failure and failure != row.failure:
        raise RunHasEnded("Why this run failed is written already.", field="failure")
    row.failure = failure if failure is not None else row.failure
    row.save(update_fields=["name", "status", "ended_at", "capture", "failure"])
    ended_now = row.status in ENDED and before not in ENDED
    if capture is not None or ended_now:
        retell_completeness(row)
    if ended_now:
        record(
            "run.finished",
            subject=row,
            by=by,
            namespace=row.namespace,
            before={"status": before},
            after={"status": row.status, "capture": row.capture.get("state", "unknown")},
        )
    return row


def lock_run(*, run: Run, by: Principal) -> Run:
    """The run as it is now, locked, for its own account to write. Raises NotVisible, Forbidden, NotYourRun,
    RunIsDeleted, RunIsReported."""
    check_can(by, Permission.RUN_WRITE, run.namespace)
    check_own(run, by)
    rows = Run.objects.select_related("namespace", "experiment", "created_by")
    row: Run = rows.select_for_update(of=("self",), no_key=True).get(pk=run.pk)
    if row.lifecycle == Lifecycle.DELETED:
        raise RunIsDeleted(f"The run {row} was deleted: restore it before writing to it.")
    if row.reported is not None:
        raise RunIsReported(f"The run {row} is told by OpenLineage events: send another to add to it.")
    return row


def check_own(run: Run, by: Principal) -> None:
    """That a run is the caller's own: its account's, that of the person who answers for this account, or that of a
    service account which its account answers for. Raises NotYourRun."""
    user, account = by.user, run.created_by
    if user is None or user.is_superuser or account.pk in (user.pk, user.owner_id):
        return
    if account.owner_id == user.pk:
        return
    raise NotYourRun(
        f"The run {run} is {account.get_username()}'s: only that account, the person who answers for it and its "
        "service accounts say what it did and register what it made."
    )


def _move(row: Run, status: str, ended_at: datetime | None) -> None:
    if row.status in ENDED:
        if status != row.status or (ended_at is not None and ended_at != row.ended_at):
            raise RunHasEnded(f"The run {row} ended as {row.status}; that is written once.", field="status")
        return
    row.status = status
    if status in ENDED:
        row.ended_at = ended_at or max(timezone.now(), row.started_at)
        if row.ended_at < row.started_at:
            raise InvalidInput("A run ends after it started.", field="ended_at")


def _write_capture(row: Run, capture: Mapping[str, Any]) -> None:
    if capture.get("state") not in CAPTURES:
        raise InvalidInput(f"The state of a capture is one of {', '.join(CAPTURES)}.", field="capture.state")
    if row.capture and row.capture != dict(capture):
        raise CaptureIsWritten("What this run captured is written already.", field="capture")
    if row.status in ENDED and not row.capture:
        raise RunHasEnded(
            f"The run {row} ended without saying what it captured; it cannot be said afterwards.",
            field="capture",
        )
    row.capture = dict(capture)


def retell_completeness(row: Run) -> None:
    """Versions registered while the run went on hear what it captured and how it ended."""
    ModelVersion.objects.filter(run_id=row.pk).update(completeness=completeness(row, used_by(row)))


@transaction.atomic
def log_to_run(
    *,
    run: Run,
    by: Principal,
    parameters: Mapping[str, str] | None = None,
    metrics: Iterable[Measurement] = (),
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write parameters (once), measurements (each once) and tags (over the old value): all or nothing.

    Saying the same again changes nothing, so a lost answer is simply asked again. Tags are anybody's who may
    write runs, at any time. Raises Forbidden, NotYourRun, RunIsDeleted, RunHasEnded, ParameterIsWritten.
    """
    check_can(by, Permission.RUN_WRITE, run.namespace)
    measured, settings = list(metrics), parameters or {}
    if measured or settings:
        check_own(run, by)
    status, lifecycle = _held_still(run)
    if lifecycle == Lifecycle.DELETED:
        raise RunIsDeleted(f"The run {run} was deleted: restore it before writing to it.")
    if status in ENDED:
        _check_repeats(run, status, settings, measured)
    write_parameters(run, settings)
    write_metrics(run, measured)
    RunTag.objects.bulk_create(
        [RunTag(run=run, key=key, value=value) for key, value in sorted((tags or {}).items())],
        update_conflicts=True,
        unique_fields=["run", "key"],
        update_fields=["value"],
    )


def _held_still(run: Run) -> tuple[str, str]:
    """Its status and lifecycle as they are now and stay until this transaction ends; other writers are let by."""
    with connection.cursor() as cursor:
        table = Run._meta.db_table
        cursor.execute(f"SELECT status, lifecycle FROM {table} WHERE id = %s FOR SHARE", [run.pk])  # noqa: S608
        found: tuple[str, str] = cursor.fetchone()
    return found


def _check_repeats(
    run: Run, status: str, parameters: Mapping[str, str], metrics: Sequence[Measurement]
) -> None:
    """To a run that has ended, only what it is known to have said can be said again."""
    known = set(run.parameters.filter(key__in=list(parameters)).values_list("key", flat=True))
    if new := sorted(set(parameters) - known):
        raise RunHasEnded(
            f"The run {run} has ended ({status}): the parameter {new[0]} cannot be added.", field="parameters"
        )
    rows = RunMetric.objects.filter(
        run=run, key__in={m.key for m in metrics}, step__in={m.step for m in metrics}
    )
    held = {Measurement(*row) for row in rows.values_list("key", "value", "step", "timestamp")}
    measured = {(m.key, m.timestamp, m.age) for m in held}
    unknown = sorted({m.key for m in metrics if (m.key, m.timestamp, m.age) not in measured})
    if unknown:
        raise RunHasEnded(
            f"The run {run} has ended ({status}): of {unknown[0]} nothing more is measured.", field="metrics"
        )


def write_parameters(run: Run, parameters: Mapping[str, str]) -> None:
    """Raises ParameterIsWritten."""
    if not parameters:
        return
    RunParameter.objects.bulk_create(
        [RunParameter(run=run, key=key, value=value) for key, value in sorted(parameters.items())],
        ignore_conflicts=True,
    )
    held = RunParameter.objects.filter(run=run, key__in=list(parameters)).values_list("key", "value")
    other = [
        f"The parameter {key} of this run is {_short(value)}; it cannot become {_short(parameters[key])}."
        for key, value in sorted(held)
        if value != parameters[key]
    ]
    if other:
        raise ParameterIsWritten(other[0], field="parameters", reasons=other if len(other) > 1 else None)


def _short(value: str) -> str:
    return repr(value if len(value) <= 200 else value[:200] + "…")


# Only a newer measurement replaces the newest. Keys are sorted, so that two writers meet in one order.
_NEWEST = """
INSERT INTO {table} AS held (run_id, key, value, step, timestamp)
SELECT %s, * FROM unnest(%s::text[], %s::float8[], %s::bigint[], %s::bigint[])
ON CONFLICT (run_id, key) DO UPDATE
    SET value = excluded.value, step = excluded.step, timestamp = excluded.timestamp
    WHERE (excluded.step, excluded.timestamp, excluded.value) > (held.step, held.timestamp, held.value)
"""


def write_metrics(run: Run, metrics: Sequence[Measurement]) -> None:
    """Each measurement once, and the newest of each metric."""
    if not metrics:
        return
    RunMetric.objects.bulk_create(
        [
            RunMetric(run=run, key=m.key, value=m.value, step=m.step, timestamp=m.timestamp)
            for m in sorted(metrics, key=lambda m: (m.key, m.age))
        ],
        ignore_conflicts=True,
    )
    newest: dict[str, Measurement] = {}
    for each in metrics:
        if each.key not in newest or each.age > newest[each.key].age:
            newest[each.key] = each
    rows = [newest[key] for key in sorted(newest)]
    keys, values = [m.key for m in rows], [m.value for m in rows]
    steps, timestamps = [m.step for m in rows], [m.timestamp for m in rows]
    with connection.cursor() as cursor:
        cursor.execute(
            _NEWEST.format(table=LatestMetric._meta.db_table), [run.pk, keys, values, steps, timestamps]
        )
