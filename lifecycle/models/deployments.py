"""What runs where, as pipelines and serving report it, beside what is approved."""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import ClassVar

from django.db import models

from registry.models import ModelVersion, RegisteredModel, Stage, User
from registry.models.immutability import AppendOnlyModel
from registry.models.people import name_is_valid
from registry.models.triggers import AppendOnly, Fixed, NeverDeleted
from registry.models.visibility import scoped_by

SERVES = [(Stage.PRODUCTION.value, "production"), (Stage.STAGING.value, "staging")]


class Drift(StrEnum):
    """What can be wrong with what runs."""

    # What must not be used runs: it was suspended, deprecated or deleted.
    OUT_OF_USE = "out_of_use"
    UNDER_QUARANTINE = "under_quarantine"
    # The bytes are not those of the version that it says it runs.
    OTHER_BYTES = "other_bytes"
    # It is not what is in production; or, where staging's versions belong, in neither stage.
    NOT_APPROVED = "not_approved"
    # It has not reported for longer than it promised to.
    SILENT = "silent"


class Deployment(models.Model):
    """A place where a model runs: one version at a time, as it was last reported.

    Nothing is refused here for being wrong: what runs is told as it is, and `drift` says what is wrong with it.
    """

    redactable: ClassVar[tuple[str, ...]] = ("drift_sentence",)
    stays: ClassVar[dict[str, str]] = {
        "target": "It is what reports: take it away, and report under another."
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="deployments")
    target = models.CharField(max_length=100, validators=[name_is_valid])
    # The stage whose versions belong there.
    serves = models.CharField(max_length=10, choices=SERVES, default=Stage.PRODUCTION.value)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="deployments")
    digest = models.CharField(max_length=64, help_text="sha256 of what runs, which should be the version's")
    # Seconds within which it reports again; None: nobody promised to, so its silence says nothing.
    interval = models.PositiveIntegerField(null=True, blank=True)
    reporter = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    # Since when this version with this digest has run there; a silence does not begin it anew.
    since = models.DateTimeField()
    last_seen = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)
    # What is wrong and was told in an event: the kinds of drift, and the sentence of the last event.
    drift = models.JSONField(default=list, blank=True)
    drift_sentence = models.TextField(blank=True, default="")
    drifted_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [NeverDeleted(), Fixed(["id", "model_id", "target"])]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["model", "target"], name="one_deployment_per_target"),
            models.CheckConstraint(
                name="drift_has_a_beginning",
                condition=models.Q(drift=[], drifted_at=None)
                | (~models.Q(drift=[]) & models.Q(drifted_at__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} at {self.target}"


class DeploymentChange(AppendOnlyModel):
    """Every change of what runs at a target, and of whether it is as it should be. No row for a heartbeat."""

    # It may quote why a version was suspended or put under quarantine.
    redactable: ClassVar[tuple[str, ...]] = ("sentence",)

    class What(models.TextChoices):
        # Reported for the first time, or as something else than before: version, digest, purpose, reporter.
        DEPLOYED = "deployed"
        UNDEPLOYED = "undeployed"
        DRIFTED = "drifted"
        SETTLED = "settled"

    id = models.BigAutoField(primary_key=True)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="changes")
    what = models.CharField(max_length=10, choices=What.choices)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    serves = models.CharField(max_length=10, choices=SERVES)
    interval = models.PositiveIntegerField(null=True, blank=True)
    since = models.DateTimeField()
    # When what was there before this change was last reported: until then it is known to have run.
    seen_before = models.DateTimeField(null=True, blank=True)
    drift = models.JSONField(default=list, blank=True)
    sentence = models.TextField(blank=True, default="")
    # None: found by a sweep.
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    objects = scoped_by("deployment__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        indexes: ClassVar = [
            models.Index(fields=["deployment", "-id"], name="deployment_change_newest"),
            models.Index(fields=["version", "what"], name="deployment_change_of_version"),
        ]

    def __str__(self) -> str:
        return f"{self.deployment}: {self.what}"
