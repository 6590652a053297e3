"""Which endpoints hear of an event, and what they are told. Signed by Standard Webhooks."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Signer

from registry.journal.enqueue import enqueue
from registry.models import Delivery, Event, Webhook

DELIVER = "registry.deliver"


def plan_deliveries(event: Event) -> None:
    """One Delivery for each active endpoint that asked for the event; asking again plans nothing new."""
    if event.namespace_id is None:
        return
    noun = event.type.partition(".")[0]
    wanted = Webhook.objects.filter(
        Q(events__overlap=["*", event.type, f"{noun}.*"]),
        namespace_id=event.namespace_id,
        active=True,
        deleted_at=None,
    )
    now = timezone.now()
    planned = [Delivery(webhook=webhook, event=event, due_at=now) for webhook in wanted]
    Delivery.objects.bulk_create(planned, ignore_conflicts=True)
    rows = Delivery.objects.filter(event=event, state=Delivery.State.PENDING, claimed_at=None)
    for pk in rows.values_list("pk", flat=True):
        enqueue(DELIVER, delivery_id=str(pk))


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
    """The headers by which a receiver knows that it was us, when, and whether it heard this before."""
    message_id = f"evt_{event.pk}"
    return {
        "content-type": "application/json",
        "user-agent": "Assay-Webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(webhook.secret).sign(message_id, now, body),
    }
