"""What a run read and wrote: occurrences of datasets, and the edges to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import Q

from lineage.actions.runs import ENDED, RunHasEnded, lock_run, retell_completeness
from lineage.graph import Arrow, add_edges, add_nodes, descendants
from lineage.models import Dataset, DatasetVersion, Edge, Node, Run
from registry.models import Namespace, Principal


@dataclass(frozen=True)
class Use:
    """A dataset as a run read it (`input`) or wrote it (`output`). `digest` is sha256:<hex> or frame-v1:<hex>.

    `foreign_digest` is what another tool calls the content; it stands in `digest` too when that is all that is
    known. `step` is the key of the recorded step that wrote what was read, where that is known.
    """

    name: str
    digest: str
    role: str
    context: str = ""
    size: int | None = None
    rows: int | None = None
    columns: int | None = None
    schema: Any = None
    source: str = ""
    foreign_digest: str = ""
    files: int | None = None
    step: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What an occurrence is looked for by."""
        return self.name, self.digest


@transaction.atomic
def log_datasets(*, run: Run, by: Principal, uses: Sequence[Use]) -> None:
    """Join a run to what it read and wrote. Saying the same again changes nothing.

    A content that is read is the occurrence that a run is known to have produced, when exactly one is, and
    otherwise the unproduced one. What is written is always a new occurrence, so a step that changes nothing,
    or writes where it read, makes no circle. Raises Forbidden, NotYourRun, RunIsDeleted, RunHasEnded.
    """
    row = lock_run(run=run, by=by)
    if row.status in ENDED:
        _check_repeats(row, uses)
        return
    join([(row, uses)])
    retell_completeness(row)


def join(joined: Sequence[tuple[Run, Sequence[Use]]]) -> None:
    """Occurrences of what these runs of one namespace used, and the edges to them; a run comes after those whose
    outputs it read. Ends with the edges: call it last but for what needs no lock."""
    arrows: list[Arrow] = []
    for run, uses in joined:
        datasets = named(run.namespace, {use.name for use in uses})
        written = [use for use in uses if use.role == Edge.Role.OUTPUT]
        read = [use for use in uses if use.role == Edge.Role.INPUT]
        produced = _outputs(run, datasets, written)
        occurrences = _inputs(run, datasets, read)
        add_nodes(Node.Kind.DATASET_VERSION, {*produced.values(), *occurrences.values()}, run.namespace)
        arrows += [Arrow(run.pk, produced[use.key], Edge.Role.OUTPUT, use.context) for use in written]
        arrows += [Arrow(occurrences[use.key], run.pk, Edge.Role.INPUT, use.context) for use in read]
    add_edges(arrows)


def step_id(namespace: Namespace, key: str) -> UUID:
    """The run that a step of another tool is, by the key that tells it from every other: the same whoever says it."""
    return uuid5(namespace.pk, f"step:{key}")


def _check_repeats(run: Run, uses: Sequence[Use]) -> None:
    """A run that has ended read and wrote what it is known to have read and written, and nothing else."""
    edges = [
        *Edge.objects.filter(to_node_id=run.pk, role=Edge.Role.INPUT).values_list(
            "from_node", "role", "context"
        ),
        *Edge.objects.filter(from_node_id=run.pk, role=Edge.Role.OUTPUT).values_list(
            "to_node", "role", "context"
        ),
    ]
    versions = DatasetVersion.objects.filter(pk__in={other for other, _, _ in edges})
    keys = {pk: (name, digest) for pk, name, digest in versions.values_list("pk", "dataset__name", "digest")}
    held = {(keys[other], role, context) for other, role, context in edges if other in keys}
    for use in uses:
        if (use.key, use.role, use.context) not in held:
            raise RunHasEnded(
                f"The run {run} has ended ({run.status}): {use.name} ({use.digest[:19]}…) cannot be added as "
                f"its {use.role}.",
                field="datasets",
            )


def named(namespace: Namespace, names: Collection[str]) -> dict[str, Dataset]:
    """The datasets of these names, made where they are new."""
    Dataset.objects.bulk_create(
        [Dataset(namespace=namespace, name=name) for name in sorted(names)], ignore_conflicts=True
    )
    return {row.name: row for row in Dataset.objects.filter(namespace=namespace, name__in=names)}


def version_of(dataset: Dataset, use: Use, produced_by: Run | None = None) -> DatasetVersion:
    """The occurrence that is said, before it is written."""
    return DatasetVersion(
        dataset=dataset,
        digest=use.digest,
        foreign_digest=use.foreign_digest,
        produced_by=produced_by,
        size=use.size,
        files=use.files,
        rows=use.rows,
        columns=use.columns,
        schema=use.schema,
        source=use.source,
    )


def occurrences(datasets: Collection[Dataset], uses: Sequence[Use]) -> list[DatasetVersion]:
    """Every occurrence of these datasets with one of these digests, oldest first."""
    # Only what nobody here has read is looked for by what another tool calls it: a name of ours is not weakened to it.
    foreign = {use.foreign_digest for use in uses if use.foreign_digest == use.digest}
    wanted = Q(digest__in={use.digest for use in uses}) | Q(foreign_digest__in=foreign)
    rows = DatasetVersion.objects.select_related("dataset").filter(wanted, dataset__in=datasets)
    return list(rows.order_by("created_at", "pk"))


def _outputs(run: Run, datasets: dict[str, Dataset], uses: Sequence[Use]) -> dict[tuple[str, str], UUID]:
    if not uses:
        return {}
    mine = {
        (held.dataset.name, held.digest): held.pk
        for held in occurrences(list(datasets.values()), uses)
        if held.produced_by_id == run.pk
    }
    new = {use.key: version_of(datasets[use.name], use, run) for use in uses if use.key not in mine}
    DatasetVersion.objects.bulk_create(new.values())
    return mine | {key: row.pk for key, row in new.items()}


def _inputs(run: Run, datasets: dict[str, Dataset], uses: Sequence[Use]) -> dict[tuple[str, str], UUID]:
    if not uses:
        return {}
    below = descendants([run.pk])
    known = set(
        Edge.objects.filter(to_node_id=run.pk, role=Edge.Role.INPUT).values_list("from_node", flat=True)
    )
    held = [
        # What this run, or a step after it, produced cannot be what it read, however equal the content.
        each
        for each in occurrences(list(datasets.values()), uses)
        if each.produced_by_id != run.pk and each.pk not in below
    ]
    chosen = {use.key: _chosen(run, use, [row for row in held if _is(use, row)], known) for use in uses}
    new = {use.key: version_of(datasets[use.name], use) for use in uses if chosen[use.key] is None}
    DatasetVersion.objects.bulk_create(
        sorted(new.values(), key=lambda v: (v.dataset_id, v.digest)), ignore_conflicts=True
    )
    if new:
        # Another run may have written the same unproduced occurrence at the same moment.
        for row in occurrences(list(datasets.values()), uses):
            if row.produced_by_id is None and (row.dataset.name, row.digest) in new:
                chosen[row.dataset.name, row.digest] = row.pk
    return {key: each for key, each in chosen.items() if each is not None}


def _is(use: Use, row: DatasetVersion) -> bool:
    if row.dataset.name != use.name:
        return False
    return row.digest == use.digest or use.digest == use.foreign_digest == row.foreign_digest


def _chosen(run: Run, use: Use, held: list[DatasetVersion], known: set[UUID]) -> UUID | None:
    """The occurrence to read from: the one this run is joined to already, that of the step that is named, the
    produced one when there is exactly one, else the unproduced one; None when that has to be made."""
    if before := next((row.pk for row in held if row.pk in known), None):
        return before
    # Of one content, what is known by a digest of ours comes first.
    held = sorted(held, key=lambda row: row.digest == row.foreign_digest)
    if use.step:
        wrote = step_id(run.namespace, use.step)
        if found := next((row.pk for row in held if row.produced_by_id == wrote), None):
            return found
    producers = {row.produced_by_id: row.pk for row in reversed(held) if row.produced_by_id is not None}
    if len(producers) == 1:
        return next(iter(producers.values()))
    return next((row.pk for row in held if row.produced_by_id is None), None)
