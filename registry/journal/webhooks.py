"""Which endpoints hear of an event, and what they are told. Signed by Standard Webhooks."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef
from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Signer

from registry.journal.enqueue import enqueue
from registry.journal.hearing import about, asked_by_type, passes
from registry.models import Delivery, Event, Webhook

TELL = "registry.tell_webhook"
# How long the secret before the newest signs too.
BOTH_SIGN_FOR = timedelta(hours=24)


def plan_deliveries(event: Event) -> None:
    """One Delivery for each active endpoint that asked for the event; asking again plans nothing new."""
    if event.namespace_id is None:
        return
    there = Webhook.objects.filter(namespace_id=event.namespace_id, active=True, deleted_at=None)
    wanted = list(there.filter(asked_by_type(event.type)))
    if any(webhook.of_models or webhook.stages for webhook in wanted):
        it = about([event])[event.pk]
        wanted = [webhook for webhook in wanted if passes(webhook, it)]
    plan(wanted, [event])
    # Those for whom later events wait have waited for this one to be handed on, whether or not they hear of it.
    later = Delivery.objects.filter(
        webhook=OuterRef("pk"), state=Delivery.State.PENDING, event_id__gt=event.pk
    )
    waiting = there.filter(Exists(later)).values_list("pk", flat=True)
    for pk in {webhook.pk for webhook in wanted} | set(waiting):
        enqueue(TELL, webhook_id=str(pk))


def plan(webhooks: Sequence[Webhook], events: Sequence[Event]) -> None:
    """A Delivery for each pair that has none, due now."""
    now = timezone.now()
    planned = [Delivery(webhook=w, event=e, due_at=now) for w in webhooks for e in events]
    Delivery.objects.bulk_create(planned, ignore_conflicts=True, batch_size=1000)


def new_secret() -> str:
    """A signing secret: `whsec_` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def payload(event: Event) -> str:
    """What an endpoint is told: compact JSON, the same at every attempt."""
    subject: dict[str, Any] = {"kind": event.subject_kind, "id": event.subject_id}
    if event.subject_label:
        subject["reference"] = event.subject_label
    told = {
        "type": event.type,
        "timestamp": event.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": {
            "id": event.pk,
            "namespace": event.namespace.name if event.namespace else None,
            "subject": subject,
            "actor": event.actor_label,
            "reason": event.reason,
            "before": event.before,
            "after": event.after,
        },
    }
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def signed_headers(webhook: Webhook, event: Event, body: str, *, now: datetime) -> dict[str, str]:
    """The headers by which a receiver knows that it was us, when, and whether it heard this before.

    While a secret is being changed there are two signatures, the newer first.
    """
    message_id = f"evt_{event.pk}"
    keys = [webhook.secret]
    if webhook.old_secret and webhook.old_secret_until and now < webhook.old_secret_until:
        keys.append(webhook.old_secret)
    return {
        "content-type": "application/json",
        "user-agent": "Assay-Webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Signer(key).sign(message_id, now, body) for key in keys),
    }


def forget_old_secrets(*, now: datetime | None = None) -> int:
    """Take out the secrets whose time is over: they signed nothing since."""
    over = Webhook.objects.filter(old_secret_until__lte=now or timezone.now())
    return over.update(old_secret="", old_secret_until=None)
