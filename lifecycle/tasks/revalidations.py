"""Telling, day by day, which models have to be validated again."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from lifecycle import revalidation


@shared_task(name="lifecycle.sweep_revalidations")
def sweep_revalidations() -> None:
    """Tell of reviews that are overdue. Safe to repeat: each is told once."""
    revalidation.tell_overdue(timezone.now())
