"""What is in production, since when, and on whose approval; and what runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from lifecycle import deployments
from lifecycle.deployments import Running
from lifecycle.models import Approval, Promotion
from lifecycle.production import Approved, approved_now
from registry.models import ModelVersion, RegisteredModel


@dataclass(frozen=True)
class Production:
    """The version that is in production. `promotion` is what brought it there, `approved_by` who allowed it."""

    version: ModelVersion
    since: datetime | None
    promotion: Promotion | None
    approved_by: list[str]


def production_of(model: RegisteredModel) -> Production | None:
    """What is in production now; None when nothing is."""
    approved = approved_now([model.pk]).get(model.pk, Approved())
    if approved.version is None:
        return None
    promotion = None
    if approved.promotion_id:
        promotion = Promotion.objects.select_related("requested_by").get(pk=approved.promotion_id)
    given = (
        Approval.objects.filter(promotion=promotion, verdict="approve")
        if promotion
        else Approval.objects.none()
    )
    names = [a.by.get_username() for a in given.select_related("by").order_by("pk")]
    return Production(approved.version, approved.since, promotion, names)


def running_of(model: RegisteredModel) -> list[Running]:
    """What every target is reported to run of a model, what must not run first."""
    found = deployments.running_now(deployments.ROWS.filter(model=model), timezone.now())
    return sorted(found, key=lambda each: (not each.loud, not each.drift, each.serves, each.target))


def running_version(version: ModelVersion) -> list[Running]:
    """Where a version is reported to run, what is wrong first."""
    found = deployments.running_now(deployments.ROWS.filter(version=version), timezone.now())
    return sorted(found, key=lambda each: (not each.loud, not each.drift, each.serves, each.target))
