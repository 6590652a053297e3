"""Steps of another tool's pipeline, as that tool wrote them down: runs that have ended, with what they used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from django.db import transaction

from lineage.actions.datasets import Use, join, named, occurrences, step_id, version_of
from lineage.actions.runs import Making, Measurement, experiment_named, write_metrics, write_parameters
from lineage.graph import add_nodes
from lineage.models import DatasetVersion, Edge, Experiment, Lifecycle, Node, Run
from registry.errors import DomainError
from registry.journal import record
from registry.models import Namespace, Principal
from registry.permissions import check_can
from registry.roles import Permission


class ForeignDigestHasAnother(DomainError):
    """One content has one digest of each kind: another of ours is said beside the same foreign one."""

    code = "foreign-digest-has-another"


@dataclass(frozen=True)
class Step:
    """One execution of a step. `key` tells it from every other, so that it is recorded once, whoever says it.

    `at` is when it was written down: when it ran, and for how long, is not known. `notes` say what else is not.
    """

    key: str
    name: str
    at: datetime
    making: Making
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    uses: Sequence[Use] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Recorded:
    """What was new: steps, contents that no step of these made, digests of ours for contents known by foreign ones."""

    runs: dict[str, UUID]
    steps: int
    datasets: int
    digests: int


@transaction.atomic
def record_steps(
    *,
    namespace: Namespace,
    by: Principal,
    experiment: str,
    origin: str,
    steps: Sequence[Step],
    datasets: Sequence[Use] = (),
) -> Recorded:
    """Record steps, each after those whose outputs it read, and `datasets` that the pipeline only keeps.

    A step that is known stays as it is, but for digests: a content that was known by its foreign digest only may be
    told by ours. One event, and none when nothing was new. Raises Forbidden, RunIsDeleted (the experiment is),
    ForeignDigestHasAnother.
    """
    check_can(by, Permission.RUN_WRITE, namespace)
    heading = experiment_named(namespace, experiment, by)
    wanted = {step_id(namespace, step.key): step for step in steps}
    new = _begin(wanted, heading, by)
    held = {run.pk: run for run in Run.objects.select_related("namespace").filter(pk__in=wanted)}
    alive = {pk: run for pk, run in held.items() if run.lifecycle != Lifecycle.DELETED}
    kept = _keep(namespace, datasets)
    for pk in new:
        step, at = wanted[pk], int(wanted[pk].at.timestamp() * 1000)
        write_parameters(held[pk], step.parameters)
        write_metrics(held[pk], [Measurement(key, value, 0, at) for key, value in step.metrics.items()])
    learnt = _learnt({pk: wanted[pk] for pk in alive if pk not in new})
    join(
        [
            (alive[pk], [_whole(use) for use in (step.uses if pk in new else learnt.get(pk, ()))])
            for pk, step in wanted.items()
            if pk in alive
        ]
    )
    done = Recorded(
        runs={step.key: pk for pk, step in wanted.items()},
        steps=len(new),
        datasets=kept,
        digests=sum(map(len, learnt.values())),
    )
    if done.steps or done.datasets or done.digests:
        record(
            "steps.recorded",
            subject=heading,
            by=by,
            namespace=namespace,
            after={
                "origin": origin,
                "steps": done.steps,
                "datasets": done.datasets,
                "digests": done.digests,
            },
        )
    return done


def _whole(use: Use) -> Use:
    return use if use.digest else replace(use, digest=use.foreign_digest)


def _begin(wanted: dict[UUID, Step], heading: Experiment, by: Principal) -> set[UUID]:
    """Rows for the steps that are new; two who say the same at once write it once."""
    known = set(Run.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    rows = [
        Run(
            id=pk,
            namespace=heading.namespace,
            experiment=heading,
            name=step.name,
            status=Run.Status.FINISHED,
            started_at=step.at,
            entry_point=step.making.entry_point,
            command=list(step.making.command),
            code=dict(step.making.code) if step.making.code is not None else None,
            environment=dict(step.making.environment),
            config=dict(step.making.config) if step.making.config is not None else None,
            capture={"state": "unknown", "notes": list(step.notes)},
            created_by=by.account,
        )
        for pk, step in sorted(wanted.items())
        if pk not in known
    ]
    # What another wrote since is waited for here, and is not among those that are ours to fill.
    made = {row.pk for row in rows if _inserted(row)}
    add_nodes(Node.Kind.RUN, made, heading.namespace)
    return made


def _inserted(row: Run) -> bool:
    _, created = Run.objects.get_or_create(
        pk=row.pk,
        defaults={f.attname: getattr(row, f.attname) for f in Run._meta.concrete_fields if not f.primary_key},
    )
    return created


def _learnt(known: dict[UUID, Step]) -> dict[UUID, list[Use]]:
    """Of the steps that are known already, the uses that tell our digest of a content known by its foreign one."""
    told = {pk: [use for use in step.uses if use.digest and use.foreign_digest] for pk, step in known.items()}
    held = _held([pk for pk, uses in told.items() if uses])
    learnt: dict[UUID, list[Use]] = {}
    for pk, uses in told.items():
        for use in uses:
            ours = held.get((pk, use.role, use.name, use.foreign_digest))
            if ours is None or use.digest in ours:
                continue
            if other := sorted(ours - {use.foreign_digest}):
                raise ForeignDigestHasAnother(
                    f"{use.name} with {use.foreign_digest} is recorded as {other[0][:19]}…: it is not "
                    f"{use.digest[:19]}… too.",
                    field="steps",
                )
            learnt.setdefault(pk, []).append(use)
    return learnt


def _held(runs: Iterable[UUID]) -> dict[tuple[UUID, str, str, str], set[str]]:
    """The digests of what runs used, by run, role, name and foreign digest."""
    runs = list(runs)
    ends = [
        *Edge.objects.filter(to_node__in=runs, role=Edge.Role.INPUT).values_list(
            "to_node", "from_node", "role"
        ),
        *Edge.objects.filter(from_node__in=runs, role=Edge.Role.OUTPUT).values_list(
            "from_node", "to_node", "role"
        ),
    ]
    rows = DatasetVersion.objects.filter(pk__in={other for _, other, _ in ends}).exclude(foreign_digest="")
    facts = {pk: told for pk, *told in rows.values_list("pk", "dataset__name", "foreign_digest", "digest")}
    found: dict[tuple[UUID, str, str, str], set[str]] = {}
    for run, other, role in ends:
        if other in facts:
            name, foreign, digest = facts[other]
            found.setdefault((run, role, name, foreign), set()).add(digest)
    return found


def _keep(namespace: Namespace, uses: Sequence[Use]) -> int:
    """Occurrences of what is kept and no step made. Answers how many were new."""
    if not uses:
        return 0
    whole = [_whole(use) for use in uses]
    datasets = named(namespace, {use.name for use in whole})
    held = {
        (row.dataset.name, digest)
        for row in occurrences(list(datasets.values()), whole)
        for digest in (row.digest, row.foreign_digest)
    }
    new = {use.key: version_of(datasets[use.name], use) for use in whole if use.key not in held}
    DatasetVersion.objects.bulk_create(
        sorted(new.values(), key=lambda v: (v.dataset_id, v.digest)), ignore_conflicts=True
    )
    rows = occurrences(list(datasets.values()), whole)
    add_nodes(Node.Kind.DATASET_VERSION, {row.pk for row in rows}, namespace)
    return len(new)
