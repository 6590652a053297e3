"""What lineage's rows look like in JSON, in a number of queries that does not grow with the page."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import Q

from lineage.api.fields import number_json
from lineage.graph import Arrow
from lineage.models import DatasetVersion, Edge, Run
from lineage.reads import Content, contents_of, is_told, reads_into
from registry.api.shows import time_json

RUN_ROWS = Run.objects.select_related("namespace", "experiment", "created_by").prefetch_related(
    "parameters", "latest_metrics", "run_tags"
)


def run_json(run: Run, datasets: list[dict[str, Any]]) -> dict[str, Any]:
    """A run, from RUN_ROWS, with its datasets from `datasets_of`."""
    return {
        "id": str(run.pk),
        "namespace": run.namespace.name,
        "experiment": run.experiment.name,
        "name": run.name,
        "status": run.status,
        "lifecycle": run.lifecycle,
        "started_at": time_json(run.started_at),
        "ended_at": time_json(run.ended_at),
        "created_by": run.created_by.get_username(),
        "entry_point": run.entry_point,
        "command": run.command,
        "code": run.code,
        "environment": _environment(run),
        "config": run.config,
        "parameters": dict(sorted({**run.told_parameters, **_parameters(run)}.items())),
        "metrics": {
            m.key: number_json(m.value) for m in sorted(run.latest_metrics.all(), key=lambda m: m.key)
        },
        "tags": {t.key: t.value for t in sorted(run.run_tags.all(), key=lambda t: t.key)},
        "datasets": datasets,
        "capture": _capture(run),
        "failure": run.failure,
        **_reported(run),
    }


def _parameters(run: Run) -> dict[str, str]:
    return {parameter.key: parameter.value for parameter in run.parameters.all()}


def _reported(run: Run) -> dict[str, Any]:
    """What only events of other tools tell of a run: how those call it and its job, and the run that began it."""
    told = run.reported
    if told is None:
        return {}
    return {"reported": {key: told.get(key) for key in ("run", "job", "parent", "nominal_time")}}


def _environment(run: Run) -> dict[str, Any]:
    """With every seed that is known: those set while it went on are told when it ends."""
    seeds = run.seeds
    return {**run.environment, "seeds": seeds} if seeds else run.environment


def _capture(run: Run) -> dict[str, Any]:
    told = run.capture or {"state": "unknown", "notes": []}
    return {key: value for key, value in told.items() if key != "seeds"}


def datasets_of(runs: Collection[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """What each of these runs read and wrote, in four queries."""
    found: dict[UUID, list[dict[str, Any]]] = {key: [] for key in runs}
    rows = Edge.objects.filter(
        Q(to_node__in=runs, role=Edge.Role.INPUT) | Q(from_node__in=runs, role=Edge.Role.OUTPUT)
    ).order_by("pk")
    edges = [Arrow(*row) for row in rows.values_list("from_node_id", "to_node_id", "role", "context")]
    edges += [Arrow(source, target, Edge.Role.INPUT.value) for source, target in reads_into(runs)]
    ends = [(*_ends(edge), edge) for edge in edges]
    wanted = {dataset for _, dataset, _ in ends}
    held = {v.pk: v for v in DatasetVersion.objects.filter(pk__in=wanted).select_related("dataset")}
    told = contents_of([pk for pk, version in held.items() if is_told(version.digest)])
    for run, dataset, edge in ends:
        if dataset in held:
            found[run].append(_use_json(held[dataset], edge, told.get(dataset)))
    return found


def _ends(edge: Arrow) -> tuple[UUID, UUID]:
    """The run's end of an edge, and the other."""
    if edge.role == Edge.Role.INPUT:
        return edge.target, edge.source
    return edge.source, edge.target


def _use_json(version: DatasetVersion, edge: Arrow, told: Content | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": str(version.pk),
        "name": version.dataset.name,
        "digest": version.digest,
        "foreign_digest": version.foreign_digest,
        "role": edge.role,
        "context": edge.context,
        "size": version.size,
        "files": version.files,
        "rows": version.rows,
        "columns": version.columns,
        "schema": version.schema,
        "source": version.source,
    }
    if told is None:
        return shown
    return {key: value or getattr(told, key, value) for key, value in shown.items()} | {
        "version": told.version
    }
