"""Runs that other tools report by events: what a run is, follows from all of its events, whenever they come.

Every event is kept. In the transaction that adds one, the run's facts are derived afresh from all that are kept of it:
so neither the order in which they come, nor that one comes twice or late, can make a difference. The database lets
these facts change in such a transaction only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction

from lineage.actions.datasets import named
from lineage.actions.runs import RunIsDeleted, check_own, experiment_named, retell_completeness
from lineage.graph import Arrow, add_edges, add_nodes
from lineage.models import (
    Dataset,
    DatasetVersion,
    Edge,
    Lifecycle,
    LineageEvent,
    LineageUse,
    Node,
    Run,
)
from registry.journal import record
from registry.models import ModelVersion, Namespace, Principal
from registry.permissions import check_can
from registry.roles import Permission

LONGEST_NAME = 500
MOST_RUNS_NAMED = 20
# What is derived of a name is a UUID of this version; so an id of this version that is said is never taken as it is.
DERIVED = 5


@dataclass(frozen=True)
class Telling:
    """An event as it is kept. `run` is what its tool calls the run; None for what is told of a job or a dataset."""

    digest: str
    at: datetime
    run: UUID | None
    body: dict[str, Any]


@dataclass(frozen=True)
class ToldUse:
    """A dataset as the events tell of it; `digest` is ours, `version` what the tool calls the content."""

    dataset: str
    role: str
    version: str = ""
    digest: str = ""
    size: int | None = None
    files: int | None = None
    rows: int | None = None
    schema: dict[str, str] | None = None


@dataclass(frozen=True)
class Told:
    """What the events of one run add up to; shapes as in the fields of `Run`."""

    experiment: str
    name: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    reported: dict[str, Any]
    entry_point: str = ""
    code: dict[str, Any] | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    capture: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    uses: Sequence[ToldUse] = ()


@dataclass(frozen=True)
class Received:
    """How many events were new, and the run here for each that was told of; None for one that speaks for itself."""

    new: int
    runs: dict[UUID, UUID | None]


Derive = Callable[[Sequence[dict[str, Any]]], Told]


@transaction.atomic
def receive_events(
    *, namespace: Namespace, by: Principal, events: Sequence[Telling], derive: Derive
) -> Received:
    """Keep events, and bring the runs they tell of up to them. What is known already changes nothing.

    `derive` says what the events of one run add up to, given in any order. A run that is recorded here by itself
    speaks for itself: what is told of it is kept, and changes nothing. One journal event, and none when nothing was
    new. Raises Forbidden, NotYourRun, RunIsDeleted.
    """
    check_can(by, Permission.RUN_WRITE, namespace)
    told: dict[UUID, list[Telling]] = {}
    for event in events:
        if event.run is not None:
            told.setdefault(event.run, []).append(event)
    new = len(_keep(namespace, None, [event for event in events if event.run is None]))
    runs: dict[UUID, UUID | None] = {}
    arrows: list[Arrow] = []
    # In one order, so that two who tell of the same runs wait for each other and for nothing else.
    for key in sorted(told):
        run = _run(namespace, key, by, derive([event.body for event in told[key]]))
        kept = _keep(namespace, run, told[key])
        new += len(kept)
        runs[key] = run.pk if run else None
        if run and kept:
            bodies = LineageEvent.objects.filter(run=run).values_list("body", flat=True)
            arrows += _bring_up(run, derive(list(bodies)), by)
    add_edges(arrows)
    if new:
        record(
            "lineage.reported",
            subject=namespace,
            by=by,
            namespace=namespace,
            after={"events": new, "runs": [str(pk) for pk in runs.values() if pk][:MOST_RUNS_NAMED]},
        )
    return Received(new=new, runs=runs)


def short_name(text: str) -> str:
    """A name of at most 500 characters; what is longer ends in its digest, so that two stay two."""
    if len(text) <= LONGEST_NAME:
        return text
    return f"{text[: LONGEST_NAME - 70]}… {hashlib.sha256(text.encode()).hexdigest()}"


def _keep(namespace: Namespace, run: Run | None, events: Iterable[Telling]) -> set[str]:
    """Answers the digests of those that were new."""
    wanted = {event.digest: event for event in events}
    held = LineageEvent.objects.filter(namespace=namespace, digest__in=list(wanted))
    known = set(held.values_list("digest", flat=True))
    LineageEvent.objects.bulk_create(
        [
            LineageEvent(namespace=namespace, run=run, digest=digest, at=event.at, body=event.body)
            for digest, event in sorted(wanted.items())
            if digest not in known
        ],
        ignore_conflicts=True,
    )
    return set(wanted) - known


def _run(namespace: Namespace, key: UUID, by: Principal, told: Told) -> Run | None:
    """The run that a tool calls `key`, made where it is new, and locked; None where it speaks for itself."""
    new: dict[str, Any] = {
        "namespace": namespace,
        # Asked where the run is new only: one that is known may be of another.
        "experiment": lambda: experiment_named(namespace, told.experiment, by),
        "started_at": told.started_at,
        "capture": told.capture,
        "reported": told.reported,
        "created_by": by.account,
    }
    for pk in _ids(namespace, key):
        row, created = Run.objects.get_or_create(pk=pk, defaults=new)
        if created:
            add_nodes(Node.Kind.RUN, [pk], namespace)
        if row.namespace_id == namespace.pk:
            break
    rows = Run.objects.select_related("namespace", "experiment", "created_by")
    found = rows.select_for_update(of=("self",), no_key=True).get(pk=row.pk)
    if found.reported is None:
        return None
    check_own(found, by)
    if found.lifecycle == Lifecycle.DELETED:
        raise RunIsDeleted(f"The run {found} was deleted: restore it before telling more of it.")
    return found


def _ids(namespace: Namespace, key: UUID) -> list[UUID]:
    """The id that the run has, the first that is this namespace's: the one it was given, unless that is another's."""
    derived = uuid5(namespace.pk, f"reported:{key}")
    taken = Node.objects.filter(pk=key).exclude(namespace=namespace, kind=Node.Kind.RUN).exists()
    return [derived] if taken or key.version == DERIVED else [key, derived]


def _bring_up(run: Run, told: Told, by: Principal) -> list[Arrow]:
    """Write what follows from all events. Answers the edges that are new."""
    run.experiment = experiment_named(run.namespace, told.experiment, by)
    run.name, run.status = told.name, told.status
    run.started_at, run.ended_at = told.started_at, told.ended_at
    run.entry_point, run.code, run.environment = told.entry_point, told.code, told.environment
    run.failure, run.reported = told.failure, told.reported
    run.save(
        update_fields=[
            "experiment", "name", "status", "started_at", "ended_at", "entry_point", "code", "environment", "failure",
            "reported",
        ]
    )  # fmt: skip
    arrows = _bring_up_uses(run, told)
    if ModelVersion.objects.filter(run_id=run.pk).exists():
        retell_completeness(run)
    return arrows


def _bring_up_uses(run: Run, told: Told) -> list[Arrow]:
    datasets = named(run.namespace, {use.dataset for use in told.uses})
    held = {(row.role, row.dataset_id): row for row in run.uses.all()}
    sources = _sources([(datasets[use.dataset], use) for use in told.uses if use.role == Edge.Role.INPUT])
    occurrences: dict[UUID, Dataset] = {}
    fresh: list[LineageUse] = []
    for use in told.uses:
        dataset = datasets[use.dataset]
        facts = {key: value for key, value in asdict(use).items() if key not in ("dataset", "role")}
        facts["began_at"] = run.started_at
        facts["available_at"] = run.ended_at if run.status == Run.Status.FINISHED else None
        if use.role == Edge.Role.OUTPUT:
            facts["occurrence"] = uuid5(run.pk, f"output:{use.dataset}")
            occurrences[facts["occurrence"]] = dataset
        else:
            facts["occurrence"] = sources[dataset.pk, _source_digest(use)]
        row = held.get((use.role, dataset.pk))
        if row is None:
            fresh.append(LineageUse(run=run, dataset=dataset, role=use.role, **facts))
        elif any(getattr(row, key) != value for key, value in facts.items()):
            for key, value in facts.items():
                setattr(row, key, value)
            row.save(update_fields=list(facts))
    LineageUse.objects.bulk_create(fresh)
    new = {row.occurrence for row in fresh if row.role == Edge.Role.OUTPUT}
    DatasetVersion.objects.bulk_create(
        [DatasetVersion(id=pk, dataset=occurrences[pk], digest="", produced_by=run) for pk in sorted(new)]
    )
    add_nodes(Node.Kind.DATASET_VERSION, {*new, *sources.values()}, run.namespace)
    return [Arrow(run.pk, pk, Edge.Role.OUTPUT) for pk in new]


def _source_digest(use: ToldUse) -> str:
    """What tells contents that nobody here wrote apart: our digest, else the tool's version, else nothing.

    A version is one of its dataset only: version 5 of two tables is not the same content.
    """
    if use.digest or not use.version:
        return use.digest
    of_one_dataset = f"{use.dataset}\n{use.version}"
    return f"version:{hashlib.sha256(of_one_dataset.encode()).hexdigest()}"


def _sources(read: Sequence[tuple[Dataset, ToldUse]]) -> dict[tuple[UUID, str], UUID]:
    """The unproduced occurrence of each content, made where it is new: what is read when nobody wrote it."""
    wanted = {(dataset.pk, _source_digest(use)): use for dataset, use in read}
    rows = DatasetVersion.objects.filter(dataset__in={pk for pk, _ in wanted}, produced_by=None)
    found = rows.filter(digest__in={digest for _, digest in wanted}).values_list("dataset_id", "digest", "pk")
    known = {(dataset, digest): pk for dataset, digest, pk in found}
    made = [
        DatasetVersion(
            dataset_id=dataset,
            digest=digest,
            foreign_digest="" if wanted[dataset, digest].digest else digest,
        )
        for dataset, digest in sorted(set(wanted) - set(known))
    ]
    if made:
        # Another run may have written the same one at the same moment.
        DatasetVersion.objects.bulk_create(made, ignore_conflicts=True)
        known = {(dataset, digest): pk for dataset, digest, pk in found.all()}
    return {key: known[key] for key in wanted}
