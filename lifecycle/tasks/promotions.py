"""Evaluating gates in a worker: claimed by lease, repeated safely, swept when it was lost."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from lifecycle import freezes, glass, promotions
from lifecycle.gates.evaluate import context_of, prepare
from lifecycle.models import OPEN, Promotion, State
from registry.artifacts.heartbeat import working_on
from registry.models.leases import free


# Reading a large version again takes as long as it takes; the lease is renewed meanwhile.
@shared_task(name="lifecycle.evaluate_gates", soft_time_limit=6 * 3600 - 60, time_limit=6 * 3600)
def evaluate_gates(*, promotion_id: str) -> None:
    """Do what the gates need done, then look at them and move the promotion on.

    A promotion that somebody works on is left alone: the sweep comes back when their lease has run out.
    """
    mine = Promotion.objects.filter(pk=promotion_id, state__in=OPEN)
    with working_on(mine) as claimed:
        if not claimed:
            return
        promotion = mine.get()
        if promotion.state == State.EVALUATING:
            prepare(context_of(promotion, timezone.now()))
        promotions.settle(promotion_id=promotion_id)


@shared_task(name="lifecycle.sweep_promotions")
def sweep_promotions() -> None:
    """Start again what was lost: open promotions that nobody works on, evaluated again or found expired. Put into
    effect what was approved while its stage was frozen, when that is over. Tell of reviews that are overdue."""
    now = timezone.now()
    glass.tell_overdue(now)
    idle = Promotion.objects.filter(free(now), state=State.EVALUATING)
    expired = Promotion.objects.filter(free(now), state=State.AWAITING_APPROVAL, expires_at__lte=now)
    found = {*idle.union(expired).values_list("pk", flat=True), *freezes.approved_meanwhile(now)}
    for promotion_id in sorted(found):
        evaluate_gates.delay(promotion_id=str(promotion_id))
