"""Roles that take two over REST: what is asked, confirming and refusing it."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.grants import STATES, decide_grant, in_state, state_of
from registry.actions.roles import LONGEST_REASON
from registry.api.shows import time_json
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.models import RoleGrant

ROWS = RoleGrant.objects.select_related("namespace", "user", "asked_by", "decided_by")


class DecidingBody(Body):
    reason = serializers.CharField(
        max_length=LONGEST_REASON, required=False, allow_blank=True, default="", help_text="needed to refuse"
    )


def grant_json(grant: RoleGrant) -> dict[str, Any]:
    """A role that is asked for somebody, and what became of it."""
    return {
        "id": str(grant.pk),
        "namespace": grant.namespace.name,
        "user": grant.user.get_username(),
        "role": grant.role,
        "state": state_of(grant),
        "reason": grant.reason,
        "asked_by": grant.asked_by.get_username(),
        "asked_at": time_json(grant.asked_at),
        "expires_at": time_json(grant.expires_at),
        "decided_by": grant.decided_by.get_username() if grant.decided_by else None,
        "decided_at": time_json(grant.decided_at) if grant.decided_at else None,
        "decided_reason": grant.decision_reason,
    }


class Grants(Endpoint):
    """The grants of a namespace that took, or take, two people."""

    @extend_schema(
        operation_id="list_grants",
        parameters=[OpenApiParameter("state", str, enum=STATES)],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, namespace: str) -> Response:
        """Newest first; `?state=` asked, granted, refused or expired. They are asked for at `.../members`."""
        rows: Any = ROWS.filter(namespace=self.namespace)
        state = request.query_params.get("state")
        if state and state not in STATES:
            raise InvalidInput(f"state is one of {', '.join(STATES)}.", field="state")
        rows = in_state(rows, state)
        return page(request, rows, grant_json, order=("-asked_at", "-pk"))


class DecideGrant(Endpoint):
    """confirm, refuse: one route each, told apart by `verdict`."""

    noun: ClassVar = (RoleGrant.objects, "grant")
    verdict: str = ""

    @extend_schema(request=DecidingBody, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, id: Any) -> Response:
        """Decide on what somebody else asked: `{"reason"}`."""
        reason = self.read(DecidingBody, request)["reason"]
        decided = decide_grant(grant=self.row, verdict=self.verdict, reason=reason, by=self.principal)
        return Response(grant_json(ROWS.get(pk=decided.pk)))
