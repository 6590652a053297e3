"""What is approved and what runs, now or at a time."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle import deployments
from lifecycle.api.deployments import running_json
from lifecycle.api.shows import promotion_json, promotion_rows
from lifecycle.production import approved_at
from registry.api.shows import VERSION_ROWS, version_json
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint


class Production(Endpoint):
    """What is in production, or was, and what runs or ran where."""

    @extend_schema(
        operation_id="model_production",
        parameters=[OpenApiParameter("at", str)],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, namespace: str, name: str) -> Response:
        """The version, since when, by which promotion and on whose approval; beside it what every target was
        reported to run. `?at=` a time in UTC: as it was then."""
        model, asked = self.model(name), request.query_params.get("at")
        now = timezone.now()
        at = time_of(asked) if asked else now
        approved = approved_at(model, at)
        promotions = promotion_rows().filter(pk__in=[approved.promotion_id] if approved.promotion_id else [])
        promotion = promotion_json(found) if (found := promotions.first()) else None
        rows = deployments.ROWS.filter(model=model)
        running = deployments.running_at(model, at) if asked else deployments.running_now(rows, now)
        return Response(
            {
                "version": version_json(VERSION_ROWS.get(pk=approved.version.pk))
                if approved.version
                else None,
                "since": approved.since,
                "promotion": promotion,
                "approved_by": [
                    {"by": each["by"], "reason": each["reason"], "at": each["at"]}
                    for each in (promotion["approvals"] if promotion else [])
                    if each["verdict"] == "approve"
                ],
                "running": [running_json(each) for each in running],
            }
        )


def time_of(given: str, name: str = "at") -> datetime:
    """A time that was given as the parameter `name`. Raises InvalidInput."""
    try:
        parsed = parse_datetime(given)
        # Near the first and the last year some times are none in UTC.
        at = parsed.astimezone(UTC) if parsed and parsed.tzinfo else None
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise InvalidInput(f"{name} is a time in UTC, such as 2026-01-31T12:00:00Z.", field=name)
    return at
