"""Watching what runs: drift and silence are found when nobody reports."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from lifecycle import deployments


@shared_task(name="lifecycle.sweep_deployments")
def sweep_deployments() -> None:
    """Judge every deployment as it is now. Safe to repeat: what was written down already is no event again."""
    deployments.sweep(timezone.now())
