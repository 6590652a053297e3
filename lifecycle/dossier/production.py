"""What is in production, since when, and on whose approval."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lifecycle.models import Approval, Promotion
from registry.models import ModelVersion, RegisteredModel, Stage, StageChange


@dataclass(frozen=True)
class Production:
    """The version that is in production. `promotion` is what brought it there, `approved_by` who allowed it."""

    version: ModelVersion
    since: datetime | None
    promotion: Promotion | None
    approved_by: list[str]


def production_of(model: RegisteredModel) -> Production | None:
    """What is in production now; None when nothing is."""
    rows = ModelVersion.objects.select_related("model__namespace", "manifest")
    version = rows.filter(model=model, stage=Stage.PRODUCTION).first()
    if version is None:
        return None
    entered = StageChange.objects.filter(version=version, to_stage=Stage.PRODUCTION).order_by("-pk").first()
    promotion = None
    if entered and entered.promotion_id:
        promotion = Promotion.objects.select_related("requested_by").get(pk=entered.promotion_id)
    given = (
        Approval.objects.filter(promotion=promotion, verdict="approve")
        if promotion
        else Approval.objects.none()
    )
    names = [a.by.get_username() for a in given.select_related("by").order_by("pk")]
    return Production(version, entered.at if entered else None, promotion, names)
