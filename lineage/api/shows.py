"""What lineage's rows look like in JSON, in a number of queries that does not grow with the page."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import Q

from lineage.api.fields import number_json
from lineage.models import DatasetVersion, Edge, Run
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
        "parameters": {p.key: p.value for p in sorted(run.parameters.all(), key=lambda p: p.key)},
        "metrics": {
            m.key: number_json(m.value) for m in sorted(run.latest_metrics.all(), key=lambda m: m.key)
        },
        "tags": {t.key: t.value for t in sorted(run.run_tags.all(), key=lambda t: t.key)},
        "datasets": datasets,
        "capture": _capture(run),
        "failure": run.failure,
    }


def _environment(run: Run) -> dict[str, Any]:
    """With every seed that is known: those set while it went on are told when it ends."""
    seeds = run.seeds
    return {**run.environment, "seeds": seeds} if seeds else run.environment


def _capture(run: Run) -> dict[str, Any]:
    told = run.capture or {"state": "unknown", "notes": []}
    return {key: value for key, value in told.items() if key != "seeds"}


def datasets_of(runs: Collection[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """What each of these runs read and wrote, in two queries."""
    found: dict[UUID, list[dict[str, Any]]] = {key: [] for key in runs}
    edges = list(
        Edge.objects.filter(
            Q(to_node__in=runs, role=Edge.Role.INPUT) | Q(from_node__in=runs, role=Edge.Role.OUTPUT)
        ).order_by("pk")
    )
    ends = {edge.pk: _ends(edge) for edge in edges}
    wanted = {dataset for _, dataset in ends.values()}
    held = {v.pk: v for v in DatasetVersion.objects.filter(pk__in=wanted).select_related("dataset")}
    for edge in edges:
        run, dataset = ends[edge.pk]
        if dataset in held:
            found[run].append(_use_json(held[dataset], edge))
    return found


def _ends(edge: Edge) -> tuple[UUID, UUID]:
    """The run's end of an edge, and the other."""
    if edge.role == Edge.Role.INPUT:
        return edge.to_node_id, edge.from_node_id
    return edge.from_node_id, edge.to_node_id


def _use_json(version: DatasetVersion, edge: Edge) -> dict[str, Any]:
    return {
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
