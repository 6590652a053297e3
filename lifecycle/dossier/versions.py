"""A version as people read it: what it is, what it was made from, where it has been."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from lifecycle import holds as legal_holds
from lifecycle.models import LegalHold, Quarantine
from lifecycle.quarantine import standing
from lineage import provenance
from lineage.graph import Direction, arrows, walk
from lineage.labels import Label, labels_of
from lineage.models import Node, Run
from registry.api.shows import VERSION_ROWS, version_json
from registry.artifacts.scanning import SCANNER
from registry.models import (
    Artifact,
    Event,
    ModelVersion,
    Principal,
    RegisteredModel,
    ScanReport,
    Stage,
    StageChange,
)

DEEPEST_SHOWN = 4
MOST_SHOWN = 60
MOST_FILES = 200


@dataclass
class Branch:
    """A node of the lineage as a tree. A node that was shown already is named again, without its branches."""

    label: Label
    id: UUID
    role: str = ""
    again: bool = False
    branches: list[Branch] = field(default_factory=list)


@dataclass(frozen=True)
class Lineage:
    """What a version was made from (`up`) and what was made from it (`down`). `cut`: there is more."""

    up: list[Branch]
    down: list[Branch]
    cut: bool


def read_version(version_id: Any, principal: Principal) -> tuple[ModelVersion, dict[str, Any]]:
    """The row and its JSON, in a constant number of queries. Raises ModelVersion.DoesNotExist."""
    row = VERSION_ROWS.visible_to(principal).get(pk=version_id)
    return row, version_json(row)


def run_of(version: ModelVersion) -> Run | None:
    """The run that made it, with who ran it."""
    return provenance.run_of(version)


def artifacts(version: ModelVersion) -> tuple[list[Artifact], int]:
    """The first files by path, each with `report`, what its scan found, and how many there are."""
    rows = Artifact.objects.filter(manifest=version.manifest_id).select_related("blob").order_by("path")
    files: list[Any] = list(rows[:MOST_FILES])
    reports = ScanReport.objects.filter(
        scanner=version.scanned_with or SCANNER, blob__in=[file.blob_id for file in files]
    )
    by_blob = {report.blob_id: report for report in reports}
    for file in files:
        file.report = by_blob.get(file.blob_id)
    return files, version.manifest.files


def events(version: ModelVersion, principal: Principal, most: int = 50) -> list[Event]:
    """What happened to it, newest first."""
    rows = Event.objects.visible_to(principal).filter(subject_kind="modelversion", subject_id=str(version.pk))
    return list(rows.order_by("-id")[:most])


def stage_changes(version: ModelVersion) -> list[StageChange]:
    """Where it has been, newest first."""
    return list(StageChange.objects.filter(version=version).select_related("by").order_by("-pk"))


def in_production_since(version: ModelVersion) -> datetime | None:
    """When it last entered production; None when it is not there."""
    if version.stage != Stage.PRODUCTION:
        return None
    entered = StageChange.objects.filter(version=version, to_stage=Stage.PRODUCTION).order_by("-pk").first()
    return entered.at if entered else None


def lineage(version: ModelVersion, principal: Principal, depth: int = DEEPEST_SHOWN) -> Lineage:
    """The graph around a version, as trees. Four queries and the labels'."""
    met = walk(version.pk, Direction.BOTH, depth=depth, most=MOST_SHOWN)
    edges = arrows(met)
    labels = labels_of(met.nodes, principal)
    into: dict[UUID, list[tuple[UUID, str]]] = {}
    out_of: dict[UUID, list[tuple[UUID, str]]] = {}
    for edge in edges:
        told = edge.context or edge.role
        into.setdefault(edge.target, []).append((edge.source, told))
        out_of.setdefault(edge.source, []).append((edge.target, told))
    return Lineage(
        up=_grow(version.pk, into, labels, {version.pk}, depth),
        down=_grow(version.pk, out_of, labels, {version.pk}, depth),
        cut=met.more,
    )


def _grow(
    node: UUID,
    ways: dict[UUID, list[tuple[UUID, str]]],
    labels: dict[UUID, Label],
    shown: set[UUID],
    left: int,
) -> list[Branch]:
    if left == 0:
        return []
    grown = []
    for other, role in ways.get(node, []):
        label = labels.get(other, Label("restricted", "something in a namespace that you cannot see"))
        again = other in shown
        shown.add(other)
        below = [] if again or other not in labels else _grow(other, ways, labels, shown, left - 1)
        grown.append(Branch(label=label, id=other, role=role, again=again, branches=below))
    order = {Node.Kind.RUN.value: 0, Node.Kind.DATASET_VERSION.value: 1}
    return sorted(grown, key=lambda b: (order.get(b.label.kind, 2), b.role, b.label.label))


def quarantines(version: ModelVersion) -> list[Quarantine]:
    """Those that it stands under, newest first."""
    return list(standing([version.pk]))


def holds(version: ModelVersion) -> list[LegalHold]:
    """The legal holds that it stands under, oldest first, each with `lift`, what is asked about it, or None."""
    found: list[Any] = legal_holds.standing(version)
    for hold in found:
        hold.lift = legal_holds.open_lift(hold)
    return found


def rollback_targets(model: RegisteredModel) -> list[tuple[ModelVersion, datetime]]:
    """The archived versions that were in production, the last one first, with when each stepped down."""
    left = StageChange.objects.filter(
        version__model=model,
        version__stage=Stage.ARCHIVED,
        version__deleted_at=None,
        from_stage=Stage.PRODUCTION,
    )
    found: dict[Any, tuple[ModelVersion, datetime]] = {}
    for change in left.select_related("version__model__namespace").order_by("-pk"):
        found.setdefault(change.version_id, (change.version, change.at))
    return list(found.values())
