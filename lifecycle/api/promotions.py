"""Promotions: asked, listed, decided, withdrawn; rollback; the moves that need only a reason."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.actions import promotions as actions
from lifecycle.api.shows import promotion_json, promotion_rows
from lifecycle.approvals import may_decide
from lifecycle.models import Promotion, State
from registry.api.shows import VERSION_ROWS, version_json
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page


class Asking(Body):
    target = serializers.ChoiceField(choices=["staging", "production"])
    reason = serializers.CharField(required=False, allow_blank=True, default="")


class Reason(Body):
    reason = serializers.CharField(required=False, allow_blank=True, default="")


class Decision(Reason):
    report = serializers.JSONField(
        required=False,
        allow_null=True,
        default=None,
        help_text='{"summary": "...", "findings": [{"severity": "low", "text": "..."}], "conditions": ["..."]}',
    )


class RollingBack(Body):
    to = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=2**31 - 1
    )
    reason = serializers.CharField()


def shown(promotion: Promotion, code: int = status.HTTP_200_OK) -> Response:
    """The promotion as it is now in the database."""
    return Response(promotion_json(promotion_rows().get(pk=promotion.pk)), status=code)


class VersionPromotions(Endpoint):
    """The promotions of one version."""

    def get(self, request: Request, namespace: str, name: str, number: int) -> Response:
        rows = promotion_rows().filter(version=self.version(name, number))
        return page(request, rows, promotion_json, order=("-requested_at", "-pk"))

    @extend_schema(request=Asking)
    def post(self, request: Request, namespace: str, name: str, number: int) -> Response:
        promotion = actions.request_promotion(
            version=self.version(name, number), by=self.principal, **self.read(Asking, request)
        )
        return shown(promotion, status.HTTP_202_ACCEPTED)


class Promotions(Endpoint):
    """All promotions that the caller may see; `?namespace=&state=` narrow them."""

    def get(self, request: Request) -> Response:
        rows = promotion_rows().visible_to(self.principal)  # type: ignore[attr-defined]
        if given := request.query_params.get("namespace"):
            rows = rows.filter(version__model__namespace__name=given)
        if given := request.query_params.get("state"):
            if given not in State.values:
                raise InvalidInput(f"state is one of {', '.join(State.values)}.", field="state")
            rows = rows.filter(state=given)
        return page(request, rows, promotion_json, order=("-requested_at", "-pk"))


class OnePromotion(Endpoint):
    """One promotion."""

    noun: ClassVar = (Promotion.objects, "promotion")

    def get(self, request: Request, id: Any) -> Response:
        return shown(self.row)


class Deciding(OnePromotion):
    """What reviewers designated on the model, and people of the groups that its policy names, may do too."""

    http_method_names = ["post"]

    def is_designated(self) -> bool:
        return may_decide(self.principal, self.row)


class Approve(Deciding):
    """Approve it; the last approval that is needed puts it into effect."""

    @extend_schema(request=Decision)
    def post(self, request: Request, id: Any) -> Response:
        return shown(
            actions.decide_promotion(
                promotion=self.row, verdict="approve", by=self.principal, **self.read(Decision, request)
            )
        )


class Reject(Deciding):
    """Reject it, with a reason."""

    @extend_schema(request=Decision)
    def post(self, request: Request, id: Any) -> Response:
        return shown(
            actions.decide_promotion(
                promotion=self.row, verdict="reject", by=self.principal, **self.read(Decision, request)
            )
        )


class Withdraw(OnePromotion):
    """Take the request back."""

    http_method_names = ["post"]

    @extend_schema(request=Reason)
    def post(self, request: Request, id: Any) -> Response:
        return shown(
            actions.withdraw_promotion(promotion=self.row, by=self.principal, **self.read(Reason, request))
        )


class RollBack(Endpoint):
    """Put a former production version back."""

    @extend_schema(request=RollingBack)
    def post(self, request: Request, namespace: str, name: str) -> Response:
        promotion = actions.roll_back(
            model=self.model(name), by=self.principal, **self.read(RollingBack, request)
        )
        return shown(promotion, status.HTTP_202_ACCEPTED)


class MoveVersion(Endpoint):
    """demote, suspend, deprecate, reinstate, archive: one route each, told apart by `move`."""

    move: str = ""

    @extend_schema(request=Reason)
    def post(self, request: Request, namespace: str, name: str, number: int) -> Response:
        version = self.version(name, number)
        actions.move_version(version=version, move=self.move, by=self.principal, **self.read(Reason, request))
        return Response(version_json(VERSION_ROWS.get(pk=version.pk)))
