"""Endpoints that hear of a namespace's events, and what they were told.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

from assay.http import Connection
from assay.references import API, namespace_path


class Webhook(TypedDict):
    """An endpoint; `models` and `stages` narrow what it hears of, where any are named. The times are UTC with Z."""

    id: str
    namespace: str
    name: str
    url: str
    events: list[str]
    models: list[str]
    stages: list[str]
    parallel: int
    active: bool
    disabled_reason: str
    failing_since: str | None
    both_secrets_sign_until: str | None
    created_at: str
    created_by: str


class WebhookWithSecret(Webhook):
    """As it is answered once: with the secret that its messages are signed with."""

    secret: str


class Told(TypedDict):
    """The event that a delivery is of."""

    id: int
    type: str
    reference: str


class Attempt(TypedDict):
    """One request and its answer: the status, headers and beginning of it, or the `error`."""

    at: str
    request: dict[str, Any]
    status: int | None
    headers: dict[str, str]
    answer: str
    error: str
    duration_ms: int


class Delivery(TypedDict):
    """One event's way to one webhook. `state` is pending, delivered or failed."""

    id: str
    webhook: str
    event: Told
    state: str
    due_at: str | None
    created_at: str
    delivered_at: str | None
    attempts: list[Attempt]


class WholeDelivery(Delivery):
    """With the body that every attempt carries."""

    body: str


class Webhooks:
    """The calls of a client about webhooks. They need the right to edit them, which namespace admins have."""

    _connection: Connection

    def webhooks(self, namespace: str) -> list[Webhook]:
        return list(self._connection.pages(f"{namespace_path(namespace)}/webhooks"))

    def create_webhook(
        self,
        namespace: str,
        name: str,
        url: str,
        *,
        events: Sequence[str] = ("*",),
        models: Sequence[str] = (),
        stages: Sequence[str] = (),
        parallel: int = 1,
    ) -> WebhookWithSecret:
        """A new endpoint, which hears of these types (`*`, `promotion.*`, `version.ready`), of these models and in
        these stages where any are named. Its `secret` is in this answer only."""
        body = {
            "name": name,
            "url": url,
            "events": list(events),
            "models": list(models),
            "stages": list(stages),
            "parallel": parallel,
        }
        made: WebhookWithSecret = self._connection.call(
            "POST", f"{namespace_path(namespace)}/webhooks", body=body
        )
        return made

    def edit_webhook(self, webhook_id: str, **changes: object) -> Webhook:
        """Change `name`, `url`, `events`, `models`, `stages`, `parallel` or `active`."""
        edited: Webhook = self._connection.call("PATCH", f"{API}/webhooks/{webhook_id}", body=changes)
        return edited

    def delete_webhook(self, webhook_id: str) -> None:
        self._connection.call("DELETE", f"{API}/webhooks/{webhook_id}")

    def rotate_webhook_secret(self, webhook_id: str, *, at_once: bool = False) -> WebhookWithSecret:
        """A new secret. Messages carry both signatures for 24 hours; with `at_once` only the new one."""
        rotated: WebhookWithSecret = self._connection.call(
            "POST", f"{API}/webhooks/{webhook_id}/rotate", body={"at_once": at_once}
        )
        return rotated

    def test_webhook(self, webhook_id: str) -> Delivery:
        """Send it `webhook.tested`; what comes of it is in the delivery, a moment later."""
        sent: Delivery = self._connection.call("POST", f"{API}/webhooks/{webhook_id}/test", body={})
        return sent

    def replay_webhook(self, webhook_id: str, since: datetime, until: datetime | None = None) -> int:
        """Tell it again all that happened from `since` until before `until` (without: now) and that its filters let
        through, under the ids it had. How many messages there are."""
        body = {"since": _z(since), **({"until": _z(until)} if until else {})}
        answer = self._connection.call("POST", f"{API}/webhooks/{webhook_id}/replay", body=body)
        return int(answer["messages"])

    def deliveries(
        self, webhook_id: str, *, state: str | None = None, limit: int | None = None
    ) -> list[Delivery]:
        """What it was told, newest first; `state` is pending, delivered or failed."""
        return list(
            self._connection.pages(f"{API}/webhooks/{webhook_id}/deliveries", {"state": state}, limit)
        )

    def delivery(self, delivery_id: str) -> WholeDelivery:
        found: WholeDelivery = self._connection.call("GET", f"{API}/deliveries/{delivery_id}")
        return found

    def redeliver(self, delivery_id: str) -> Delivery:
        """Tell it again, now, under the same id."""
        again: Delivery = self._connection.call("POST", f"{API}/deliveries/{delivery_id}/redeliver", body={})
        return again


def _z(time: datetime) -> str:
    """UTC with Z; a time without a zone is taken as the machine's own."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
