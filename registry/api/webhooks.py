"""Endpoints that hear of events, and what came of telling them."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.webhooks import create_webhook, delete_webhook, edit_webhook, redeliver
from registry.api.shows import delivery_json, webhook_json
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.models import Delivery, DeliveryAttempt, Webhook

ROWS = Webhook.objects.select_related("namespace", "created_by").filter(deleted_at=None)
DELIVERIES = Delivery.objects.select_related("webhook__namespace", "event").prefetch_related(
    Prefetch("attempts", DeliveryAttempt.objects.order_by("pk"))
)


class WebhookBody(Body):
    name = serializers.CharField(max_length=100)
    url = serializers.CharField(max_length=500)
    events = serializers.ListField(child=serializers.CharField(max_length=60), max_length=50)


class WebhookChanges(Body):
    name = serializers.CharField(required=False, max_length=100)
    url = serializers.CharField(required=False, max_length=500)
    events = serializers.ListField(child=serializers.CharField(max_length=60), max_length=50, required=False)
    active = serializers.BooleanField(required=False)


class Webhooks(Endpoint):
    """The webhooks of a namespace."""

    @extend_schema(operation_id="list_webhooks", responses=dict)
    def get(self, request: Request, namespace: str) -> Response:
        return page(request, ROWS.filter(namespace=self.namespace), webhook_json, order=("name", "pk"))

    @extend_schema(operation_id="create_webhook", request=WebhookBody, responses={201: dict})
    def post(self, request: Request, namespace: str) -> Response:
        """The answer holds the signing secret as `secret`; it is not shown again."""
        body = self.read(WebhookBody, request)
        row, secret = create_webhook(namespace=self.namespace, by=self.principal, **body)
        return Response({**webhook_json(row), "secret": secret}, status=201)


class OneWebhook(Endpoint):
    """One webhook."""

    noun = (ROWS, "webhook")

    @extend_schema(operation_id="get_webhook", responses=dict)
    def get(self, request: Request, id: Any) -> Response:
        return Response(webhook_json(self.row))

    @extend_schema(operation_id="edit_webhook", request=WebhookChanges, responses=dict)
    def patch(self, request: Request, id: Any) -> Response:
        body = self.read(WebhookChanges, request)
        return Response(webhook_json(edit_webhook(webhook=self.row, by=self.principal, **body)))

    @extend_schema(operation_id="delete_webhook", responses={204: None})
    def delete(self, request: Request, id: Any) -> Response:
        delete_webhook(webhook=self.row, by=self.principal)
        return Response(status=204)


class Deliveries(Endpoint):
    """What a webhook was told, newest first, with every attempt."""

    noun = (Webhook.objects.select_related("namespace"), "webhook")

    @extend_schema(operation_id="list_deliveries", responses=dict)
    def get(self, request: Request, id: Any) -> Response:
        return page(request, DELIVERIES.filter(webhook=self.row), delivery_json)


class Redeliver(Endpoint):
    """One delivery, made again."""

    noun = (DELIVERIES, "delivery")

    @extend_schema(operation_id="redeliver", request=None, responses={202: dict})
    def post(self, request: Request, id: Any) -> Response:
        row = redeliver(delivery=self.row, by=self.principal)
        return Response(delivery_json(DELIVERIES.get(pk=row.pk)), status=202)
