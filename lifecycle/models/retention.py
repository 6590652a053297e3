"""What is kept where, for how long, and what may not be moved."""

from __future__ import annotations

import uuid
from typing import ClassVar

import pgtrigger
from django.db import models

from lifecycle.models.guards import OfAKeptVersion
from registry.models import Blob, ModelVersion, Namespace, Tier, User
from registry.models.leases import Leased
from registry.models.triggers import Fixed, LegalEdges, NeverDeleted
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


class LegalHold(models.Model):
    """While it stands, the version's bytes are neither moved nor deleted."""

    redactable: ClassVar[tuple[str, ...]] = ("reason",)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="holds")
    reason = models.TextField()
    placed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    placed_at = models.DateTimeField(auto_now_add=True)
    lifted_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    lifted_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [
            NeverDeleted(),
            OfAKeptVersion("version_id", operation=pgtrigger.Insert),
            Fixed(["version_id", "reason", "placed_by_id", "placed_at"]),
            Fixed(["lifted_by_id", "lifted_at"], once="OLD.lifted_at IS NOT NULL", name="lifted_once"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="lifted_by_somebody",
                condition=models.Q(lifted_at=None, lifted_by=None)
                | models.Q(lifted_at__isnull=False, lifted_by__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"hold on {self.version.reference}"


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
