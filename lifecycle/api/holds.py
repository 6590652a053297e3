"""Legal holds over REST: placing one, asking that it be lifted, granting or refusing that."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle import holds
from lifecycle.actions import holds as actions
from lifecycle.holds import hold_rows
from lifecycle.models import HoldLift, LegalHold
from registry.api.shows import time_json
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.models import ModelVersion
from registry.permissions import visible_namespace

STATE = OpenApiParameter("state", str, enum=holds.STATES)


class HoldBody(Body):
    reason = serializers.CharField(max_length=actions.LONGEST_REASON)


def hold_json(hold: LegalHold) -> dict[str, Any]:
    """A hold with all that was asked about it, oldest first. `state` is standing, lift_asked (it stands) or lifted."""
    return {
        "id": str(hold.pk),
        "version": hold.version.reference,
        "namespace": hold.version.model.namespace.name,
        "state": holds.state_of(hold),
        "reason": hold.reason,
        "placed_by": hold.placed_by.get_username(),
        "placed_at": time_json(hold.placed_at),
        "lifted_by": hold.lifted_by.get_username() if hold.lifted_by else None,
        "lifted_at": time_json(hold.lifted_at) if hold.lifted_at else None,
        "lifts": [_lift_json(lift) for lift in hold.lifts.all()],
    }


def _lift_json(lift: HoldLift) -> dict[str, Any]:
    decision = getattr(lift, "decision", None)
    return {
        "id": str(lift.pk),
        "reason": lift.reason,
        "asked_by": lift.by.get_username(),
        "asked_at": time_json(lift.at),
        "verdict": decision.verdict if decision else None,
        "decided_by": decision.by.get_username() if decision else None,
        "decided_at": time_json(decision.at) if decision else None,
        "decided_reason": decision.reason if decision else "",
    }


def standing_json(version: ModelVersion) -> list[dict[str, Any]]:
    """The holds that a version stands under, oldest first."""
    return [hold_json(hold) for hold in holds.standing(version)]


def shown(hold: LegalHold, code: int = 200) -> Response:
    """The hold as it is now in the database."""
    return Response(hold_json(hold_rows().get(pk=hold.pk)), status=code)


class Holds(Endpoint):
    """The holds that the caller may see."""

    @extend_schema(
        operation_id="list_holds",
        parameters=[OpenApiParameter("namespace", str), STATE],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Newest first; `?namespace=` those of one, `?state=` standing (asked about or not), lift_asked or lifted."""
        rows: Any = hold_rows().visible_to(self.principal)  # type: ignore[attr-defined]
        if name := request.query_params.get("namespace"):
            rows = rows.filter(version__model__namespace=visible_namespace(self.principal, name))
        return page(request, _in_state(rows, request), hold_json, order=("-placed_at", "-pk"))


class VersionHolds(Endpoint):
    """The holds of one version."""

    @extend_schema(operation_id="list_version_holds", parameters=[STATE], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """Newest first, those that were lifted too."""
        rows = hold_rows().filter(version=self.version(name, number))
        return page(request, _in_state(rows, request), hold_json, order=("-placed_at", "-pk"))

    @extend_schema(operation_id="place_hold", request=HoldBody, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """Place one: `{"reason"}`. Its bytes are neither deleted nor put away until two people lift it."""
        body = self.read(HoldBody, request)
        version = self.version(name, number)
        return shown(actions.place_hold(version=version, by=self.principal, **body), 201)


class AskLift(Endpoint):
    """Asking that a hold be lifted."""

    noun: ClassVar = (LegalHold.objects, "legal hold")

    @extend_schema(operation_id="ask_hold_lift", request=HoldBody, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, id: Any) -> Response:
        """`{"reason"}`. It stands until somebody else grants that."""
        actions.ask_lift(hold=self.row, by=self.principal, **self.read(HoldBody, request))
        return shown(self.row)


class DecideLift(Endpoint):
    """grant, refuse: one route each, told apart by `verdict`."""

    noun: ClassVar = (LegalHold.objects, "legal hold")
    verdict: str = ""

    @extend_schema(request=HoldBody, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, id: Any) -> Response:
        """Decide on what somebody else asked of this hold: `{"reason"}`."""
        body = self.read(HoldBody, request)
        actions.decide_lift(hold=self.row, verdict=self.verdict, by=self.principal, **body)
        return shown(self.row)


def _in_state(rows: Any, request: Request) -> Any:
    state = request.query_params.get("state")
    if state and state not in holds.STATES:
        raise InvalidInput(f"state is one of {', '.join(holds.STATES)}.", field="state")
    return holds.in_state(rows, state)
