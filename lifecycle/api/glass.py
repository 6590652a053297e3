"""Breaking the glass over REST, what waits for its review, and the review."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.actions import glass as actions
from lifecycle.actions.promotions import LONGEST_REASON
from lifecycle.api.promotions import shown
from lifecycle.api.shows import glass_json
from lifecycle.models import BreakGlass, Promotion
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page

ROWS = BreakGlass.objects.select_related("promotion__version__model__namespace", "by", "reviewed_by")
STATES = ("waiting", "overdue", "reviewed")


class BreakingBody(Body):
    reason = serializers.CharField(max_length=LONGEST_REASON)


class ReviewBody(Body):
    verdict = serializers.ChoiceField(choices=BreakGlass.Verdict.choices)
    sentence = serializers.CharField(max_length=LONGEST_REASON)


class BrokenGlass(Endpoint):
    """Where glass was broken, as far as the caller sees."""

    @extend_schema(
        operation_id="list_broken_glass",
        parameters=[OpenApiParameter("state", str, enum=STATES)],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Newest first; `?state=` waiting (for review), overdue or reviewed."""
        rows: Any = ROWS.visible_to(self.principal)
        match request.query_params.get("state"):
            case None | "":
                pass
            case "waiting":
                rows = rows.filter(reviewed_at=None)
            case "overdue":
                rows = rows.filter(reviewed_at=None, due_at__lte=timezone.now())
            case "reviewed":
                rows = rows.exclude(reviewed_at=None)
            case _:
                raise InvalidInput(f"state is one of {', '.join(STATES)}.", field="state")
        return page(request, rows, glass_json, order=("-at", "-pk"))


class Breaking(Endpoint):
    """Putting a promotion into effect alone."""

    noun: ClassVar = (Promotion.objects, "promotion")

    @extend_schema(operation_id="break_glass", request=BreakingBody, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, id: Any) -> Response:
        """In spite of a freeze and without the approvals of others; a second person reviews it within 24 h."""
        reason = self.read(BreakingBody, request)["reason"]
        return shown(actions.break_glass(promotion=self.row, reason=reason, by=self.principal))


class Reviewing(Endpoint):
    """Saying whether that was right."""

    noun: ClassVar = (Promotion.objects, "promotion")

    @extend_schema(operation_id="review_glass", request=ReviewBody, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, id: Any) -> Response:
        """By an operator, an auditor or a namespace admin, who did not break it."""
        body = self.read(ReviewBody, request)
        row = actions.review_glass(promotion=self.row, by=self.principal, **body)
        return Response(glass_json(ROWS.get(pk=row.pk)))
