"""Handing events on and delivering them, in a worker."""

from __future__ import annotations

import uuid

from celery import shared_task

from registry.journal import delivery, outbox, trouble, webhooks

AT_ONCE = 200


@shared_task(name="registry.drain_outbox")
def drain_outbox() -> None:
    """Hand due events to their consumers; with more left, go on in a task of its own."""
    if outbox.drain(most=AT_ONCE) == AT_ONCE:
        drain_outbox.delay()


@shared_task(name="registry.tell_webhook")
def tell_webhook(*, webhook_id: str) -> None:
    """Tell an endpoint what is due, message after message."""
    delivery.tell(uuid.UUID(webhook_id))


@shared_task(name="registry.sweep_deliveries")
def sweep_deliveries() -> None:
    """Wake the endpoints for which something is due; forget secrets whose time is over; say which ones fail."""
    delivery.sweep()
    webhooks.forget_old_secrets()
    trouble.tell_of_failing()
