"""Versions that are doubted: while a quarantine stands, its version enters neither staging nor production."""

from __future__ import annotations

import uuid
from typing import ClassVar

import pgtrigger
from django.db import models

from lifecycle.models.guards import LiftedByAnother, OfAKeptVersion
from registry.models import ModelVersion, User
from registry.models.immutability import AppendOnlyModel
from registry.models.triggers import AppendOnly
from registry.models.visibility import scoped_by


class Quarantine(AppendOnlyModel):
    """Somebody doubts a version, and why. It stands until it is lifted; a version may stand under several.

    The version's row is shared when it is written: of a quarantine and a stage that is entered at the same moment,
    whichever is second sees the first.
    """

    redactable: ClassVar[tuple[str, ...]] = ("reason", "found_by")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="quarantines")
    reason = models.TextField()
    # What was doubted, when the version was found by impact: {"dataset": [...], "commit": [...], ...}.
    found_by = models.JSONField(default=dict, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    objects = scoped_by("version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly(), OfAKeptVersion("version_id", operation=pgtrigger.Insert)]
        constraints: ClassVar = [
            models.CheckConstraint(name="quarantine_has_reason", condition=~models.Q(reason=""))
        ]
        indexes: ClassVar = [models.Index(fields=["-at", "-id"], name="quarantine_newest_first")]

    def __str__(self) -> str:
        return f"{self.version.reference}: {self.reason}"


class QuarantineLift(AppendOnlyModel):
    """Somebody else found that the version may be used again, and why."""

    redactable: ClassVar[tuple[str, ...]] = ("reason",)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    quarantine = models.OneToOneField(Quarantine, on_delete=models.PROTECT, related_name="lift")
    reason = models.TextField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    objects = scoped_by("quarantine__version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly(), LiftedByAnother()]
        constraints: ClassVar = [
            models.CheckConstraint(name="lift_has_reason", condition=~models.Q(reason=""))
        ]
