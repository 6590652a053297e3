"""Quarantine over REST: what stands under one, putting versions under it, and lifting it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.actions import quarantine as actions
from lifecycle.models import Quarantine
from lifecycle.quarantine import standing
from lineage.api.impact import QuestionBody, question_of
from registry.api.shows import time_json
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.models import ModelVersion
from registry.permissions import visible_namespace
from registry.references import resolve


class VersionsBody(Body):
    versions = serializers.ListField(
        child=serializers.CharField(max_length=300), max_length=actions.MOST, default=list
    )
    reason = serializers.CharField(max_length=actions.LONGEST_REASON)


class PlaceBody(VersionsBody):
    """Which versions: named, or all that something which turned out bad went into."""

    impact = QuestionBody(default=None, allow_null=True)


def quarantine_json(row: Quarantine) -> dict[str, Any]:
    """One quarantine that stands."""
    return {
        "id": str(row.pk),
        "version": row.version.reference,
        "namespace": row.version.model.namespace.name,
        "stage": row.version.stage,
        "reason": row.reason,
        "found_by": row.found_by,
        "by": row.by.get_username(),
        "at": time_json(row.at),
    }


def standing_json(version: ModelVersion) -> dict[str, Any] | None:
    """The newest quarantine that a version stands under: `{"reason", "by", "at"}`, or null."""
    row = standing([version.pk]).first()
    return {"reason": row.reason, "by": row.by.get_username(), "at": time_json(row.at)} if row else None


class Quarantines(Endpoint):
    """Versions that are doubted."""

    @extend_schema(
        operation_id="list_quarantines",
        parameters=[OpenApiParameter("namespace", str)],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """The quarantines that stand, newest first; `?namespace=` those of one."""
        rows: Any = Quarantine.objects.visible_to(self.principal).filter(lift=None)
        if name := request.query_params.get("namespace"):
            rows = rows.filter(version__model__namespace=visible_namespace(self.principal, name))
        rows = rows.select_related("by", "version__model__namespace")
        return page(request, rows, quarantine_json, order=("-at", "-pk"))

    @extend_schema(
        operation_id="quarantine_versions", request=PlaceBody, responses={201: OpenApiTypes.OBJECT}
    )
    def post(self, request: Request) -> Response:
        """Put versions under quarantine: `{"versions": [...], "reason"}`, or `{"impact": {...}, "reason"}` for all
        that something went into. They enter neither staging nor production until somebody else lifts it; those in
        production stay there and are named in `in_production`."""
        body = self.read(PlaceBody, request)
        if bool(body["versions"]) == bool(body["impact"]):
            raise InvalidInput(
                "Give versions, or what was doubted as impact: one of the two.", field="versions"
            )
        if body["impact"]:
            done = actions.quarantine_affected(
                question=question_of(body["impact"]), reason=body["reason"], by=self.principal
            )
        else:
            versions = [resolve(ref, self.principal) for ref in body["versions"]]
            done = actions.quarantine_versions(versions=versions, reason=body["reason"], by=self.principal)
        return Response(
            {
                "quarantined": [quarantine_json(row) for row in done.quarantines],
                "already": [row.reference for row in done.already],
                "in_production": [row.reference for row in done.in_production],
                "voided": [
                    {"id": str(each.pk), "version": each.version.reference, "target": each.target}
                    for each in done.voided
                ],
                "not_yours": [row.reference for row in done.not_yours],
                "restricted": done.restricted,
            },
            status=201,
        )


class LiftQuarantine(Endpoint):
    """Clearing what was doubted."""

    @extend_schema(request=VersionsBody, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        """Lift every quarantine that these versions stand under; somebody else must have placed it."""
        body = self.read(VersionsBody, request)
        if not body["versions"]:
            raise InvalidInput("Name the versions whose quarantine to lift.", field="versions")
        versions = [resolve(ref, self.principal) for ref in body["versions"]]
        actions.lift_quarantine(versions=versions, reason=body["reason"], by=self.principal)
        return Response({"lifted": sorted({version.reference for version in versions})})
