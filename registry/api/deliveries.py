"""What webhooks were told, and telling them again."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.deliveries import redeliver, replay_webhook, try_webhook
from registry.api.webhook_shows import DELIVERIES, WEBHOOKS, delivery_json, whole_delivery_json
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.models import Delivery, Webhook


class ReplayBody(Body):
    since = serializers.DateTimeField(help_text="as 2026-01-31T12:00:00Z")
    until = serializers.DateTimeField(required=False, help_text="without it: now")


class Deliveries(Endpoint):
    """What a webhook was told, newest first, with every attempt."""

    noun = (Webhook.objects.select_related("namespace"), "webhook")

    @extend_schema(operation_id="list_deliveries", responses=dict)
    def get(self, request: Request, id: Any) -> Response:
        """`?state=` is pending, delivered or failed."""
        rows = DELIVERIES.filter(webhook=self.row)
        if (state := request.query_params.get("state")) is not None:
            if state not in Delivery.State.values:
                raise InvalidInput(
                    f"{state!r} is no state: {', '.join(Delivery.State.values)} are.", field="state"
                )
            rows = rows.filter(state=state)
        return page(request, rows, delivery_json)


class OneDelivery(Endpoint):
    """One event's way to one webhook: what was sent, and what was answered."""

    noun = (DELIVERIES, "delivery")

    @extend_schema(operation_id="get_delivery", responses=dict)
    def get(self, request: Request, id: Any) -> Response:
        """With the body that every attempt carries."""
        return Response(whole_delivery_json(self.row))


class Redeliver(Endpoint):
    """One delivery, made again."""

    noun = (DELIVERIES, "delivery")

    @extend_schema(operation_id="redeliver", request=None, responses={202: dict})
    def post(self, request: Request, id: Any) -> Response:
        row = redeliver(delivery=self.row, by=self.principal)
        return Response(delivery_json(DELIVERIES.get(pk=row.pk)), status=202)


class TryWebhook(Endpoint):
    """A test."""

    noun = (WEBHOOKS, "webhook")

    @extend_schema(operation_id="test_webhook", request=None, responses={202: dict})
    def post(self, request: Request, id: Any) -> Response:
        """Send it the event `webhook.tested`, whatever its filters are. The answer is the delivery, to look at."""
        row = try_webhook(webhook=self.row, by=self.principal)
        return Response(delivery_json(DELIVERIES.get(pk=row.pk)), status=202)


class Replay(Endpoint):
    """All of a period, told again."""

    noun = (WEBHOOKS, "webhook")

    @extend_schema(operation_id="replay_webhook", request=ReplayBody, responses={202: dict})
    def post(self, request: Request, id: Any) -> Response:
        """Everything that happened from `since` until before `until` and that its filters let through, under the ids it
        had. The answer is how many `messages` there are."""
        told = replay_webhook(webhook=self.row, by=self.principal, **self.read(ReplayBody, request))
        return Response({"messages": told}, status=202)
