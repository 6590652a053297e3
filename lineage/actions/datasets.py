"""What a run read and wrote: occurrences of datasets, and the edges to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from lineage.actions.runs import ENDED, RunHasEnded, lock_run, retell_completeness
from lineage.graph import Arrow, add_edges, add_nodes, descendants
from lineage.models import Dataset, DatasetVersion, Edge, Node, Run
from registry.models import Principal


@dataclass(frozen=True)
class Use:
    """A dataset as a run read it (`input`) or wrote it (`output`). `digest` is sha256:<hex> or frame-v1:<hex>."""

    name: str
    digest: str
    role: str
    context: str = ""
    size: int | None = None
    rows: int | None = None
    columns: int | None = None
    schema: Any = None
    source: str = ""

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
    datasets = _datasets(row, {use.name for use in uses})
    written = [use for use in uses if use.role == Edge.Role.OUTPUT]
    read = [use for use in uses if use.role == Edge.Role.INPUT]
    produced = _outputs(row, datasets, written)
    occurrences = _inputs(row, datasets, read)
    made = {*produced.values(), *occurrences.values()}
    add_nodes(Node.Kind.DATASET_VERSION, made, row.namespace)
    add_edges(
        [
            *(Arrow(row.pk, produced[use.key], Edge.Role.OUTPUT, use.context) for use in written),
            *(Arrow(occurrences[use.key], row.pk, Edge.Role.INPUT, use.context) for use in read),
        ]
    )
    retell_completeness(row)


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


def _datasets(run: Run, names: Collection[str]) -> dict[str, Dataset]:
    Dataset.objects.bulk_create(
        [Dataset(namespace=run.namespace, name=name) for name in sorted(names)], ignore_conflicts=True
    )
    return {row.name: row for row in Dataset.objects.filter(namespace=run.namespace, name__in=names)}


def _version(dataset: Dataset, use: Use, produced_by: Run | None) -> DatasetVersion:
    return DatasetVersion(
        dataset=dataset,
        digest=use.digest,
        produced_by=produced_by,
        size=use.size,
        rows=use.rows,
        columns=use.columns,
        schema=use.schema,
        source=use.source,
    )


def _occurrences(datasets: Collection[Dataset], uses: Sequence[Use]) -> list[DatasetVersion]:
    """Every occurrence of these datasets with one of these digests, oldest first."""
    return list(
        DatasetVersion.objects.select_related("dataset")
        .filter(dataset__in=datasets, digest__in={use.digest for use in uses})
        .order_by("created_at", "pk")
    )


def _outputs(run: Run, datasets: dict[str, Dataset], uses: Sequence[Use]) -> dict[tuple[str, str], UUID]:
    if not uses:
        return {}
    mine = {
        (held.dataset.name, held.digest): held.pk
        for held in _occurrences(list(datasets.values()), uses)
        if held.produced_by_id == run.pk
    }
    new = {use.key: _version(datasets[use.name], use, run) for use in uses if use.key not in mine}
    DatasetVersion.objects.bulk_create(new.values())
    return mine | {key: row.pk for key, row in new.items()}


def _inputs(run: Run, datasets: dict[str, Dataset], uses: Sequence[Use]) -> dict[tuple[str, str], UUID]:
    if not uses:
        return {}
    below = descendants([run.pk])
    known = set(
        Edge.objects.filter(to_node_id=run.pk, role=Edge.Role.INPUT).values_list("from_node", flat=True)
    )
    found: dict[tuple[str, str], list[DatasetVersion]] = {}
    for held in _occurrences(list(datasets.values()), uses):
        # What this run, or a step after it, produced cannot be what it read, however equal the content.
        if held.produced_by_id != run.pk and held.pk not in below:
            found.setdefault((held.dataset.name, held.digest), []).append(held)
    chosen = {use.key: _chosen(found.get(use.key, []), known) for use in uses}
    new = {use.key: _version(datasets[use.name], use, None) for use in uses if chosen[use.key] is None}
    DatasetVersion.objects.bulk_create(
        sorted(new.values(), key=lambda v: (v.dataset_id, v.digest)), ignore_conflicts=True
    )
    if new:
        # Another run may have written the same unproduced occurrence at the same moment.
        for held in _occurrences(list(datasets.values()), uses):
            if held.produced_by_id is None and (held.dataset.name, held.digest) in new:
                chosen[held.dataset.name, held.digest] = held.pk
    return {key: each for key, each in chosen.items() if each is not None}


def _chosen(held: list[DatasetVersion], known: set[UUID]) -> UUID | None:
    """The occurrence to read from: the one this run is joined to already, the produced one when there is exactly
    one, else the unproduced one; None when that has to be made."""
    before = [row.pk for row in held if row.pk in known]
    produced = [row.pk for row in held if row.produced_by_id is not None]
    unproduced = [row.pk for row in held if row.produced_by_id is None]
    if before:
        return before[0]
    return produced[0] if len(produced) == 1 else next(iter(unproduced), None)
