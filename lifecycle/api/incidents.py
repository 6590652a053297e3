"""Incidents over REST: opening, listing, closing."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.actions import incidents as actions
from lifecycle.models import Incident, Severity
from registry.api.shows import time_json
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.permissions import visible_namespace

ROWS = Incident.objects.select_related(
    "model__namespace", "version__model__namespace", "opened_by", "closed_by"
)
STATE = OpenApiParameter("state", str, enum=("open", "closed"))


class OpeningBody(Body):
    title = serializers.CharField(max_length=actions.LONGEST_TITLE)
    severity = serializers.ChoiceField(choices=Severity.choices)
    detail = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=actions.LONGEST_TEXT
    )
    version = serializers.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=1,
        max_value=2**31 - 1,
        help_text="a number; without it, the model whatever the version",
    )


class ClosingBody(Body):
    reason = serializers.CharField(max_length=actions.LONGEST_TEXT, help_text="what became of it")


def incident_json(row: Incident) -> dict[str, Any]:
    """One incident; `about` is a version, or the model."""
    return {
        "id": str(row.pk),
        "about": row.about,
        "namespace": row.model.namespace.name,
        "severity": row.severity,
        "title": row.title,
        "detail": row.detail,
        "state": "closed" if row.closed_at else "open",
        "opened_by": row.opened_by.get_username(),
        "opened_at": time_json(row.opened_at),
        "closed_by": row.closed_by.get_username() if row.closed_by else None,
        "closed_at": time_json(row.closed_at) if row.closed_at else None,
        "resolution": row.resolution,
    }


class Incidents(Endpoint):
    """All incidents that the caller may see."""

    @extend_schema(
        operation_id="list_incidents",
        parameters=[OpenApiParameter("namespace", str), STATE],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Newest first; `?namespace=` those of one, `?state=` open or closed."""
        rows: Any = ROWS.visible_to(self.principal)
        if name := request.query_params.get("namespace"):
            rows = rows.filter(model__namespace=visible_namespace(self.principal, name))
        return page(request, _in_state(rows, request), incident_json, order=("-opened_at", "-pk"))


class ModelIncidents(Endpoint):
    """The incidents of a model and of its versions."""

    @extend_schema(operation_id="list_model_incidents", parameters=[STATE], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str, name: str) -> Response:
        rows = _in_state(ROWS.filter(model=self.model(name)), request)
        return page(request, rows, incident_json, order=("-opened_at", "-pk"))

    @extend_schema(operation_id="open_incident", request=OpeningBody, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, namespace: str, name: str) -> Response:
        """Open one, of a version or of the model."""
        body = self.read(OpeningBody, request)
        number = body.pop("version")
        made = actions.open_incident(
            model=self.model(name),
            version=self.version(name, number) if number else None,
            by=self.principal,
            **body,
        )
        return Response(incident_json(ROWS.get(pk=made.pk)), status=201)


class CloseIncident(Endpoint):
    """Closing one for good."""

    noun: ClassVar = (ROWS, "incident")

    @extend_schema(operation_id="close_incident", request=ClosingBody, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, id: Any) -> Response:
        """Close it; the reason is what became of it."""
        reason = self.read(ClosingBody, request)["reason"]
        closed = actions.close_incident(incident=self.row, reason=reason, by=self.principal)
        return Response(incident_json(ROWS.get(pk=closed.pk)))


def _in_state(rows: Any, request: Request) -> Any:
    match request.query_params.get("state"):
        case None | "":
            return rows
        case "open" | "closed" as state:
            return rows.filter(closed_at__isnull=state == "open")
    raise InvalidInput("state is open or closed.", field="state")
