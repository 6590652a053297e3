"""What the catalog's rows look like in JSON. No query is asked for rows that came from the querysets here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models import CharField, Count, Exists, Min, OuterRef, Prefetch, Q, Subquery
from django.db.models.functions import Cast, JSONObject
from django.utils.dateparse import parse_datetime

from registry.artifacts.attachments import redacted_places
from registry.models import (
    Alias,
    AliasMove,
    Artifact,
    Attachment,
    Evaluation,
    EvaluationMetric,
    Event,
    ModelVersion,
    Namespace,
    RegisteredModel,
    ScanReport,
    ServiceToken,
    SignatureCheck,
    SigningKey,
    Tier,
)

_BYTES = (
    Artifact.objects.filter(manifest=OuterRef("manifest_id"))
    .values("manifest")
    .annotate(
        state=JSONObject(
            hot=Count("pk", filter=Q(blob__tier=Tier.HOT)),
            cold=Count("pk", filter=Q(blob__tier=Tier.COLD)),
            quarantined=Count("pk", filter=Q(blob__quarantined_at__isnull=False)),
            unverified=Count("pk", filter=Q(blob__verified_at=None)),
            verified_at=Min("blob__verified_at"),
        )
    )
    .values("state")
)
# Newest first: the first evaluation of a (dataset digest, split, slice, metric) is the one that counts.
EVALUATION_ROWS = (
    Evaluation.objects.select_related("by")
    .prefetch_related(
        Prefetch("metrics", EvaluationMetric.objects.select_related("examples__attachment").order_by("pk"))
    )
    .order_by("-at", "-pk")
)
ATTACHMENT_ROWS = (
    Attachment.objects.select_related("by")
    .prefetch_related(Prefetch("checks", SignatureCheck.objects.select_related("key").order_by("pk")))
    .annotate(redacted=Exists(redacted_places().filter(row_id=Cast(OuterRef("pk"), CharField()))))
    .order_by("at", "pk")
)
# The first that one of a version's signatures is in, is what the version is.
_SIGNATURE_STATES = ("valid", "revoked", "invalid", "unknown_key", "unchecked")
# Everything that version_json shows, in a number of queries that does not grow with the page.
VERSION_ROWS = (
    ModelVersion.objects.select_related("model__namespace", "manifest", "created_by")
    .prefetch_related(
        Prefetch("aliases", Alias.objects.order_by("name")),
        Prefetch("evaluations", EVALUATION_ROWS),
        Prefetch("attachments", ATTACHMENT_ROWS),
    )
    .annotate(bytes_state=Subquery(_BYTES))
)
MODEL_ROWS = RegisteredModel.objects.select_related("namespace", "created_by", "owner").prefetch_related(
    Prefetch("aliases", Alias.objects.select_related("version").order_by("name"))
)


def time_json(at: datetime | None) -> str | None:
    """UTC with `Z`."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def version_page(version: ModelVersion) -> str:
    """The address of the page where people look at a version."""
    model = version.model
    return f"{settings.PUBLIC_URL}/m/{model.namespace.name}/{model.name}/{version.number}"


def version_json(version: ModelVersion) -> dict[str, Any]:
    """A version as every answer shows it. A row that is not from VERSION_ROWS is read again from there."""
    if not hasattr(version, "bytes_state"):
        version = VERSION_ROWS.get(pk=version.pk)
    manifest = version.manifest
    held = getattr(version, "bytes_state", None) or {}
    return {
        "id": str(version.pk),
        "namespace": version.model.namespace.name,
        "model": version.model.name,
        "number": version.number,
        "reference": version.reference,
        "status": version.status,
        "status_message": version.status_message,
        "stage": version.stage,
        "format": version.format,
        "digest": f"sha256:{manifest.digest}" if manifest.digest else None,
        "oms_digest": f"sha256:{manifest.oms_digest}" if manifest.oms_digest else None,
        "size": manifest.size,
        "files": manifest.files,
        "schema": version.schema,
        "parameters": version.parameters,
        "tags": version.tags,
        "description": version.description,
        "created_at": time_json(version.created_at),
        "created_by": version.created_by.get_username(),
        "deleted_at": time_json(version.deleted_at),
        "run": str(version.run_id) if version.run_id else None,
        "aliases": [alias.name for alias in version.aliases.all()],
        "tier": _tier(held),
        "quarantined": bool(held.get("quarantined")),
        "safety": version.safety,
        "verified_at": _verified_at(held, version.ready_at),
        "url": version_page(version),
        "metrics": list(latest_metrics(version.evaluations.all())),
        "completeness": {**UNTOLD, **version.completeness},
        # Of a model that was bought: told with its completeness, by the wing that knows.
        "supply": version.completeness.get("supply"),
        "signature": signature_of(version),
    }


# The completeness of a version of which nothing was told.
UNTOLD: dict[str, Any] = {"state": "unknown", "score": None, "missing": [], "absent": {}, "notes": []}


def signature_of(version: ModelVersion) -> dict[str, Any] | None:
    """The best that is known of a version's signatures; null without one. From VERSION_ROWS."""
    told = [state for each in version.attachments.all() if (state := signature_json(each))]
    return min(told, key=lambda state: _SIGNATURE_STATES.index(state["state"]), default=None)


def signature_json(attachment: Attachment) -> dict[str, Any] | None:
    """What came of verifying a signature; null for what is none. From ATTACHMENT_ROWS."""
    if attachment.kind != Attachment.Kind.SIGNATURE:
        return None
    checks = list(attachment.checks.all())
    if not checks:
        return {"state": "unchecked", "key": None, "sentence": "It is verified once the version is ready."}
    check = checks[-1]
    key = check.key
    if key is not None and key.revoked_at and check.verdict == SignatureCheck.Verdict.VALID:
        sentence = f"{check.sentence} {key.name} was revoked on {key.revoked_at:%Y-%m-%d}."
        return {"state": "revoked", "key": key.name, "sentence": sentence}
    return {"state": check.verdict, "key": key.name if key else None, "sentence": check.sentence}


def attachment_json(attachment: Attachment) -> dict[str, Any]:
    """A document kept with a version, from ATTACHMENT_ROWS."""
    return {
        "id": str(attachment.pk),
        "kind": attachment.kind,
        "name": attachment.name,
        "sha256": attachment.sha256,
        "size": attachment.size,
        "by": attachment.by.get_username(),
        "at": time_json(attachment.at),
        "signature": signature_json(attachment),
        "redacted": getattr(attachment, "redacted", False),
    }


def key_json(key: SigningKey) -> dict[str, Any]:
    """A public key, with its namespace and who added and revoked it."""
    return {
        "id": str(key.pk),
        "namespace": key.namespace.name,
        "name": key.name,
        "fingerprint": key.fingerprint,
        "pem": key.pem,
        "added_by": key.added_by.get_username(),
        "added_at": time_json(key.added_at),
        "revoked_by": key.revoked_by.get_username() if key.revoked_by else None,
        "revoked_at": time_json(key.revoked_at),
    }


def _tier(held: dict[str, Any]) -> str:
    if held.get("cold"):
        return "mixed" if held.get("hot") else "cold"
    return "hot"


def _verified_at(held: dict[str, Any], ready_at: datetime | None) -> str | None:
    """When the least recently verified of the bytes were; null when some never were.

    Never before the version was ready: that would tell that somebody else had stored the same bytes before.
    What was sent for it was hashed then.
    """
    if held.get("unverified") or not held.get("verified_at"):
        return None
    verified_at = parse_datetime(held["verified_at"])
    return time_json(max(filter(None, (verified_at, ready_at)), default=None))


def latest_metrics(evaluations: Iterable[Evaluation]) -> Iterator[dict[str, Any]]:
    """The newest value of each (dataset digest, split, slice, metric). Takes evaluations newest first."""
    seen = set()
    for evaluation in evaluations:
        for metric in evaluation.metrics.all():
            key = (evaluation.dataset_digest, evaluation.split, evaluation.slice, metric.name)
            if key not in seen:
                seen.add(key)
                yield {
                    "name": metric.name,
                    "value": metric.value,
                    "low": metric.low,
                    "high": metric.high,
                    "dataset": evaluation.dataset,
                    "dataset_digest": evaluation.dataset_digest,
                    "split": evaluation.split,
                    "slice": evaluation.slice,
                    "by": evaluation.by.get_username(),
                    "at": time_json(evaluation.at),
                }


def scan_json(version: ModelVersion, files: list[tuple[str, ScanReport | None]]) -> dict[str, Any]:
    """What the newest scanner found, file by file; of a file it has not seen, empty words."""
    return {
        "reference": version.reference,
        "safety": version.safety,
        "scanned_with": version.scanned_with,
        "files": [
            {
                "path": path,
                "sha256": report.blob_id if report else None,
                "format": report.format if report else "",
                "verdict": report.verdict if report else "",
                "scanner": report.scanner if report else "",
                "findings": report.findings if report else [],
            }
            for path, report in files
        ],
    }


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """One evaluation, from EVALUATION_ROWS."""
    return {
        "id": str(evaluation.pk),
        "dataset": {"name": evaluation.dataset, "digest": evaluation.dataset_digest},
        "split": evaluation.split,
        "slice": evaluation.slice,
        "evaluator": evaluation.evaluator,
        "run": str(evaluation.run_id) if evaluation.run_id else None,
        "metrics": [
            {"name": m.name, "value": m.value, "low": m.low, "high": m.high, **_examples(m)}
            for m in sorted(evaluation.metrics.all(), key=lambda m: m.name)
        ],
        "by": evaluation.by.get_username(),
        "at": time_json(evaluation.at),
    }


def _examples(metric: EvaluationMetric) -> dict[str, Any]:
    """The results that the metric is the mean of, where there are any."""
    found = getattr(metric, "examples", None)
    if found is None:
        return {}
    kept = found.attachment
    return {
        "examples": {
            "digest": f"sha256:{kept.sha256}",
            "count": found.count,
            "ids": bool(found.ids_digest),
            "attachment": str(kept.pk),
        }
    }


def namespace_json(namespace: Namespace) -> dict[str, Any]:
    """A namespace."""
    return {
        "name": namespace.name,
        "description": namespace.description,
        "clean_downloads_only": namespace.clean_downloads_only,
        "created_at": time_json(namespace.created_at),
    }


def model_json(model: RegisteredModel) -> dict[str, Any]:
    """A registered model, from MODEL_ROWS."""
    return {
        "id": str(model.pk),
        "namespace": model.namespace.name,
        "name": model.name,
        "reference": str(model),
        "task": model.task,
        "description": model.description,
        "card": model.card,
        "intended_use": model.intended_use,
        "excluded_use": model.excluded_use,
        "risk_tier": model.risk_tier,
        "tags": model.tags,
        "owner": model.owner.get_username() if model.owner else None,
        "aliases": {alias.name: alias.version.number for alias in model.aliases.all()},
        "created_at": time_json(model.created_at),
        "created_by": model.created_by.get_username(),
        "url": f"{settings.PUBLIC_URL}/m/{model.namespace.name}/{model.name}",
    }


def alias_json(alias: Alias) -> dict[str, Any]:
    """An alias, with its version."""
    return {
        "name": alias.name,
        "version": alias.version.number,
        "reference": alias.version.reference,
        "protected": alias.protected,
        "moved_at": time_json(alias.moved_at),
    }


def alias_move_json(move: AliasMove) -> dict[str, Any]:
    """One move of an alias; `to` is null when it was taken away."""
    return {
        "from": move.from_version.number if move.from_version else None,
        "to": move.to_version.number if move.to_version else None,
        "by": move.by.get_username() if move.by else "assay",
        "at": time_json(move.at),
    }


def token_json(token: ServiceToken) -> dict[str, Any]:
    """A token without its secret."""
    return {
        "id": str(token.pk),
        "name": token.name,
        "prefix": token.prefix,
        "namespace": token.namespace.name if token.namespace else None,
        "scopes": token.scopes,
        "created_at": time_json(token.created_at),
        "expires_at": time_json(token.expires_at),
        "revoked_at": time_json(token.revoked_at),
        "last_used_at": time_json(token.last_used_at),
    }


def event_json(event: Event) -> dict[str, Any]:
    """A journal entry."""
    return {
        "id": event.pk,
        "type": event.type,
        "namespace": event.namespace.name if event.namespace else None,
        "subject": {"kind": event.subject_kind, "id": event.subject_id, "reference": event.subject_label},
        "actor": event.actor_label,
        "token_prefix": event.token_prefix or None,
        "reason": event.reason,
        "before": event.before,
        "after": event.after,
        "at": time_json(event.at),
    }
