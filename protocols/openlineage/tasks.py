"""Telling of our runs, in a worker."""

from __future__ import annotations

from celery import shared_task

from protocols.openlineage import sending


@shared_task(name="protocols.send_lineage")
def send_lineage(*, event_id: str) -> None:
    """Make one attempt at one event."""
    sending.send(int(event_id))


@shared_task(name="protocols.sweep_lineage")
def sweep_lineage() -> None:
    """Enqueue the events that are due."""
    sending.sweep()
