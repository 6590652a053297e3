"""Endpoints that hear of events, and their secrets. What came of telling them is in `deliveries.py`."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.webhooks import (
    MOST_EVENTS,
    MOST_MODELS,
    create_webhook,
    delete_webhook,
    edit_webhook,
    rotate_secret,
)
from registry.api.webhook_shows import WEBHOOKS, webhook_json
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page


class WebhookBody(Body):
    name = serializers.CharField(max_length=100)
    url = serializers.CharField(max_length=500)
    events = serializers.ListField(child=serializers.CharField(max_length=60), max_length=MOST_EVENTS)
    models = serializers.ListField(
        child=serializers.CharField(max_length=100), max_length=MOST_MODELS, required=False
    )
    stages = serializers.ListField(child=serializers.CharField(max_length=20), max_length=10, required=False)
    parallel = serializers.IntegerField(min_value=1, max_value=8, required=False)


class WebhookChanges(WebhookBody):
    name = serializers.CharField(required=False, max_length=100)
    url = serializers.CharField(required=False, max_length=500)
    events = serializers.ListField(
        child=serializers.CharField(max_length=60), max_length=MOST_EVENTS, required=False
    )
    active = serializers.BooleanField(required=False)


class RotationBody(Body):
    at_once = serializers.BooleanField(required=False, default=False)


class Webhooks(Endpoint):
    """The webhooks of a namespace."""

    @extend_schema(operation_id="list_webhooks", responses=dict)
    def get(self, request: Request, namespace: str) -> Response:
        return page(request, WEBHOOKS.filter(namespace=self.namespace), webhook_json, order=("name", "pk"))

    @extend_schema(operation_id="create_webhook", request=WebhookBody, responses={201: dict})
    def post(self, request: Request, namespace: str) -> Response:
        """The answer holds the signing secret as `secret`; it is not shown again."""
        body = self.read(WebhookBody, request)
        row, secret = create_webhook(namespace=self.namespace, by=self.principal, **body)
        return Response({**webhook_json(row), "secret": secret}, status=201)


class OneWebhook(Endpoint):
    """One webhook."""

    noun = (WEBHOOKS, "webhook")

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


class RotateSecret(Endpoint):
    """Another signing secret."""

    noun = (WEBHOOKS, "webhook")

    @extend_schema(operation_id="rotate_webhook_secret", request=RotationBody, responses=dict)
    def post(self, request: Request, id: Any) -> Response:
        """The answer holds the new secret as `secret`; it is not shown again. Both sign for 24 hours, or with `at_once`
        only the new one."""
        body = self.read(RotationBody, request)
        row, secret = rotate_secret(webhook=self.row, by=self.principal, **body)
        return Response({**webhook_json(row), "secret": secret})
