"""The document: of one version, or of everything that happened to a namespace's versions in a period."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Q
from django.utils import timezone

from lifecycle.actions.evidence import note_export
from lifecycle.audit.gathering import gather
from lifecycle.audit.proof import chained, plain, sealed
from lifecycle.audit.telling import told
from lifecycle.models import DeploymentChange, Incident, Promotion
from registry.api.shows import event_json, time_json
from registry.errors import InvalidInput
from registry.journal.proving import proof_of
from registry.models import ModelVersion, Namespace, Principal, Stage, StageChange

FORMAT = "assay-evidence/1"
MOST_VERSIONS = 100


def export_version(*, version: ModelVersion, by: Principal, now: datetime | None = None) -> dict[str, Any]:
    """All that speaks for and against one version. Raises Forbidden."""
    about = {"kind": "version", "reference": version.reference}
    return _export(about, [version.pk], version, version.model.namespace, by, now)


def export_period(
    *, namespace: Namespace, since: datetime, until: datetime, by: Principal, now: datetime | None = None
) -> dict[str, Any]:
    """The same of every version of a namespace that was in production in the period, moved, was asked for or decided
    on, ran somewhere else than before, or had an incident. Raises Forbidden, InvalidInput."""
    if since >= until:
        raise InvalidInput("A period begins before it ends.", field="since")
    about = {
        "kind": "period",
        "namespace": namespace.name,
        "since": time_json(since),
        "until": time_json(until),
    }
    found = touched(namespace, since, until)
    if len(found) > MOST_VERSIONS:
        raise InvalidInput(
            f"{len(found)} versions were touched in this period, and a document holds at most {MOST_VERSIONS}: ask for "
            "a shorter one.",
            field="since",
        )
    return _export(about, found, namespace, namespace, by, now)


def _export(
    about: dict[str, Any],
    version_ids: Iterable[UUID],
    subject: models.Model,
    namespace: Namespace,
    by: Principal,
    now: datetime | None,
) -> dict[str, Any]:
    """One moment of the database: nothing is decided between one part of the document and the next."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        found = gather(version_ids, by)
        document = sealed(
            plain(
                {
                    "format": FORMAT,
                    "about": about,
                    "versions": [told(version, found) for version in found.versions],
                    "journal": chained(plain([event_json(event) for event in found.events])),
                    "exported": {
                        "at": time_json(now or timezone.now()),
                        "by": by.label,
                        "server": settings.PUBLIC_URL,
                    },
                }
            )
        )
        document["proof"] = proof_of(found.events, digest=document["digest"])
        note_export(
            subject=subject,
            namespace=namespace,
            digest=document["digest"],
            versions=[version.reference for version in found.versions],
            by=by,
        )
    return document


def touched(namespace: Namespace, since: datetime, until: datetime) -> set[UUID]:
    """The versions that a period is about. Five queries."""
    within = (since, until)
    here = {"version__model__namespace": namespace}
    moved = StageChange.objects.filter(**here, at__range=within)
    asked = Promotion.objects.filter(Q(requested_at__range=within) | Q(decided_at__range=within), **here)
    ran = DeploymentChange.objects.filter(**here, at__range=within)
    wrong = Incident.objects.exclude(version=None).filter(
        Q(opened_at__range=within) | Q(closed_at__range=within), **here
    )
    found = {pk for rows in (moved, asked, ran, wrong) for pk in rows.values_list("version", flat=True)}
    been = StageChange.objects.filter(**here, at__lt=since).order_by("version", "-pk").distinct("version")
    return found | {
        version for version, stage in been.values_list("version", "to_stage") if stage == Stage.PRODUCTION
    }
