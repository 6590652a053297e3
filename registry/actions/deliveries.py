"""Telling an endpoint again: one delivery, all of a period, or that it is there at all."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from registry.actions.webhooks import WebhookIsOff, locked
from registry.errors import InvalidInput
from registry.journal import record
from registry.journal.delivery import tell_again
from registry.journal.enqueue import enqueue
from registry.journal.hearing import about, passes
from registry.journal.webhooks import TELL, plan
from registry.models import Delivery, Event, Principal, Webhook

MOST_REPLAYED = 10_000
MOST_LOOKED_AT = 50_000


@transaction.atomic
def redeliver(*, delivery: Delivery, by: Principal) -> Delivery:
    """Tell an endpoint again, now: a new round of attempts under the same id. Raises Forbidden, WebhookIsOff."""
    webhook = _listening(delivery.webhook, by)
    tell_again(Delivery.objects.filter(pk=delivery.pk), now=timezone.now())
    # One that waits for its next attempt is made now.
    waiting = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.PENDING)
    waiting.update(due_at=timezone.now())
    record(
        "webhook.redelivered",
        subject=webhook,
        by=by,
        namespace=webhook.namespace,
        after={"delivery": str(delivery.pk), "event": delivery.event_id},
    )
    enqueue(TELL, webhook_id=str(webhook.pk))
    row: Delivery = Delivery.objects.select_related("webhook__namespace", "event").get(pk=delivery.pk)
    return row


@transaction.atomic
def replay_webhook(*, webhook: Webhook, since: datetime, until: datetime | None = None, by: Principal) -> int:
    """Tell an endpoint everything of a period that its filters let through, whether it has heard it or not, in the
    order of the journal and under the same ids. Returns how many messages it will hear; what waits already is not
    counted twice.

    Raises Forbidden, WebhookIsOff, InvalidInput for a period of more than 10,000 messages.
    """
    row = _listening(webhook, by)
    now = timezone.now()
    until = min(until or now, now)
    if since >= until:
        raise InvalidInput("A period begins before it ends, and not in the future.", field="since")
    events = Event.objects.filter(namespace=row.namespace, at__gte=since, at__lt=until)
    wanted = _asked_for(row, events)
    if len(wanted) > MOST_REPLAYED:
        raise InvalidInput(
            f"That are {len(wanted):,} messages, and at most {MOST_REPLAYED:,} are replayed at once: name a "
            "shorter period.",
            field="since",
        )
    ids = [event.pk for event in wanted]
    again = tell_again(Delivery.objects.filter(webhook=row, event__in=ids), now=now)
    there = set(Delivery.objects.filter(webhook=row, event__in=ids).values_list("event_id", flat=True))
    missing = [event for event in wanted if event.pk not in there]
    plan([row], missing)
    told = again + len(missing)
    record(
        "webhook.replayed",
        subject=row,
        by=by,
        namespace=row.namespace,
        after={"since": _z(since), "until": _z(until), "messages": told},
    )
    enqueue(TELL, webhook_id=str(row.pk))
    return told


@transaction.atomic
def try_webhook(*, webhook: Webhook, by: Principal) -> Delivery:
    """Send an endpoint the event `webhook.tested`, whatever its filters are. Raises Forbidden, WebhookIsOff."""
    row = _listening(webhook, by)
    event = record("webhook.tested", subject=row, by=by, namespace=row.namespace, after={"webhook": row.name})
    plan([row], [event])
    enqueue(TELL, webhook_id=str(row.pk))
    planned = Delivery.objects.select_related("webhook__namespace", "event")
    delivery: Delivery = planned.get(webhook=row, event=event)
    return delivery


def _listening(webhook: Webhook, by: Principal) -> Webhook:
    row = locked(webhook, by)
    if not row.listens:
        raise WebhookIsOff(f"{row.name} is switched off: switch it on first.")
    return row


def _asked_for(webhook: Webhook, events: QuerySet[Event]) -> list[Event]:
    """The events of the period that its filters let through."""
    nouns = [each.partition(".")[0] for each in webhook.events if each.endswith(".*")]
    if "*" not in webhook.events:
        types = Q(type__in=webhook.events)
        for noun in nouns:
            types |= Q(type__startswith=f"{noun}.")
        events = events.filter(types)
    found = list(events.select_related("namespace").order_by("pk")[: MOST_LOOKED_AT + 1])
    if len(found) > MOST_LOOKED_AT:
        raise InvalidInput(
            f"More than {MOST_LOOKED_AT:,} events happened in that time: name a shorter period.",
            field="since",
        )
    if not webhook.of_models and not webhook.stages:
        return found
    told = about(found)
    return [event for event in found if passes(webhook, told[event.pk])]


def _z(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
