"""The rows that speak for versions, read for all of them at once: the number of queries does not grow with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import F, Q

from lifecycle.api.incidents import ROWS as INCIDENT_ROWS
from lifecycle.api.revalidations import ROWS as VALIDATIONS
from lifecycle.api.shows import promotion_rows
from lifecycle.holds import hold_rows
from lifecycle.models import (
    CheckReport,
    DeploymentChange,
    Incident,
    LegalHold,
    Promotion,
    Quarantine,
    Revalidation,
)
from lineage.making import Making, makings_of
from registry.api.shows import MODEL_ROWS, VERSION_ROWS
from registry.artifacts.scanning import SCANNER
from registry.models import (
    Artifact,
    Event,
    ModelVersion,
    Principal,
    RegisteredModel,
    ScanReport,
    StageChange,
    User,
)

# The journal's order, which is that of commits; what has no number yet comes behind it.
IN_ORDER = (F("entry__pk").asc(nulls_last=True), "pk")
CHANGES = DeploymentChange.objects.select_related("deployment", "version__model__namespace", "by")


@dataclass
class Gathered:
    """The versions in their order, and what belongs to each by its id."""

    versions: list[ModelVersion]
    models: dict[UUID, RegisteredModel]
    makings: dict[UUID, Making]
    # Who started the runs, by the id of the account.
    names: dict[Any, str]
    # (path, size, sha256), by manifest.
    files: dict[UUID, list[tuple[str, int, str]]]
    # (sha256, scanner) -> the verdict.
    verdicts: dict[tuple[str, str], str]
    checks: dict[UUID, list[CheckReport]]
    promotions: dict[UUID, list[Promotion]]
    # Those of the version, and those of its model whatever the version.
    incidents: dict[UUID, list[Incident]]
    quarantines: dict[UUID, list[Quarantine]]
    holds: dict[UUID, list[LegalHold]]
    stages: dict[UUID, list[StageChange]]
    validations: dict[UUID, list[Revalidation]]
    # Every change at the targets that ever ran one of the versions, oldest first, by deployment.
    changes: dict[UUID, list[DeploymentChange]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


def gather(version_ids: Iterable[UUID], principal: Principal) -> Gathered:
    """Everything, oldest first. The caller may see the versions; what they may not see of the rest is left out."""
    rows: Any = VERSION_ROWS.visible_to(principal).filter(pk__in=list(version_ids))
    versions: list[ModelVersion] = list(rows.order_by("model__namespace__name", "model__name", "number"))
    ids = [version.pk for version in versions]
    makings = {making.version.pk: making for making in makings_of(versions, principal)}
    runs = [making.run for making in makings.values() if making.run]
    found = Gathered(
        versions=versions,
        models=MODEL_ROWS.in_bulk({version.model_id for version in versions}),
        makings=makings,
        names=dict(
            User.objects.filter(pk__in={run.created_by_id for run in runs}).values_list("pk", "username")
        ),
        files=_files(versions),
        verdicts=_verdicts(versions),
        checks=_by(CheckReport.objects.filter(version__in=ids).select_related("by").order_by("at", "pk")),
        promotions=_by(promotion_rows().filter(version__in=ids).order_by("requested_at", "pk")),
        incidents=_incidents(versions),
        quarantines=_by(
            Quarantine.objects.filter(version__in=ids)
            .select_related("by", "lift__by", "version__model__namespace")
            .order_by("at", "pk")
        ),
        holds=_by(hold_rows().filter(version__in=ids).order_by("placed_at", "pk")),
        validations=_by(VALIDATIONS.filter(version__in=ids).order_by("at", "pk")),
        stages=_by(StageChange.objects.filter(version__in=ids).select_related("by").order_by("pk")),
    )
    for change in CHANGES.filter(deployment__changes__version__in=ids).distinct().order_by("pk"):
        found.changes.setdefault(change.deployment_id, []).append(change)
    found.events = _events(found, principal)
    return found


def _by(rows: Iterable[Any]) -> dict[UUID, list[Any]]:
    found: dict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.version_id].append(row)
    return found


def _files(versions: list[ModelVersion]) -> dict[UUID, list[tuple[str, int, str]]]:
    rows = Artifact.objects.filter(manifest__in={version.manifest_id for version in versions})
    found: dict[UUID, list[tuple[str, int, str]]] = defaultdict(list)
    for file in rows.order_by("path").select_related("blob"):
        found[file.manifest_id].append((file.path, file.blob.size, file.blob_id))
    return found


def _verdicts(versions: list[ModelVersion]) -> dict[tuple[str, str], str]:
    rows = ScanReport.objects.filter(
        scanner__in={version.scanned_with or SCANNER for version in versions},
        blob__artifacts__manifest__in={version.manifest_id for version in versions},
    )
    return {
        (blob, scanner): verdict for blob, scanner, verdict in rows.values_list("blob", "scanner", "verdict")
    }


def _incidents(versions: list[ModelVersion]) -> dict[UUID, list[Incident]]:
    models = {version.model_id for version in versions}
    rows = list(INCIDENT_ROWS.filter(model__in=models).order_by("opened_at", "pk"))
    return {
        version.pk: [
            row
            for row in rows
            if row.version_id == version.pk or (row.version_id is None and row.model_id == version.model_id)
        ]
        for version in versions
    }


def _events(found: Gathered, principal: Principal) -> list[Event]:
    """What the journal says of the versions and of what belongs to them, oldest first."""
    subjects: dict[str, set[str]] = {
        "modelversion": {str(version.pk) for version in found.versions},
        "run": {str(version.run_id) for version in found.versions if version.run_id},
        "promotion": {str(row.pk) for rows in found.promotions.values() for row in rows},
        "incident": {str(row.pk) for rows in found.incidents.values() for row in rows},
        "deployment": {str(deployment) for deployment in found.changes},
        "blob": {sha256 for files in found.files.values() for _, _, sha256 in files},
    }
    waivers = {str(w.pk) for rows in found.promotions.values() for p in rows for w in _waivers(p)}
    subjects["waiver"] = waivers
    wanted = Q(pk__in=[])
    for kind, keys in subjects.items():
        if keys:
            wanted |= Q(subject_kind=kind, subject_id__in=keys)
    rows: Any = Event.objects.visible_to(principal).filter(wanted).select_related("namespace")
    references = {version.reference for version in found.versions}
    return [
        event
        # That evidence was taken out before says nothing of the version.
        for event in rows.exclude(type="evidence.exported").order_by(*IN_ORDER)
        if event.subject_kind != "deployment" or references & _runs(event)
    ]


def _waivers(promotion: Promotion) -> list[Any]:
    return [waiver for result in promotion.gate_results.all() for waiver in result.waivers.all()]


def _runs(event: Event) -> set[str]:
    """The versions that a deployment's event names."""
    return {str(side.get("version")) for side in (event.before, event.after) if isinstance(side, dict)}
