"""The journal."""

from __future__ import annotations

from django.db.models import Q
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api.shows import event_json
from registry.http.endpoint import Endpoint
from registry.http.paging import page
from registry.models import Event


class Events(Endpoint):
    """What happened in a namespace, newest first."""

    @extend_schema(
        operation_id="list_events",
        parameters=[
            OpenApiParameter("type", str, description="`version.ready`, or `version.*`"),
            OpenApiParameter("subject", str, description="an id, or a reference such as `fraud/scorer:3`"),
        ],
        responses=dict,
    )
    def get(self, request: Request, namespace: str) -> Response:
        rows = Event.objects.select_related("namespace").filter(namespace=self.namespace)
        if wanted := request.query_params.get("type"):
            noun = wanted.removesuffix("*")
            rows = rows.filter(Q(type__startswith=noun) if noun != wanted else Q(type=wanted))
        if subject := request.query_params.get("subject"):
            rows = rows.filter(Q(subject_id=subject) | Q(subject_label=subject))
        return page(request, rows, event_json, order=("-pk",))
