"""Runs: what was executed, with which code, parameters and environment, and what it measured."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Left

from lineage.models.packages import NotesPackages
from registry.models import Manifest, Namespace, User
from registry.models.immutability import AppendOnlyModel
from registry.models.triggers import AppendOnly, Fixed, NeverDeleted
from registry.models.visibility import scoped_by


class Lifecycle(models.TextChoices):
    """MLflow's soft delete: a deleted run or experiment is kept and can be restored."""

    ACTIVE = "active"
    DELETED = "deleted"


# What runs are found by in `impact`. The beginning only: no row of an index may be longer than a third of a page.
COMMIT = Left(KeyTextTransform("commit", "code"), 64)
IMAGE = Left(KeyTextTransform("image_digest", "environment"), 100)
PACKAGES = KeyTransform("packages", "environment")

# A reported run is what its events add up to: it changes with them, in the transaction that adds one.
WITHOUT_AN_EVENT = (
    "OLD.reported IS NULL OR NEW.reported IS NULL OR NOT EXISTS (SELECT 1 FROM lineage_lineageevent e "
    "WHERE e.run_id = OLD.id AND e.transaction = pg_current_xact_id()::text)"
)


class Experiment(models.Model):
    """A heading under which runs are kept."""

    redactable: ClassVar[tuple[str, ...]] = ("name", "tags")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="experiments")
    name = models.CharField(max_length=500)
    tags = models.JSONField(default=dict, blank=True)
    lifecycle = models.CharField(max_length=7, choices=Lifecycle.choices, default=Lifecycle.ACTIVE)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [NeverDeleted()]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["namespace", "name"], name="one_experiment_per_name")
        ]

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """One execution. What it is made of is fixed at its start; how it ended is written once."""

    redactable: ClassVar[tuple[str, ...]] = (
        "name",
        "entry_point",
        "command",
        "code",
        "environment",
        "config",
        "capture",
        "failure",
        "reported",
    )

    class Status(models.TextChoices):
        RUNNING = "running"
        SCHEDULED = "scheduled"
        FINISHED = "finished"
        FAILED = "failed"
        KILLED = "killed"

    sealable: ClassVar[bool] = True

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="runs")
    experiment = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="runs")
    name = models.CharField(max_length=500, blank=True, default="")
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.RUNNING)
    lifecycle = models.CharField(max_length=7, choices=Lifecycle.choices, default=Lifecycle.ACTIVE)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    entry_point = models.CharField(max_length=1000, blank=True, default="")
    command = models.JSONField(default=list, blank=True, help_text="list of strings")
    # {commit, remote, branch, dirty, diff_digest, untracked}; null: no repository was found.
    code = models.JSONField(null=True, blank=True)
    # {image_digest, python, os, packages: {name: version}, hardware: {}, lock_file: {path, digest},
    # seeds: {name: value}: those known at the start}
    environment = models.JSONField(default=dict, blank=True)
    # {path, digest, values}
    config = models.JSONField(null=True, blank=True)
    # {state: complete|incomplete|unknown, notes: [sentence], seeds: {name: value}}: how much of what was read could be
    # seen, and the seeds that were set while it went on.
    capture = models.JSONField(default=dict, blank=True)
    failure = models.TextField(blank=True, default="")
    # What events of other tools told of it, {run, job, parent, nominal_time, parameters}; null: it speaks for itself.
    reported = models.JSONField(null=True, blank=True)
    manifest = models.OneToOneField(Manifest, null=True, blank=True, on_delete=models.PROTECT)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [
            NeverDeleted(),
            Fixed(["id", "namespace_id", "created_by_id", "created_at"]),
            Fixed(
                [
                    "experiment_id",
                    "started_at",
                    "entry_point",
                    "command",
                    "code",
                    "environment",
                    "config",
                    "reported",
                ],
                once=WITHOUT_AN_EVENT,
                name="facts_fixed",
            ),
            Fixed(["capture"], once="OLD.capture <> '{}'::jsonb", name="capture_once"),
            NotesPackages(),
        ]
        indexes: ClassVar = [
            models.Index(fields=["namespace", "-started_at", "-id"], name="run_newest_first"),
            # This class of operators serves `LIKE 'abc%'` whatever the database's collation.
            models.Index(OpClass(COMMIT, name="text_pattern_ops"), name="run_commit"),
            models.Index(IMAGE, name="run_image"),
            GinIndex(OpClass(PACKAGES, name="jsonb_path_ops"), name="run_packages"),
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)[:8]

    @property
    def seeds(self) -> dict[str, str]:
        """Every seed that is known, by what it was given to, whether set before the run began or while it went on."""
        told = (facts.get("seeds") for facts in (self.environment, self.capture) if isinstance(facts, dict))
        return {name: value for seeds in told if isinstance(seeds, dict) for name, value in seeds.items()}

    @property
    def told_parameters(self) -> dict[str, str]:
        """The parameters that events told of a reported run; one that speaks for itself writes rows of its own."""
        told: dict[str, str] = (self.reported or {}).get("parameters", {})
        return told


class RunParameter(AppendOnlyModel):
    """A parameter: written once."""

    redactable: ClassVar[tuple[str, ...]] = ("key", "value")
    redactable_within: ClassVar[str] = "run__namespace_id"

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="parameters")
    key = models.CharField(max_length=250)
    value = models.TextField()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "key"], name="one_value_per_parameter")
        ]


class RunMetric(AppendOnlyModel):
    """One measurement. NaN and infinity are kept, as training makes them; evaluations refuse them."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="metrics")
    key = models.CharField(max_length=250)
    value = models.FloatField()
    step = models.BigIntegerField(default=0)
    timestamp = models.BigIntegerField(help_text="milliseconds since the epoch")

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["run", "key", "timestamp", "step", "value"], name="one_row_per_measurement"
            )
        ]


class LatestMetric(models.Model):
    """The newest value of each metric of a run: a cache for search, made from RunMetric."""

    redactable_within: ClassVar[str] = "run__namespace_id"
    stays: ClassVar[dict[str, str]] = {"key": "Policies and comparisons go by the names of metrics."}

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="latest_metrics")
    key = models.CharField(max_length=250)
    value = models.FloatField()
    step = models.BigIntegerField(default=0)
    timestamp = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "key"], name="one_latest_per_metric")]
        indexes: ClassVar = [models.Index(fields=["key", "value"], name="latest_metric_value")]


class RunTag(models.Model):
    """A tag: overwritten freely."""

    redactable: ClassVar[tuple[str, ...]] = ("key", "value")
    redactable_within: ClassVar[str] = "run__namespace_id"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="run_tags")
    key = models.CharField(max_length=250)
    value = models.TextField(blank=True, default="")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "key"], name="one_value_per_run_tag")]


class LoggedModel(models.Model):
    """A model that a run wrote, before anybody registers it. A version then points to the same manifest."""

    redactable: ClassVar[tuple[str, ...]] = ("name", "model_type", "parameters", "tags")

    class Status(models.TextChoices):
        PENDING = "pending"
        READY = "ready"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    experiment = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="logged_models")
    run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="logged_models")
    name = models.CharField(max_length=500)
    model_type = models.CharField(max_length=200, blank=True, default="")
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.PENDING)
    manifest = models.ForeignKey(Manifest, on_delete=models.PROTECT, related_name="logged_models")
    parameters = models.JSONField(default=dict, blank=True)
    tags = models.JSONField(default=dict, blank=True)
    lifecycle = models.CharField(max_length=7, choices=Lifecycle.choices, default=Lifecycle.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = scoped_by("experiment__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [NeverDeleted()]
