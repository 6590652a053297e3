"""When models in production have to be validated again, by the policies in force, and telling when that is overdue."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction

from lifecycle.gates import GATES
from lifecycle.gates.reviews import Clock, ReviewNotOverdue, clock_of
from lifecycle.models import OverdueReview, Policy
from lifecycle.policies import current
from registry.journal import record
from registry.models import SYSTEM, ModelVersion, Principal, RegisteredModel, Stage

GATE = ReviewNotOverdue.name


def standing(model: RegisteredModel) -> Clock | None:
    """The clock of a model by its production policy, the strictest when that has several; None where it has none, or
    nothing is in production."""
    if not ModelVersion.objects.filter(model=model, stage=Stage.PRODUCTION).exists():
        return None
    listed = [each for each in current(model, Stage.PRODUCTION).gates if each["gate"] == GATE]
    clocks = [clock_of(model, GATES[GATE].checked(each["parameters"], GATE)) for each in listed]
    return min((clock for clock in clocks if clock), key=lambda clock: clock.due_at, default=None)


def tell_overdue(now: datetime) -> int:
    """One event for each review that is overdue and of which that was not told yet; how many. Safe to repeat."""
    asking = Policy.objects.filter(
        target=Stage.PRODUCTION, state=Policy.State.PUBLISHED, gates__contains=[{"gate": GATE}]
    )
    models = RegisteredModel.objects.filter(
        namespace__in=asking.values("namespace"), versions__stage=Stage.PRODUCTION, deleted_at=None
    )
    told = 0
    for model in models.select_related("namespace").order_by("pk"):
        clock = standing(model)
        if clock is not None and clock.due_at <= now:
            told += _tell(model, clock, now)
    return told


def _tell(model: RegisteredModel, clock: Clock, now: datetime) -> int:
    if OverdueReview.objects.filter(model=model, due_at=clock.due_at).exists():
        return 0
    try:
        with transaction.atomic():
            OverdueReview.objects.create(model=model, due_at=clock.due_at, at=now)
            record(
                "model.review_overdue",
                subject=model,
                by=SYSTEM,
                namespace=model.namespace,
                reason=clock.sentence(now),
                after={
                    "version": clock.version.reference,
                    "due_at": clock.due_at.isoformat(),
                    "blocks_at": clock.blocks_at.isoformat(),
                },
                at=now,
            )
    except IntegrityError:
        return 0  # told by another sweep meanwhile
    return 1


def overdue(principal: Principal, now: datetime, most: int) -> list[Clock]:
    """The reviews that are overdue and were told, of models that the principal sees, the longest overdue first."""
    rows = OverdueReview.objects.visible_to(principal).filter(model__deleted_at=None)
    newest = rows.order_by("model", "-due_at").distinct("model").select_related("model__namespace")
    found = []
    for row in newest[:most]:
        clock = standing(row.model)
        if clock is not None and clock.state(now) != "current":
            found.append(clock)
    return sorted(found, key=lambda clock: clock.due_at)
