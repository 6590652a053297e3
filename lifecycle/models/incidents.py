"""Incidents: something is wrong with a model or a version of it, until somebody says what became of it."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from registry.models import ModelVersion, RegisteredModel, User
from registry.models.triggers import Fixed, NeverDeleted
from registry.models.visibility import scoped_by


class Severity(models.TextChoices):
    """How bad it is, from bad to worst: a policy says from where on it stands in the way."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Incident(models.Model):
    """Something is wrong with one version, or with the model whatever the version. It is opened once and closed once.

    It takes nothing out of production: that is a rollback or a suspension. It stands in the way of promotions whose
    policy asks that none be open.
    """

    redactable: ClassVar[tuple[str, ...]] = ("title", "detail", "resolution")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="incidents")
    # None: of the model, whatever the version.
    version = models.ForeignKey(ModelVersion, null=True, on_delete=models.PROTECT, related_name="incidents")
    severity = models.CharField(max_length=8, choices=Severity.choices)
    title = models.CharField(max_length=200)
    detail = models.TextField(blank=True, default="")
    opened_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    resolution = models.TextField(blank=True, default="", help_text="what became of it")
    closed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [
            NeverDeleted(),
            Fixed(
                ["id", "model_id", "version_id", "severity", "title", "detail", "opened_by_id", "opened_at"]
            ),
            Fixed(
                ["resolution", "closed_by_id", "closed_at"],
                once="OLD.closed_at IS NOT NULL",
                name="closed_once",
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(name="incident_has_title", condition=~models.Q(title="")),
            models.CheckConstraint(
                name="closed_by_somebody_who_says_why",
                condition=models.Q(closed_at=None, closed_by=None, resolution="")
                | models.Q(closed_at__isnull=False, closed_by__isnull=False) & ~models.Q(resolution=""),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-opened_at", "-id"], name="incident_newest_first"),
            models.Index(fields=["model"], condition=models.Q(closed_at=None), name="incident_open"),
        ]

    def __str__(self) -> str:
        return f"{self.about}: {self.title}"

    @property
    def about(self) -> str:
        """The version, or the model, as people call it."""
        return self.version.reference if self.version else str(self.model)
