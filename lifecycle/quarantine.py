"""Whether a version stands under quarantine, and the refusal that says why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet

from lifecycle.models import Quarantine
from registry.errors import DomainError
from registry.models import ModelVersion


class UnderQuarantine(DomainError):
    """Somebody doubts the version: it enters no stage in which it is used."""

    code = "under-quarantine"


def standing(versions: Iterable[Any]) -> QuerySet[Quarantine]:
    """The quarantines of these versions (or their ids) that nobody has lifted, newest first."""
    rows: QuerySet[Quarantine] = Quarantine.objects.filter(version__in=list(versions), lift=None)
    return rows.select_related("by", "version__model__namespace").order_by("-at", "-pk")


def told(version: ModelVersion) -> str:
    """Why it stands under quarantine, in a sentence; "" when it does not."""
    found = list(standing([version.pk]))
    if not found:
        return ""
    why = "; and ".join(
        f"{row.reason.rstrip('.')} ({row.by.get_username()}, {row.at:%Y-%m-%d})" for row in found
    )
    return f"{version.reference} is under quarantine: {why}."


def check_not_quarantined(version: ModelVersion) -> None:
    """Raises UnderQuarantine, with the reason and what would help."""
    if why := told(version):
        raise UnderQuarantine(f"{why} It enters staging or production once somebody else has lifted that.")
