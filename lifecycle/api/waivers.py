"""Waivers over REST: asking that a gate's result be let stand, granting it, refusing it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.actions import waivers as actions
from lifecycle.api.shows import WAIVER_STATES, waiver_json
from lifecycle.models import Promotion, Waiver
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.permissions import visible_namespace

ROWS = Waiver.objects.select_related("result__promotion__version__model__namespace", "by", "decision__by")


class AskingWaiver(Body):
    gate = serializers.CharField(max_length=200, help_text="the gate's key in the promotion")
    reason = serializers.CharField(max_length=actions.LONGEST_REASON)
    until = serializers.DateTimeField(help_text="as 2026-01-31T12:00:00Z, within 90 days")


class DecidingWaiver(Body):
    reason = serializers.CharField(max_length=actions.LONGEST_REASON)


def shown(waiver: Waiver, code: int = 200) -> Response:
    """The waiver as it is now in the database."""
    return Response(waiver_json(ROWS.get(pk=waiver.pk)), status=code)


class Waivers(Endpoint):
    """The waivers that the caller may see."""

    @extend_schema(
        operation_id="list_waivers",
        parameters=[OpenApiParameter("namespace", str), OpenApiParameter("state", str, enum=WAIVER_STATES)],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Newest first; `?namespace=` those of one, `?state=` asked, granted, refused or expired."""
        rows: Any = ROWS.visible_to(self.principal)
        if name := request.query_params.get("namespace"):
            rows = rows.filter(
                result__promotion__version__model__namespace=visible_namespace(self.principal, name)
            )
        if state := request.query_params.get("state"):
            rows = _in_state(rows, state)
        return page(request, rows, waiver_json, order=("-at", "-pk"))


class PromotionWaivers(Endpoint):
    """The waivers of one promotion's results."""

    noun: ClassVar = (Promotion.objects, "promotion")

    @extend_schema(operation_id="list_promotion_waivers", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: Any) -> Response:
        return page(request, ROWS.filter(result__promotion=self.row), waiver_json, order=("-at", "-pk"))

    @extend_schema(operation_id="ask_waiver", request=AskingWaiver, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, id: Any) -> Response:
        """Ask that what a gate says be let stand until then: `{"gate", "reason", "until"}`."""
        body = self.read(AskingWaiver, request)
        return shown(actions.ask_waiver(promotion=self.row, by=self.principal, **body), 201)


class DecideWaiver(Endpoint):
    """grant, refuse: one route each, told apart by `verdict`."""

    noun: ClassVar = (Waiver.objects, "waiver")
    verdict: str = ""

    @extend_schema(request=DecidingWaiver, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, id: Any) -> Response:
        body = self.read(DecidingWaiver, request)
        actions.decide_waiver(waiver=self.row, verdict=self.verdict, by=self.principal, **body)
        return shown(self.row)


def _in_state(rows: QuerySet[Waiver], state: str) -> QuerySet[Waiver]:
    now = timezone.now()
    match state:
        case "asked":
            return rows.filter(decision=None, until__gt=now)
        case "granted":
            return rows.filter(decision__verdict="grant", until__gt=now)
        case "refused":
            return rows.filter(decision__verdict="refuse")
        case "expired":
            return rows.filter(until__lte=now).exclude(decision__verdict="refuse")
    raise InvalidInput(f"state is one of {', '.join(WAIVER_STATES)}.", field="state")
