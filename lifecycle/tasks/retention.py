"""Moving bytes between tiers, in workers: claimed by lease, repeated safely, swept when lost."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from celery import shared_task
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from lifecycle import retention, tiers
from lifecycle.models import RetentionPolicy, TierMove
from registry.artifacts.storage import StoreUnavailable
from registry.journal.enqueue import enqueue
from registry.models.leases import free

logger = logging.getLogger(__name__)
LOST_AFTER = timedelta(seconds=5)
SOFT, HARD = 6 * 3600 - 60, 6 * 3600


@shared_task(name="lifecycle.move_tier", soft_time_limit=SOFT, time_limit=HARD)
def move_tier(*, move_id: str) -> None:
    """Take one move as far as it goes; while the store is away it waits for the sweep."""
    try:
        tiers.move(UUID(move_id))
    except StoreUnavailable as error:
        logger.warning("tier move %s waits: %s", move_id, error.details)


@shared_task(name="lifecycle.sweep_tier_moves")
def sweep_tier_moves() -> None:
    """Start again what was lost, and finish moves whose grace is over."""
    now = timezone.now()
    lost = Q(state=TierMove.State.COPYING) & (Q(claims__gt=0) | Q(created_at__lt=now - LOST_AFTER))
    over = Q(state=TierMove.State.MOVED, moved_at__lte=now - tiers.grace())
    for pk in TierMove.objects.filter(free(now)).filter(lost | over).values_list("pk", flat=True):
        move_tier.delay(move_id=str(pk))


@shared_task(name="lifecycle.run_retention")
def run_retention() -> None:
    """Carry out every enabled policy."""
    for policy in RetentionPolicy.objects.filter(enabled=True).select_related("namespace"):
        with transaction.atomic():
            planned, moves = retention.start(policy)
            for move in moves:
                enqueue(move_tier.name, move_id=str(move.pk))
        if planned:
            logger.info("retention of %s: %s versions go cold", policy.namespace.name, len(planned))
