"""Telling an endpoint what happened, until it has heard it or three days have passed."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registry.journal.egress import AddressRefused, Allowlist, parse_url, vet
from registry.journal.enqueue import enqueue
from registry.journal.posting import Outcome, post
from registry.journal.record import record
from registry.journal.webhooks import DELIVER, payload, signed_headers
from registry.models import SYSTEM, Delivery, DeliveryAttempt, Webhook
from registry.models.leases import claim, free

# How long after the attempt before it, each is made: three days in all.
SCHEDULE = (
    timedelta(),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
LONGEST_WAIT = timedelta(hours=24)
GONE = 410
SWEPT = 500


def deliver(delivery_id: uuid.UUID, *, now: datetime | None = None) -> Outcome | None:
    """Make one attempt, when it is due and nobody else makes it; None otherwise.

    A worker that dies in between leaves its claim, which lapses; the next attempt has the same `webhook-id`, so
    that a receiver that has heard it knows.
    """
    now = now or timezone.now()
    due = Delivery.objects.filter(pk=delivery_id, state=Delivery.State.PENDING, due_at__lte=now)
    if not claim(due, now=now):
        return None
    delivery = Delivery.objects.select_related("webhook", "event__namespace").get(pk=delivery_id)
    outcome = _attempt(delivery, now)
    _write_down(delivery_id, outcome, now)
    return outcome


def _attempt(delivery: Delivery, now: datetime) -> Outcome:
    webhook = delivery.webhook
    if not webhook.active or webhook.deleted_at:
        return Outcome(error="The webhook was switched off before this was delivered.")
    try:
        target = parse_url(webhook.url)
        address = vet(target, Allowlist.parse(settings.WEBHOOK_HOSTS))
    except (AddressRefused, ValueError) as refusal:
        return Outcome(error=str(refusal))
    body = payload(delivery.event)
    return post(
        target,
        address,
        headers=signed_headers(webhook, delivery.event, body, now=now),
        body=body.encode(),
    )


@transaction.atomic
def _write_down(delivery_id: uuid.UUID, outcome: Outcome, now: datetime) -> None:
    """The attempt, and what follows from it."""
    row = Delivery.objects.select_for_update(of=("self",)).select_related("webhook").get(pk=delivery_id)
    DeliveryAttempt.objects.create(
        delivery=row,
        at=now,
        status=outcome.status,
        answer=outcome.answer,
        error=outcome.error,
        duration_ms=outcome.duration_ms,
    )
    if row.state != Delivery.State.PENDING:
        return  # another worker, taking this one for dead, has finished it
    made = row.attempts.count()
    row.claimed_at = None
    if outcome.delivered:
        row.state, row.delivered_at = Delivery.State.DELIVERED, now
    elif made >= len(SCHEDULE) or outcome.status == GONE or not row.webhook.active or row.webhook.deleted_at:
        row.state = Delivery.State.FAILED
    else:
        asked = min(outcome.wait or timedelta(), LONGEST_WAIT)
        row.due_at = now + max(SCHEDULE[made], asked)
    row.save(update_fields=["state", "due_at", "delivered_at", "claimed_at"])
    if outcome.status == GONE:
        _switch_off(row.webhook_id)


def _switch_off(webhook_id: uuid.UUID) -> None:
    """410 Gone: the receiver asks not to be called again."""
    webhook = Webhook.objects.select_for_update(of=("self",)).select_related("namespace").get(pk=webhook_id)
    if not webhook.active:
        return
    webhook.active = False
    webhook.disabled_reason = "The receiver answered 410 Gone."
    webhook.save(update_fields=["active", "disabled_reason"])
    record(
        "webhook.edited",
        subject=webhook,
        by=SYSTEM,
        namespace=webhook.namespace,
        reason=webhook.disabled_reason,
        before={"active": True},
        after={"active": False},
    )


def sweep(*, now: datetime | None = None) -> int:
    """Enqueue what is due and nobody works on: retries, and what was lost with a broker or a worker."""
    now = now or timezone.now()
    due = Delivery.objects.filter(free(now), state=Delivery.State.PENDING, due_at__lte=now)
    found = list(due.order_by("due_at").values_list("pk", flat=True)[:SWEPT])
    for pk in found:
        enqueue(DELIVER, delivery_id=str(pk))
    return len(found)
