"""Opening incidents, and closing them with what became of them."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from lifecycle.models import Incident, Severity
from registry.errors import DomainError, InvalidInput
from registry.journal import record
from registry.models import ModelVersion, Principal, RegisteredModel
from registry.permissions import check_can
from registry.references import check_not_deleted
from registry.roles import Permission

LONGEST_TITLE = 200
LONGEST_TEXT = 10_000


class IncidentClosed(DomainError):
    """It is closed already; another one can be opened."""

    code = "incident-closed"


@transaction.atomic
def open_incident(
    *,
    model: RegisteredModel,
    version: ModelVersion | None = None,
    severity: str,
    title: str,
    detail: str = "",
    by: Principal,
) -> Incident:
    """Say that something is wrong with the version, or, without one, with the model whatever the version.

    Raises Forbidden, InvalidInput, VersionDeleted.
    """
    check_can(by, Permission.INCIDENT_OPEN, model.namespace)
    if severity not in Severity.values:
        raise InvalidInput(f"severity is one of {', '.join(Severity.values)}.", field="severity")
    if not title.strip() or len(title) > LONGEST_TITLE:
        raise InvalidInput(f"An incident has a title of at most {LONGEST_TITLE} characters.", field="title")
    if len(detail) > LONGEST_TEXT:
        raise InvalidInput(f"The detail has at most {LONGEST_TEXT} characters.", field="detail")
    if version is not None:
        if version.model_id != model.pk:
            raise InvalidInput(f"{version.reference} is no version of {model}.", field="version")
        check_not_deleted(version)
    now = timezone.now()
    incident = Incident.objects.create(
        model=model,
        version=version,
        severity=severity,
        title=title,
        detail=detail,
        opened_by=by.account,
        opened_at=now,
    )
    record(
        "incident.opened",
        subject=version or model,
        by=by,
        namespace=model.namespace,
        reason=title,
        after={
            "incident": str(incident.pk),
            "severity": severity,
            "detail": detail,
            "stage": version.stage if version else None,
        },
        at=now,
    )
    return incident


@transaction.atomic
def close_incident(*, incident: Incident, reason: str, by: Principal) -> Incident:
    """Close it for good; the reason is what became of it. Raises Forbidden, InvalidInput, IncidentClosed."""
    check_can(by, Permission.INCIDENT_CLOSE, incident.model.namespace)
    if not reason.strip():
        raise InvalidInput("To close an incident, say what became of it.", field="reason")
    if len(reason) > LONGEST_TEXT:
        raise InvalidInput(f"A reason has at most {LONGEST_TEXT} characters.", field="reason")
    rows = Incident.objects.select_related("model__namespace", "version__model__namespace", "closed_by")
    row = rows.select_for_update(of=("self",)).get(pk=incident.pk)
    if row.closed_at is not None:
        who = row.closed_by.get_username() if row.closed_by else "somebody"
        raise IncidentClosed(
            f"It was closed on {row.closed_at:%Y-%m-%d} by {who}: {row.resolution.rstrip('.')}."
        )
    row.closed_by, row.closed_at, row.resolution = by.account, timezone.now(), reason
    row.save(update_fields=["closed_by", "closed_at", "resolution"])
    record(
        "incident.closed",
        subject=row.version or row.model,
        by=by,
        namespace=row.model.namespace,
        reason=reason,
        before={"incident": str(row.pk), "severity": row.severity, "title": row.title},
        after={"incident": str(row.pk), "closed": True},
        at=row.closed_at,
    )
    return row
