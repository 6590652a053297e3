"""Asking for waivers and granting them, as engineers and operators do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from lifecycle.actions.promotions import request_promotion
from lifecycle.actions.waivers import ask_waiver, decide_waiver
from lifecycle.models import Promotion, Waiver, WaiverDecision
from lifecycle.promotions import settle
from registry.models import ModelVersion
from tests.cast import Cast
from tests.factories import fresh, ready_version, simple_policy

WHY = "two points are worth the new country"


def asked_again(cast: Cast, waiver: Waiver) -> Promotion:
    """The same version asks for the same stage once more."""
    promotion = waiver.result.promotion
    again = request_promotion(
        version=fresh(promotion.version), target=promotion.target, by=cast.principal("eve")
    )
    return settle(promotion_id=again.pk)


def granted(cast: Cast, waiver: Waiver, verdict: str = "grant", by: str = "cora") -> WaiverDecision:
    return decide_waiver(waiver=waiver, verdict=verdict, reason=WHY, by=cast.principal(by))


def refused(cast: Cast, gates: list[dict[str, Any]], version: ModelVersion | None = None) -> Promotion:
    """A promotion to staging that these gates were asked about."""
    simple_policy(cast, "staging", gates, approvals=0)
    asked = request_promotion(
        version=version or ready_version(cast), target="staging", by=cast.principal("eve")
    )
    return settle(promotion_id=asked.pk)


def asking(cast: Cast, promotion: Promotion, gate: str, by: str = "eve", **more: Any) -> Waiver:
    given = {"reason": WHY, "until": timezone.now() + timedelta(days=7), **more}
    return ask_waiver(promotion=promotion, gate=gate, by=cast.principal(by), **given)
