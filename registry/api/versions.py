"""One version, by number or by reference."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.models import edit_version
from registry.api.shows import VERSION_ROWS, version_json
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.fields import Body, TagsField
from registry.models import ModelVersion
from registry.references import FORMS, resolve


class VersionChanges(Body):
    description = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    tags = TagsField(required=False, removable=True)


class OneVersion(Endpoint):
    """One version of a model."""

    @extend_schema(operation_id="get_version", responses=dict)
    def get(self, request: Request, namespace: str, name: str, number: int) -> Response:
        version = self.version(name, number)
        return Response(self.told(VERSION_ROWS.get(pk=version.pk)))

    def told(self, version: ModelVersion) -> dict[str, Any]:
        """The version as JSON."""
        return version_json(version)

    @extend_schema(operation_id="edit_version", request=VersionChanges, responses=dict)
    def patch(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """Change description or tags. In tags, null takes a key away and keys not named stay."""
        body = self.read(VersionChanges, request)
        version = edit_version(version=self.version(name, number), by=self.principal, **body)
        return Response(self.told(VERSION_ROWS.get(pk=version.pk)))


class Resolve(Endpoint):
    """The version that a reference names."""

    @extend_schema(
        operation_id="resolve", parameters=[OpenApiParameter("ref", str, required=True)], responses=dict
    )
    def get(self, request: Request) -> Response:
        ref = request.query_params.get("ref")
        if ref is None:
            raise InvalidInput(f"Say which version: ?ref= takes {FORMS}.", field="ref")
        version = resolve(ref, self.principal)
        return Response(self.told(VERSION_ROWS.get(pk=version.pk)))

    def told(self, version: ModelVersion) -> dict[str, Any]:
        """The version as JSON."""
        return version_json(version)
