"""What webhooks and deliveries look like in JSON. No query is asked for rows that came from the querysets here."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch

from registry.api.shows import time_json
from registry.journal.webhooks import payload
from registry.models import Delivery, DeliveryAttempt, Webhook

WEBHOOKS = Webhook.objects.select_related("namespace", "created_by").filter(deleted_at=None)
DELIVERIES = Delivery.objects.select_related("webhook__namespace", "event__namespace").prefetch_related(
    Prefetch("attempts", DeliveryAttempt.objects.order_by("pk"))
)


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    """A webhook without its secret."""
    return {
        "id": str(webhook.pk),
        "namespace": webhook.namespace.name,
        "name": webhook.name,
        "url": webhook.url,
        "events": webhook.events,
        "models": webhook.of_models,
        "stages": webhook.stages,
        "parallel": webhook.parallel,
        "active": webhook.active,
        "disabled_reason": webhook.disabled_reason,
        "failing_since": time_json(webhook.failing_since),
        "both_secrets_sign_until": time_json(webhook.old_secret_until),
        "created_at": time_json(webhook.created_at),
        "created_by": webhook.created_by.get_username(),
    }


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """One event's way to one endpoint, with every attempt: where it was sent and how it was answered."""
    return {
        "id": str(delivery.pk),
        "webhook": str(delivery.webhook_id),
        "event": {
            "id": delivery.event_id,
            "type": delivery.event.type,
            "reference": delivery.event.subject_label,
        },
        "state": delivery.state,
        "due_at": time_json(delivery.due_at) if delivery.state == Delivery.State.PENDING else None,
        "created_at": time_json(delivery.created_at),
        "delivered_at": time_json(delivery.delivered_at),
        "attempts": [attempt_json(attempt) for attempt in delivery.attempts.all()],
    }


def whole_delivery_json(delivery: Delivery) -> dict[str, Any]:
    """The same with the body that every attempt carries."""
    return {**delivery_json(delivery), "body": payload(delivery.event)}


def attempt_json(attempt: DeliveryAttempt) -> dict[str, Any]:
    """One request and its answer; `request` is empty where nothing was sent, and `error` says why."""
    return {
        "at": time_json(attempt.at),
        "request": attempt.sent,
        "status": attempt.status,
        "headers": attempt.answer_headers,
        "answer": attempt.answer,
        "error": attempt.error,
        "duration_ms": attempt.duration_ms,
    }
