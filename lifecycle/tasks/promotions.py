"""Evaluating gates in a worker: claimed by lease, repeated safely, swept when it was lost."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from lifecycle import promotions
from lifecycle.gates.evaluate import context_of, prepare
from lifecycle.models import OPEN, Promotion, State
from registry.models.leases import claim, free, release


@shared_task(name="lifecycle.evaluate_gates")
def evaluate_gates(*, promotion_id: str) -> None:
    """Do what the gates need done, then look at them and move the promotion on.

    A promotion that somebody works on is left alone: the sweep comes back when their lease has run out.
    """
    mine = Promotion.objects.filter(pk=promotion_id, state__in=OPEN)
    now = timezone.now()
    if not claim(mine, now=now):
        return
    try:
        promotion = mine.get()
        if promotion.state == State.EVALUATING:
            prepare(context_of(promotion, now))
        promotions.settle(promotion_id=promotion_id)
    finally:
        release(Promotion.objects.filter(pk=promotion_id, claimed_at=now))


@shared_task(name="lifecycle.sweep_promotions")
def sweep_promotions() -> None:
    """Start again what was lost: open promotions that nobody works on, evaluated again or found expired."""
    now = timezone.now()
    idle = Promotion.objects.filter(free(now), state=State.EVALUATING)
    expired = Promotion.objects.filter(free(now), state=State.AWAITING_APPROVAL, expires_at__lte=now)
    for promotion_id in idle.union(expired).values_list("pk", flat=True):
        evaluate_gates.delay(promotion_id=str(promotion_id))
