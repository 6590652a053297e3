"""Handing events on and delivering them, in a worker."""

from __future__ import annotations

import uuid

from celery import shared_task

from registry.journal import delivery, outbox

AT_ONCE = 200


@shared_task(name="registry.drain_outbox")
def drain_outbox() -> None:
    """Hand due events to their consumers; with more left, go on in a task of its own."""
    if outbox.drain(most=AT_ONCE) == AT_ONCE:
        drain_outbox.delay()


@shared_task(name="registry.deliver")
def deliver(*, delivery_id: str) -> None:
    """Make one attempt at one delivery."""
    delivery.deliver(uuid.UUID(delivery_id))


@shared_task(name="registry.sweep_deliveries")
def sweep_deliveries() -> None:
    """Enqueue the deliveries that are due."""
    delivery.sweep()
