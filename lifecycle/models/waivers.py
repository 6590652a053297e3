"""Waivers: a gate's result that two people let stand in spite of what it says, why, and until when."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from lifecycle.models.promotions import GateResult
from lifecycle.models.waiver_guards import GrantedByAnother, Waivable
from registry.models import User
from registry.models.immutability import AppendOnlyModel
from registry.models.triggers import AppendOnly
from registry.models.visibility import scoped_by


class Waiver(AppendOnlyModel):
    """Somebody asks that this result be let stand. It does nothing until somebody else grants it.

    Granted, it speaks of the version, the stage, the gate with its parameters and the evidence that the result has:
    where the gate finds something else, it finds it in spite of the waiver.
    """

    redactable: ClassVar[tuple[str, ...]] = ("reason",)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    result = models.ForeignKey(GateResult, on_delete=models.PROTECT, related_name="waivers")
    reason = models.TextField()
    until = models.DateTimeField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    objects = scoped_by("result__promotion__version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly(), Waivable()]
        constraints: ClassVar = [
            models.CheckConstraint(name="waiver_has_reason", condition=~models.Q(reason=""))
        ]
        indexes: ClassVar = [models.Index(fields=["-at", "-id"], name="waiver_newest_first")]

    def __str__(self) -> str:
        return f"{self.result.key} of {self.result.promotion}"


class WaiverDecision(AppendOnlyModel):
    """Somebody else let it stand, or did not, and why."""

    redactable: ClassVar[tuple[str, ...]] = ("reason",)

    class Verdict(models.TextChoices):
        GRANT = "grant"
        REFUSE = "refuse"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    waiver = models.OneToOneField(Waiver, on_delete=models.PROTECT, related_name="decision")
    verdict = models.CharField(max_length=6, choices=Verdict.choices)
    reason = models.TextField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    objects = scoped_by("waiver__result__promotion__version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly(), GrantedByAnother()]
        constraints: ClassVar = [
            models.CheckConstraint(name="waiver_decision_has_reason", condition=~models.Q(reason=""))
        ]
