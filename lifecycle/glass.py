"""Broken glass that waits for its review, and telling when nobody reviewed it in time."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from lifecycle.models import BreakGlass
from registry.journal import record
from registry.models import SYSTEM


def unreviewed() -> QuerySet[BreakGlass]:
    """What nobody has reviewed yet."""
    return BreakGlass.objects.filter(reviewed_at=None).select_related(
        "promotion__version__model__namespace", "promotion__requested_by", "by"
    )


def tell_overdue(now: datetime) -> int:
    """One event for each review that is overdue and of which that was not told yet; how many."""
    told = 0
    late = unreviewed().filter(due_at__lte=now, overdue_at=None)
    for pk in list(late.values_list("pk", flat=True)):
        with transaction.atomic():
            row = late.select_for_update(of=("self",)).filter(pk=pk).first()
            if row is None:
                continue  # reviewed, or told by another sweep, meanwhile
            row.overdue_at = now
            row.save(update_fields=["overdue_at"])
            promotion = row.promotion
            record(
                "promotion.review_overdue",
                subject=promotion,
                by=SYSTEM,
                namespace=promotion.version.model.namespace,
                reason=f"nobody has reviewed within 24 h that {row.by.get_username()} broke the glass: {row.reason}",
                after={
                    "version": promotion.version.reference,
                    "target": promotion.target,
                    "broken_by": row.by.get_username(),
                    "due_at": row.due_at.isoformat(),
                },
                at=now,
            )
            told += 1
    return told
