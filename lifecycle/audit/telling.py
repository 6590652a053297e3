"""What was gathered, as JSON: one entry for each version."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from lifecycle.api.holds import hold_json
from lifecycle.api.incidents import incident_json
from lifecycle.api.revalidations import revalidation_json
from lifecycle.api.shows import check_json, promotion_json
from lifecycle.audit.gathering import Gathered
from lifecycle.models import DeploymentChange, Promotion, Quarantine
from lineage.making import Making
from lineage.models import Run
from registry.api.shows import attachment_json, evaluation_json, model_json, time_json, version_json
from registry.artifacts.scanning import SCANNER
from registry.models import ModelVersion, StageChange

What = DeploymentChange.What


def told(version: ModelVersion, found: Gathered) -> dict[str, Any]:
    """One version, and all that speaks for it and against it, oldest first."""
    model = found.models[version.model_id]
    scanner = version.scanned_with or SCANNER
    return {
        "version": version_json(version),
        "model": {
            **model_json(model),
            "risk_tier": model.risk_tier,
            "regulatory_class": model.regulatory_class,
            "supplier": model.supplier,
        },
        "files": [
            {"path": path, "size": size, "sha256": sha256, "scan": found.verdicts.get((sha256, scanner), "")}
            for path, size, sha256 in found.files.get(version.manifest_id, [])
        ],
        "documents": [attachment_json(each) for each in version.attachments.all()],
        "lineage": _lineage(found.makings[version.pk], found.names),
        # Newest first in the rows, as the newest counts.
        "evaluations": [evaluation_json(each) for each in reversed(version.evaluations.all())],
        "checks": [check_json(each) for each in found.checks.get(version.pk, [])],
        "promotions": [_promotion(each) for each in found.promotions.get(version.pk, [])],
        "validations": [revalidation_json(each) for each in found.validations.get(version.pk, [])],
        "stages": [_stage(each) for each in found.stages.get(version.pk, [])],
        "incidents": [incident_json(each) for each in found.incidents.get(version.pk, [])],
        "quarantines": [_quarantine(each) for each in found.quarantines.get(version.pk, [])],
        "holds": [hold_json(each) for each in found.holds.get(version.pk, [])],
        "deployments": _deployments(version.pk, found),
    }


def _lineage(making: Making, names: dict[Any, str]) -> dict[str, Any]:
    return {
        "run": _run(making.run, names) if making.run else None,
        "parameters": making.parameters,
        "inputs": [
            {"name": each.name, "digest": each.digest, "rows": each.rows, "read_for": sorted(each.contexts)}
            for each in making.inputs
        ],
        "bases": [
            {
                "reference": each.reference or "a version in a namespace that the reader could not see",
                "digest": each.digest,
            }
            for each in making.bases
        ],
    }


def _run(run: Run, names: dict[Any, str]) -> dict[str, Any]:
    return {
        "id": str(run.pk),
        "name": run.name,
        "status": run.status,
        "started_at": time_json(run.started_at),
        "ended_at": time_json(run.ended_at),
        "by": names.get(run.created_by_id, ""),
        "entry_point": run.entry_point,
        "command": run.command,
        "code": run.code,
        "environment": run.environment,
        "config": run.config,
        "capture": run.capture,
    }


def _promotion(promotion: Promotion) -> dict[str, Any]:
    """As REST answers it, with the policy that it was asked under and what each approval was given to."""
    given = sorted(promotion.approvals.all(), key=lambda approval: approval.pk)
    answer = promotion_json(promotion)
    for shown, approval in zip(answer["approvals"], given, strict=True):
        shown["binding"] = approval.binding
    return {**answer, "policy_snapshot": promotion.policy_snapshot}


def _stage(change: StageChange) -> dict[str, Any]:
    return {
        "from": change.from_stage,
        "to": change.to_stage,
        "move": change.move,
        "promotion": str(change.promotion_id) if change.promotion_id else None,
        "reason": change.reason,
        "by": change.by.get_username() if change.by else "assay",
        "at": time_json(change.at),
    }


def _quarantine(row: Quarantine) -> dict[str, Any]:
    lift = getattr(row, "lift", None)
    return {
        "reason": row.reason,
        "found_by": row.found_by,
        "by": row.by.get_username(),
        "at": time_json(row.at),
        "lifted_by": lift.by.get_username() if lift else None,
        "lifted_at": time_json(lift.at) if lift else None,
        "lifted_reason": lift.reason if lift else "",
    }


def _deployments(version_id: UUID, found: Gathered) -> list[dict[str, Any]]:
    """Where it was reported to run, from when to when: until something else was, or nothing any more."""
    spans: list[dict[str, Any]] = []
    for changes in found.changes.values():
        here: dict[str, Any] | None = None
        for change in changes:
            gone = change.version_id != version_id or change.what == What.UNDEPLOYED
            if here and (gone or here["digest"] != f"sha256:{change.digest}"):
                here["until"], here = time_json(change.at), None
            if gone:
                continue
            if here is None:
                here = _span(change)
                spans.append(here)
            if change.what == What.DRIFTED:
                here["wrong"].append({"at": time_json(change.at), "sentence": change.sentence})
    return sorted(spans, key=lambda span: (span["since"], span["target"]))


def _span(change: DeploymentChange) -> dict[str, Any]:
    return {
        "target": change.deployment.target,
        "serves": change.serves,
        "digest": f"sha256:{change.digest}",
        "since": time_json(change.since),
        "until": None,
        "reported_by": change.by.get_username() if change.by else "assay",
        "wrong": [],
    }
