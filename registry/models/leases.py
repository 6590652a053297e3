"""Work that survives its worker: a row is claimed by a lease, renewed while it runs, and swept when it is not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class Leased(models.Model):
    """A row that a worker claims. `claimed_at` is the last sign of life; an old one is anybody's to take."""

    claimed_at = models.DateTimeField(null=True, blank=True, editable=False)
    claims = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        abstract = True


def lease() -> timedelta:
    """How long a silent worker keeps its claim."""
    return timedelta(seconds=settings.LEASE_SECONDS)


def free(now: datetime) -> Q:
    """The condition on rows that nobody works on."""
    return Q(claimed_at=None) | Q(claimed_at__lt=now - lease())


def claim(rows: models.QuerySet[Any], *, now: datetime) -> bool:
    """Take one row for this worker. False: somebody else holds it, or its state has moved on."""
    return bool(rows.filter(free(now)).update(claimed_at=now, claims=F("claims") + 1))


def renew(rows: models.QuerySet[Any], *, now: datetime) -> None:
    """Say that the work goes on."""
    rows.update(claimed_at=now)


def release(rows: models.QuerySet[Any]) -> None:
    """Give the row back, for work that is to be tried again."""
    rows.update(claimed_at=None)
