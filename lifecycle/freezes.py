"""Whether a stage is frozen for a model, until when and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lifecycle.approvals import tally
from lifecycle.models import FreezeWindow, Promotion, State
from registry.models import RegisteredModel


def standing(model: RegisteredModel, target: str, now: datetime) -> FreezeWindow | None:
    """The window that holds now; of several the one that ends last."""
    rows = FreezeWindow.objects.select_related("namespace", "model__namespace").standing(now)
    found: FreezeWindow | None = (
        rows.over(namespace=model.namespace_id, model=model.pk, target=target).order_by("-ends_at").first()
    )
    return found


def held(promotion: Promotion, now: datetime) -> FreezeWindow | None:
    """The window that this promotion waits for; None for a rollback, which no window holds up."""
    if promotion.kind == Promotion.Kind.ROLLBACK:
        return None
    return standing(promotion.version.model, promotion.target, now)


def told(target: str, about: str, ends_at: datetime, reason: str) -> str:
    """What is said of it: as "Production is frozen for team until 2026-12-27 06:00 UTC: year's end"."""
    where = "everywhere" if about == "everywhere" else f"for {about}"
    return f"{target.capitalize()} is frozen {where} until {ends_at:%Y-%m-%d %H:%M} UTC: {reason.rstrip('.')}"


def told_of(promotion: Promotion, window: FreezeWindow) -> str:
    """Why the promotion waits."""
    return told(promotion.target, window.about, window.ends_at, window.reason)


def may_take_effect(promotion: Promotion, now: datetime) -> bool:
    """Whether everything is given that is asked, and no freeze holds it up."""
    return held(promotion, now) is None and tally(promotion).complete


def approved_meanwhile(now: datetime) -> list[Any]:
    """The ids of promotions that were approved while their stage was frozen, and are not held up any more."""
    waiting = Promotion.objects.filter(state=State.AWAITING_APPROVAL, approvals__verdict="approve")
    rows = waiting.select_related("version__model__namespace").distinct()
    return [row.pk for row in rows if may_take_effect(row, now)]
