"""Freeze windows over REST: what is frozen, freezing, and ending it early."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.actions import freezes as actions
from lifecycle.models import FreezeWindow
from registry.api.shows import time_json
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.models import Namespace, RegisteredModel
from registry.permissions import visible

ROWS = FreezeWindow.objects.select_related("namespace", "model__namespace", "by", "ended_by")
STATES = ("standing", "coming", "over")
STATE = OpenApiParameter("state", str, enum=STATES)


class EverywhereBody(Body):
    target = serializers.ChoiceField(
        choices=["staging", "production"], required=False, allow_null=True, default=None
    )
    starts_at = serializers.DateTimeField(required=False, allow_null=True, default=None, help_text="else now")
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField(max_length=actions.LONGEST_REASON)


class FreezeBody(EverywhereBody):
    model = serializers.CharField(
        required=False, allow_null=True, default=None, help_text="else every model of the namespace"
    )


class EndingBody(Body):
    reason = serializers.CharField(max_length=actions.LONGEST_REASON)


def freeze_json(row: FreezeWindow) -> dict[str, Any]:
    """One window; `target` null is both stages, `namespace` null everywhere."""
    return {
        "id": str(row.pk),
        "about": row.about,
        "namespace": row.namespace.name if row.namespace else None,
        "model": row.model.name if row.model else None,
        "target": row.target or None,
        "state": _state(row),
        "starts_at": time_json(row.starts_at),
        "ends_at": time_json(row.ends_at),
        "reason": row.reason,
        "by": row.by.get_username(),
        "at": time_json(row.at),
        "ended_by": row.ended_by.get_username() if row.ended_by else None,
        "ended_at": time_json(row.ended_at) if row.ended_at else None,
        "ended_reason": row.ended_reason,
    }


def _state(row: FreezeWindow) -> str:
    now = timezone.now()
    if row.ended_at or row.ends_at <= now:
        return "over"
    return "standing" if row.starts_at <= now else "coming"


class Freezes(Endpoint):
    """What is frozen anywhere that the caller sees."""

    @extend_schema(operation_id="list_freezes", parameters=[STATE], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Newest first; `?state=` standing, coming or over."""
        rows = _in_state(ROWS.visible_to(self.principal), request)
        return page(request, rows, freeze_json, order=("-starts_at", "-pk"))

    @extend_schema(
        operation_id="freeze_everything", request=EverywhereBody, responses={201: OpenApiTypes.OBJECT}
    )
    def post(self, request: Request) -> Response:
        """Freeze a stage in every namespace."""
        return _made(self, self.read(EverywhereBody, request), None, None)


class NamespaceFreezes(Endpoint):
    """The windows of one namespace."""

    @extend_schema(operation_id="list_namespace_freezes", parameters=[STATE], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str) -> Response:
        rows = _in_state(ROWS.filter(namespace=self.namespace), request)
        return page(request, rows, freeze_json, order=("-starts_at", "-pk"))

    @extend_schema(operation_id="freeze", request=FreezeBody, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, namespace: str) -> Response:
        """Freeze a stage for the namespace, or for one model of it."""
        body = self.read(FreezeBody, request)
        name = body.pop("model")
        return _made(self, body, self.namespace, self.model(name) if name else None)


class EndFreeze(Endpoint):
    """Ending one early."""

    @extend_schema(operation_id="end_freeze", request=EndingBody, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, id: Any) -> Response:
        row = visible(ROWS.all(), self.principal, "freeze window", pk=id)
        reason = self.read(EndingBody, request)["reason"]
        ended = actions.end_freeze(freeze=row, reason=reason, by=self.principal)
        return Response(freeze_json(ROWS.get(pk=ended.pk)))


def _made(
    view: Endpoint, body: dict[str, Any], namespace: Namespace | None, model: RegisteredModel | None
) -> Response:
    target = body.pop("target") or ""
    made = actions.set_freeze(namespace=namespace, model=model, target=target, by=view.principal, **body)
    return Response(freeze_json(ROWS.get(pk=made.pk)), status=201)


def _in_state(rows: Any, request: Request) -> Any:
    now = timezone.now()
    match request.query_params.get("state"):
        case None | "":
            return rows
        case "standing":
            return rows.standing(now)
        case "coming":
            return rows.filter(ended_at=None, starts_at__gt=now)
        case "over":
            return rows.exclude(ended_at=None, ends_at__gt=now)
    raise InvalidInput(f"state is one of {', '.join(STATES)}.", field="state")
