"""Which legal holds a version stands under, and what is asked about them."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet

from lifecycle.models import HoldLift, LegalHold
from registry.models import ModelVersion

STANDING, LIFT_ASKED, LIFTED = "standing", "lift_asked", "lifted"
STATES = (STANDING, LIFT_ASKED, LIFTED)


def hold_rows() -> QuerySet[LegalHold]:
    """Holds with all that is told of them, in a constant number of queries."""
    lifts = HoldLift.objects.select_related("by", "decision__by").order_by("at", "pk")
    return LegalHold.objects.select_related(
        "version__model__namespace", "placed_by", "lifted_by"
    ).prefetch_related(Prefetch("lifts", lifts))


def standing(version: ModelVersion) -> list[LegalHold]:
    """Those that the version stands under, the oldest first."""
    return list(hold_rows().filter(version=version, lifted_at=None).order_by("placed_at", "pk"))


def waiting() -> QuerySet[HoldLift]:
    """That a hold be lifted, asked and not decided, the oldest first."""
    rows: QuerySet[HoldLift] = HoldLift.objects.filter(decision=None, hold__lifted_at=None)
    return rows.select_related("hold__version__model__namespace", "hold__placed_by", "by").order_by(
        "at", "pk"
    )


def open_lift(hold: LegalHold) -> HoldLift | None:
    """That it be lifted, as somebody asks and nobody has decided."""
    return next((lift for lift in hold.lifts.all() if not hasattr(lift, "decision")), None)


def state_of(hold: LegalHold) -> str:
    """One of STATES; a hold whose lift is asked for stands all the same."""
    if hold.lifted_at is not None:
        return LIFTED
    return LIFT_ASKED if open_lift(hold) else STANDING


def in_state(rows: Any, state: str | None) -> Any:
    """Those in this state; `standing` are all that stand, asked about or not. What is no state leaves all."""
    match state:
        case "standing":
            return rows.filter(lifted_at=None)
        case "lift_asked":
            return rows.filter(lifted_at=None, pk__in=waiting().order_by().values("hold"))
        case "lifted":
            return rows.filter(lifted_at__isnull=False)
    return rows
