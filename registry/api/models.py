"""Registered models."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.models import create_model, edit_model, ensure_model
from registry.api.shows import MODEL_ROWS, model_json
from registry.http.endpoint import Endpoint
from registry.http.fields import Body, NameField, TagsField
from registry.http.paging import page
from registry.models import RegisteredModel


class AboutModel(Body):
    task = serializers.CharField(required=False, allow_blank=True, max_length=100)
    description = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    card = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False, max_length=200_000, help_text="Markdown"
    )
    tags = TagsField(required=False)


class ModelBody(AboutModel):
    name = NameField()


class ModelChanges(AboutModel):
    intended_use = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    excluded_use = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    risk_tier = serializers.CharField(
        required=False, allow_blank=True, max_length=40, help_text="policies go by it"
    )
    tags = TagsField(required=False, removable=True)


class Models(Endpoint):
    """The models of a namespace."""

    @extend_schema(operation_id="list_models", responses=dict)
    def get(self, request: Request, namespace: str) -> Response:
        rows = MODEL_ROWS.filter(namespace=self.namespace, deleted_at=None)
        return page(request, rows, model_json, order=("name", "pk"))

    @extend_schema(operation_id="create_model", request=ModelBody, responses={201: dict})
    def post(self, request: Request, namespace: str) -> Response:
        body = self.read(ModelBody, request)
        made = create_model(namespace=self.namespace, by=self.principal, **body)
        return Response(_shown(made), status=201)


class OneModel(Endpoint):
    """One model, by name."""

    @extend_schema(operation_id="get_model", responses=dict)
    def get(self, request: Request, namespace: str, name: str) -> Response:
        return Response(_shown(self.model(name)))

    @extend_schema(operation_id="ensure_model", request=AboutModel, responses={200: dict, 201: dict})
    def put(self, request: Request, namespace: str, name: str) -> Response:
        """Make the model when it is missing (201), else answer the one that is there, unchanged (200)."""
        body = self.read(AboutModel, request)
        model, made = ensure_model(namespace=self.namespace, name=name, by=self.principal, **body)
        return Response(_shown(model), status=201 if made else 200)

    @extend_schema(operation_id="edit_model", request=ModelChanges, responses=dict)
    def patch(self, request: Request, namespace: str, name: str) -> Response:
        """Change what is given. In tags, null takes a key away and keys not named stay."""
        body = self.read(ModelChanges, request)
        return Response(_shown(edit_model(model=self.model(name), by=self.principal, **body)))


def _shown(model: RegisteredModel) -> dict[str, Any]:
    return model_json(MODEL_ROWS.get(pk=model.pk))
