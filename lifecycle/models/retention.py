"""What is kept where, and for how long."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from registry.models import Blob, ModelVersion, Namespace, Tier
from registry.models.leases import Leased
from registry.models.triggers import LegalEdges
from registry.models.visibility import scoped_by


class RetentionPolicy(models.Model):
    """When the bytes of archived and deprecated versions move to the cold location."""

    namespace = models.OneToOneField(Namespace, on_delete=models.PROTECT, related_name="retention")
    after_days = models.PositiveIntegerField(default=90)
    # The newest former productions stay hot: they are what one rolls back to.
    keep_former = models.PositiveIntegerField(default=2)
    enabled = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        verbose_name_plural = "retention policies"

    def __str__(self) -> str:
        return f"retention of {self.namespace}"


class TierMove(Leased):
    """A blob on its way between locations: copied, verified there, committed, and the old copy deleted."""

    class State(models.TextChoices):
        COPYING = "copying"
        MOVED = "moved"  # the blob is at its new tier; the old copy is still there
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="tier_moves")
    # The version for whose sake it moves.
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="tier_moves")
    to_tier = models.CharField(max_length=4, choices=Tier.choices)
    state = models.CharField(max_length=7, choices=State.choices, default=State.COPYING)
    error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    moved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        triggers: ClassVar = [
            LegalEdges("state", [("copying", "moved"), ("copying", "failed"), ("moved", "done")], ["copying"])
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["blob"], condition=models.Q(state__in=["copying", "moved"]), name="one_move_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.version.reference} to {self.to_tier}"
