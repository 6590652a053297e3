"""Telling an endpoint what happened, until it has heard it or three days have passed.

Whoever tells an endpoint something takes the next message under the lock of the endpoint's row: at most
`parallel` are on their way at a time. With one, they go in the order of the journal, and what cannot be told holds
up what came after it.
"""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from registry.journal.egress import AddressRefused, Allowlist, parse_url, vet
from registry.journal.enqueue import enqueue
from registry.journal.posting import Outcome, post
from registry.journal.trouble import note_arrival, note_failure, switch_off
from registry.journal.webhooks import TELL, payload, signed_headers
from registry.models import Delivery, DeliveryAttempt, OutboxItem, Webhook
from registry.models.leases import claim, free, lease

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
ALL_OF_IT = sum(SCHEDULE, timedelta())
GONE = 410
SWEPT = 500
# How long one task goes on with one endpoint before others have their turn.
AT_ONCE_SECONDS = 10.0
OFF = "The webhook was switched off before this was delivered."


def tell(webhook_id: uuid.UUID, *, now: datetime | None = None) -> int:
    """Tell the endpoint what is due, message after message; how many attempts were made.

    After ten seconds the rest is left to another task. `now` stands still, for tests.
    """
    end = time.monotonic() + AT_ONCE_SECONDS
    made = 0
    while (delivery := _take(webhook_id, now or timezone.now())) is not None:
        _make(delivery, now or timezone.now())
        made += 1
        if time.monotonic() > end:
            enqueue(TELL, webhook_id=str(webhook_id))
            break
    return made


def deliver(delivery_id: uuid.UUID, *, now: datetime | None = None) -> Outcome | None:
    """Make one attempt at this one, when it is due, its turn, and nobody else makes it; None otherwise."""
    now = now or timezone.now()
    webhook_id = Delivery.objects.values_list("webhook_id", flat=True).get(pk=delivery_id)
    delivery = _take(webhook_id, now, only=delivery_id)
    return None if delivery is None else _make(delivery, now)


@transaction.atomic
def _take(webhook_id: uuid.UUID, now: datetime, *, only: uuid.UUID | None = None) -> Delivery | None:
    """Claim the endpoint's next message, or `only` this one; None when there is none to be sent now."""
    webhook = Webhook.objects.select_for_update(no_key=True).get(pk=webhook_id)
    waiting = Delivery.objects.filter(webhook=webhook, state=Delivery.State.PENDING)
    if webhook.listens:
        if waiting.filter(claimed_at__gte=now - lease()).count() >= webhook.parallel:
            return None
        if webhook.parallel == 1:
            head = waiting.order_by("event_id").first()
            if head is None or _earlier_is_to_be_planned(webhook, head):
                return None
            waiting = waiting.filter(pk=head.pk)
    due = waiting.filter(free(now), due_at__lte=now)
    found = (due.filter(pk=only) if only else due).order_by("event_id").first()
    if found is None or not claim(Delivery.objects.filter(pk=found.pk), now=now):
        return None
    return Delivery.objects.select_related("webhook__namespace", "event__namespace").get(pk=found.pk)


def _earlier_is_to_be_planned(webhook: Webhook, head: Delivery) -> bool:
    """Whether an event before it is about to be handed on. One that could not be is not waited for."""
    earlier = OutboxItem.objects.filter(event_id__lt=head.event_id, attempts=0)
    return earlier.filter(event__namespace_id=webhook.namespace_id).exists()


def _make(delivery: Delivery, now: datetime) -> Outcome:
    """One attempt at what was taken.

    A worker that dies in between leaves its claim, which lapses; the next attempt has the same `webhook-id`, so
    that a receiver that has heard it knows.
    """
    outcome, sent = _attempt(delivery, now)
    _write_down(delivery, outcome, sent, now)
    return outcome


def _attempt(delivery: Delivery, now: datetime) -> tuple[Outcome, dict[str, Any]]:
    """What came of it, and what was sent where."""
    webhook = delivery.webhook
    if not webhook.listens:
        return Outcome(error=OFF), {}
    sent: dict[str, Any] = {"url": webhook.url.partition("?")[0]}
    try:
        target = parse_url(webhook.url)
        address = vet(target, Allowlist.parse(settings.WEBHOOK_HOSTS))
    except (AddressRefused, ValueError) as refusal:
        return Outcome(error=str(refusal)), sent
    body = payload(delivery.event)
    headers = signed_headers(webhook, delivery.event, body, now=now)
    outcome = post(target, address, headers=headers, body=body.encode())
    return outcome, {**sent, "address": address, "headers": headers}


@transaction.atomic
def _write_down(delivery: Delivery, outcome: Outcome, sent: dict[str, Any], now: datetime) -> None:
    """The attempt, and what follows from it."""
    webhooks = Webhook.objects.select_for_update(of=("self",), no_key=True).select_related("namespace")
    webhook = webhooks.get(pk=delivery.webhook_id)
    row = Delivery.objects.select_for_update().get(pk=delivery.pk)
    DeliveryAttempt.objects.create(
        delivery=row,
        at=now,
        sent=sent,
        status=outcome.status,
        answer_headers=outcome.headers,
        answer=outcome.answer,
        error=outcome.error,
        duration_ms=outcome.duration_ms,
    )
    if row.state != Delivery.State.PENDING:
        return  # another worker, taking this one for dead, has finished it
    made = row.attempts.count() - row.tried_before
    row.claimed_at = None
    lost = not outcome.delivered and _is_lost(webhook, row, now)
    if outcome.delivered:
        row.state, row.delivered_at = Delivery.State.DELIVERED, now
    elif made >= len(SCHEDULE) or lost or outcome.status == GONE or not webhook.listens:
        row.state = Delivery.State.FAILED
    else:
        asked = min(outcome.wait or timedelta(), LONGEST_WAIT)
        row.due_at = now + max(SCHEDULE[made], asked)
    row.save(update_fields=["state", "due_at", "delivered_at", "claimed_at"])
    if outcome.delivered:
        note_arrival(webhook)
    elif webhook.listens:
        note_failure(webhook, now=now)
        if outcome.status == GONE:
            switch_off(webhook, "The receiver answered 410 Gone.")
        elif lost:
            switch_off(webhook, "Nothing was delivered for three days, and then another message failed.")


def _is_lost(webhook: Webhook, row: Delivery, now: datetime) -> bool:
    """Whether nothing has arrived for longer than the schedule, and another message was given up in that time: one
    that its receiver cannot take does not switch an endpoint off."""
    since = webhook.failing_since
    if since is None or now - since < ALL_OF_IT:
        return False
    given_up = Delivery.objects.filter(webhook=webhook, state=Delivery.State.FAILED, attempts__at__gte=since)
    return given_up.exclude(pk=row.pk).exists()


def sweep(*, now: datetime | None = None) -> int:
    """Wake the endpoints for which something is due and nobody works: retries, and what was lost with a broker or
    a worker. Returns how many."""
    now = now or timezone.now()
    due = Delivery.objects.filter(free(now), state=Delivery.State.PENDING, due_at__lte=now)
    found = list(due.order_by().values_list("webhook_id", flat=True).distinct()[:SWEPT])
    for pk in found:
        enqueue(TELL, webhook_id=str(pk))
    return len(found)


def tell_again(rows: models.QuerySet[Delivery], *, now: datetime) -> int:
    """Make these deliveries, told or given up, due now: a new round of the schedule, under the same ids. What waits
    already is left as it is. Returns how many."""
    ended = rows.exclude(state=Delivery.State.PENDING).order_by()
    attempts = DeliveryAttempt.objects.filter(delivery=OuterRef("pk")).order_by().values("delivery")
    made = Subquery(attempts.annotate(made=Count("pk")).values("made"))
    return ended.update(
        state=Delivery.State.PENDING, due_at=now, claimed_at=None, tried_before=Coalesce(made, 0)
    )
