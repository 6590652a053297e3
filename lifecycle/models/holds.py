"""Legal holds: versions that nobody deletes or puts away, until two people agree that the reason is gone."""

from __future__ import annotations

import uuid
from typing import ClassVar

import pgtrigger
from django.db import models

from lifecycle.models.guards import OfAKeptVersion
from lifecycle.models.hold_guards import LiftDecidedByAnother, LiftedByTwo, OfAStandingHold
from registry.models import ModelVersion, User
from registry.models.immutability import AppendOnlyModel
from registry.models.triggers import AppendOnly, Fixed, NeverDeleted
from registry.models.visibility import scoped_by


class LegalHold(models.Model):
    """While it stands, the version's bytes are neither moved nor deleted. A version may stand under several, each for
    a case of its own: they are lifted one by one.

    `lifted_by` is who granted it, in the transaction of the decision.
    """

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
            LiftedByTwo(),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="lifted_by_somebody",
                condition=models.Q(lifted_at=None, lifted_by=None)
                | models.Q(lifted_at__isnull=False, lifted_by__isnull=False),
            ),
            models.CheckConstraint(name="hold_has_reason", condition=~models.Q(reason="")),
        ]
        indexes: ClassVar = [models.Index(fields=["-placed_at", "-id"], name="hold_newest_first")]

    def __str__(self) -> str:
        return f"{self.version.reference}: {self.reason}"


class HoldLift(AppendOnlyModel):
    """Somebody asks that a hold be lifted, and why. It does nothing until somebody else grants it."""

    redactable: ClassVar[tuple[str, ...]] = ("reason",)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    hold = models.ForeignKey(LegalHold, on_delete=models.PROTECT, related_name="lifts")
    reason = models.TextField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    objects = scoped_by("hold__version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly(), OfAStandingHold()]
        constraints: ClassVar = [
            models.CheckConstraint(name="hold_lift_has_reason", condition=~models.Q(reason=""))
        ]
        indexes: ClassVar = [models.Index(fields=["at"], name="hold_lift_oldest_first")]

    def __str__(self) -> str:
        return f"lift {self.hold}"


class HoldDecision(AppendOnlyModel):
    """Somebody else let the hold go, or kept it, and why."""

    redactable: ClassVar[tuple[str, ...]] = ("reason",)

    class Verdict(models.TextChoices):
        GRANT = "grant"
        REFUSE = "refuse"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lift = models.OneToOneField(HoldLift, on_delete=models.PROTECT, related_name="decision")
    verdict = models.CharField(max_length=6, choices=Verdict.choices)
    reason = models.TextField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    objects = scoped_by("lift__hold__version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly(), LiftDecidedByAnother()]
        constraints: ClassVar = [
            models.CheckConstraint(name="hold_decision_has_reason", condition=~models.Q(reason=""))
        ]
