"""What the nodes of a graph are called, in a number of queries that does not grow with the graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from lineage.models import DatasetVersion, LoggedModel, Node, Run
from lineage.reads import among, contents_of, is_told
from registry.models import ModelVersion, Principal

RESTRICTED = "restricted"


@dataclass(frozen=True)
class Label:
    """A node in words. `kind` is that of the node, or `restricted` where the caller may not look."""

    kind: str
    label: str
    detail: dict[str, Any] = field(default_factory=dict)


def labels_of(nodes: Iterable[UUID], principal: Principal) -> dict[UUID, Label]:
    """A label for each node that the principal may see; the others are missing from the answer."""
    kinds: dict[str, list[UUID]] = {}
    seen = Node.objects.visible_to(principal).filter(pk__in=among(nodes)).values_list("kind", "pk")
    for kind, key in seen:
        kinds.setdefault(kind, []).append(key)
    named: dict[UUID, Label] = {}
    for kind, keys in kinds.items():
        named.update(_NAMED[kind](keys))
    return named


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _runs(keys: Collection[UUID]) -> dict[UUID, Label]:
    # Not the rows: a run's environment and configuration are long, and a graph has many runs.
    rows = Run.objects.filter(pk__in=among(keys)).values_list(
        "pk", "name", "experiment__name", "status", "started_at", "created_by__username", "code__commit"
    )
    return {
        key: Label(
            Node.Kind.RUN.value,
            name or str(key)[:8],
            {
                "experiment": experiment,
                "status": status,
                "started_at": _time(started_at),
                "created_by": created_by,
                "commit": commit or None,
            },
        )
        for key, name, experiment, status, started_at, created_by, commit in rows
    }


def _datasets(keys: Collection[UUID]) -> dict[UUID, Label]:
    told = ("digest", "foreign_digest", "rows", "columns", "size")
    rows = DatasetVersion.objects.filter(pk__in=among(keys)).values_list(
        "pk", "dataset__name", "produced_by", *told
    )
    named = {
        key: Label(
            Node.Kind.DATASET_VERSION.value,
            name,
            {**dict(zip(told, values, strict=True)), "produced": produced_by is not None},
        )
        for key, name, produced_by, *values in rows
    }
    told_of = [key for key, label in named.items() if is_told(label.detail["digest"])]
    for key, content in contents_of(told_of).items():
        detail = named[key].detail
        detail.update(
            {each: detail[each] or getattr(content, each) for each in told if hasattr(content, each)}
        )
        detail["version"] = content.version
    return named


def _versions(keys: Collection[UUID]) -> dict[UUID, Label]:
    rows = ModelVersion.objects.filter(pk__in=among(keys)).values_list(
        "pk", "model__namespace__name", "model__name", "number", "stage", "status", "manifest__digest",
        "created_at", "supply__supplier",
    )  # fmt: skip
    return {
        key: _version(f"{namespace}/{name}:{number}", stage, status, digest, created_at, supplier)
        for key, namespace, name, number, stage, status, digest, created_at, supplier in rows
    }


def version_label(version: ModelVersion) -> Label:
    """The label of a model version, read with its model, namespace, manifest and supply."""
    supply = getattr(version, "supply", None)
    return _version(
        version.reference,
        version.stage,
        version.status,
        version.manifest.digest,
        version.created_at,
        supply.supplier if supply else None,
    )


def _version(
    reference: str, stage: str, status: str, digest: str | None, created_at: datetime, supplier: str | None
) -> Label:
    return Label(
        Node.Kind.MODEL_VERSION.value,
        reference,
        {
            "stage": stage,
            "status": status,
            "digest": f"sha256:{digest}" if digest else None,
            "created_at": _time(created_at),
            **({"bought_from": supplier} if supplier else {}),
        },
    )


def _logged(keys: Collection[UUID]) -> dict[UUID, Label]:
    return {
        model.pk: Label(
            Node.Kind.LOGGED_MODEL.value, model.name, {"type": model.model_type, "status": model.status}
        )
        for model in LoggedModel.objects.filter(pk__in=among(keys))
    }


_NAMED: dict[str, Callable[[Collection[UUID]], dict[UUID, Label]]] = {
    Node.Kind.RUN.value: _runs,
    Node.Kind.DATASET_VERSION.value: _datasets,
    Node.Kind.MODEL_VERSION.value: _versions,
    Node.Kind.LOGGED_MODEL.value: _logged,
}
