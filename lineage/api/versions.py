"""The versions of a model: listed, and registered with where they came from."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lineage.actions.versions import MOST_BASES, About, Purchase, register_version
from lineage.api.fields import Document
from registry.api.shows import VERSION_ROWS, version_json
from registry.artifacts.attachments import LARGEST_SIGNATURE
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.fields import Body, TagsField
from registry.http.paging import page
from registry.models import Stage


class SupplyBody(Body):
    """Where a version that was bought came from: in place of a run."""

    supplier = serializers.CharField(max_length=200)
    origin = serializers.CharField(max_length=2000, allow_blank=True, default="")
    contract = serializers.CharField(max_length=200, allow_blank=True, default="")
    digest = serializers.CharField(max_length=71, allow_blank=True, default="")


class NewVersion(Body):
    """What a version is made of. `base` are references of the versions it was trained from; `signature` is the text
    that `model_signing sign` wrote."""

    upload = serializers.UUIDField()
    run = serializers.UUIDField(default=None, allow_null=True)
    base = serializers.ListField(
        child=serializers.CharField(max_length=300), max_length=MOST_BASES, default=list, allow_empty=True
    )
    description = serializers.CharField(max_length=10_000, allow_blank=True, default="")
    tags = TagsField(default=dict)
    format = serializers.CharField(max_length=40, allow_blank=True, allow_null=True, default="")
    supply = SupplyBody(default=None, allow_null=True)
    signature = serializers.CharField(
        max_length=LARGEST_SIGNATURE, trim_whitespace=False, default=None, allow_null=True
    )
    schema: Any = Document(kinds=(dict, list), most=1024 * 1024, default=None, allow_null=True)


def _bounded(signature: str | None) -> str | None:
    """No more bytes than characters were counted. Raises InvalidInput."""
    if signature is not None and len(signature.encode()) > LARGEST_SIGNATURE:
        raise InvalidInput(f"A signature has at most {LARGEST_SIGNATURE} bytes.", field="signature")
    return signature


class Versions(Endpoint):
    """The versions of a model."""

    @extend_schema(
        operation_id="list_versions",
        parameters=[OpenApiParameter("stage", str, enum=Stage.values)],
        responses=dict,
    )
    def get(self, request: Request, namespace: str, name: str) -> Response:
        """The versions, newest first; `?stage=` those in one stage."""
        rows = VERSION_ROWS.visible_to(self.principal).filter(model=self.model(name))
        if stage := request.query_params.get("stage"):
            if stage not in Stage.values:
                raise InvalidInput(f"A stage is one of {', '.join(Stage.values)}.", field="stage")
            rows = rows.filter(stage=stage)
        return page(request, rows, version_json, order=("-number",))

    @extend_schema(operation_id="register_version", request=NewVersion, responses={202: dict})
    def post(self, request: Request, namespace: str, name: str) -> Response:
        """Register a version from an upload. Its bytes are verified next: poll `status` until it is ready."""
        given = self.read(NewVersion, request)
        about = About(
            description=given["description"],
            tags=given["tags"],
            format=given["format"] or "",
            schema=given["schema"],
        )
        version = register_version(
            namespace=self.namespace,
            name=name,
            upload=given["upload"],
            by=self.principal,
            run=given["run"],
            base=given["base"],
            about=about,
            purchase=Purchase(**given["supply"]) if given["supply"] else None,
            signature=_bounded(given["signature"]),
        )
        return Response(version_json(VERSION_ROWS.get(pk=version.pk)), status=202)
