"""Endpoints that hear of a namespace's events."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registry.actions.roles import NameTaken
from registry.errors import DomainError, InvalidInput
from registry.journal import record
from registry.journal.egress import Allowlist, check_target, parse_url
from registry.journal.enqueue import enqueue
from registry.journal.webhooks import DELIVER, new_secret
from registry.models import Delivery, Namespace, Principal, Webhook
from registry.permissions import check_can
from registry.roles import Permission

EVENT = re.compile(r"\*|[a-z_]{1,28}\.(\*|[a-z_]{1,30})")
MOST_EVENTS = 50


class WebhookIsOff(DomainError):
    """Nothing is delivered to a webhook that is switched off or deleted."""

    code = "webhook-is-off"


@transaction.atomic
def create_webhook(
    *, namespace: Namespace, name: str, url: str, events: Sequence[str], by: Principal
) -> tuple[Webhook, str]:
    """A new endpoint and its signing secret, shown once. A deleted one of this name revives with a new secret.

    Raises Forbidden, InvalidInput, AddressRefused, NameTaken.
    """
    check_can(by, Permission.WEBHOOK_EDIT, namespace)
    row = Webhook.objects.select_for_update().filter(namespace=namespace, name=name).first()
    if row is not None and row.deleted_at is None:
        raise NameTaken(f"{namespace.name} has a webhook {name} already.", field="name")
    row = row or Webhook(namespace=namespace, name=name)
    secret = new_secret()
    row.url, row.events, row.secret = _check_url(url), _check_events(events), secret
    row.active, row.deleted_at, row.disabled_reason = True, None, ""
    row.created_by = by.account
    row.save()
    record("webhook.created", subject=row, by=by, namespace=namespace, after=_told(row))
    return row, secret


@transaction.atomic
def edit_webhook(*, webhook: Webhook, by: Principal, **changes: Any) -> Webhook:
    """Change name, url, events or active. An edit that changes nothing records nothing.

    Raises Forbidden, InvalidInput, AddressRefused, NameTaken.
    """
    row = _lock(webhook, by)
    before = _told(row)
    if "name" in changes and changes["name"] != row.name:
        if Webhook.objects.filter(namespace=row.namespace, name=changes["name"]).exists():
            raise NameTaken(f"{row.namespace.name} has a webhook {changes['name']} already.", field="name")
        row.name = changes["name"]
    if "url" in changes:
        row.url = _check_url(changes["url"])
    if "events" in changes:
        row.events = _check_events(changes["events"])
    if "active" in changes:
        row.active = changes["active"]
        row.disabled_reason = "" if row.active else row.disabled_reason or f"Switched off by {by.label}."
    after = _told(row)
    if after != before or row.url != webhook.url:
        row.save()
        record("webhook.edited", subject=row, by=by, namespace=row.namespace, before=before, after=after)
    return row


@transaction.atomic
def delete_webhook(*, webhook: Webhook, by: Principal) -> None:
    """Take an endpoint away; its delivery log stays. What waits for it is not delivered any more."""
    row = _lock(webhook, by)
    if row.deleted_at is None:
        row.active, row.deleted_at = False, timezone.now()
        row.save(update_fields=["active", "deleted_at"])
        record("webhook.deleted", subject=row, by=by, namespace=row.namespace, before=_told(row))


@transaction.atomic
def redeliver(*, delivery: Delivery, by: Principal) -> Delivery:
    """Tell an endpoint again, now. Raises Forbidden, WebhookIsOff."""
    rows = Delivery.objects.select_for_update(of=("self",)).select_related("webhook__namespace", "event")
    row: Delivery = rows.get(pk=delivery.pk)
    namespace = row.webhook.namespace
    check_can(by, Permission.WEBHOOK_EDIT, namespace)
    if not row.webhook.active or row.webhook.deleted_at:
        raise WebhookIsOff(f"{row.webhook.name} is switched off: switch it on first.")
    row.state, row.due_at = Delivery.State.PENDING, timezone.now()
    row.save(update_fields=["state", "due_at"])
    record(
        "webhook.redelivered",
        subject=row.webhook,
        by=by,
        namespace=namespace,
        after={"delivery": str(row.pk), "event": row.event_id},
    )
    enqueue(DELIVER, delivery_id=str(row.pk))
    return row


def _lock(webhook: Webhook, by: Principal) -> Webhook:
    check_can(by, Permission.WEBHOOK_EDIT, webhook.namespace)
    rows = Webhook.objects.select_for_update(of=("self",)).select_related("namespace", "created_by")
    row: Webhook = rows.get(pk=webhook.pk)
    return row


def _check_url(url: str) -> str:
    check_target(parse_url(url), Allowlist.parse(settings.WEBHOOK_HOSTS))
    return url


def _check_events(events: Sequence[str]) -> list[str]:
    if not 1 <= len(events) <= MOST_EVENTS:
        raise InvalidInput(f"A webhook hears of 1 to {MOST_EVENTS} event types.", field="events")
    for event in events:
        if not EVENT.fullmatch(event):
            raise InvalidInput(
                f"{event[:60]!r} is no event type: `version.ready`, `version.*` and `*` are.", field="events"
            )
    return sorted(set(events))


def _told(webhook: Webhook) -> dict[str, Any]:
    """For the journal: the URL without its query, where receivers put keys."""
    return {
        "name": webhook.name,
        "url": webhook.url.partition("?")[0],
        "events": webhook.events,
        "active": webhook.active,
    }
