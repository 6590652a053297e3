"""Registered models, their versions, the stages those have been in, and the aliases that point at them."""

from __future__ import annotations

import uuid
from typing import ClassVar

import pgtrigger
from django.db import models
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from registry.models.blobs import Manifest
from registry.models.immutability import AppendOnlyModel, SealedModel
from registry.models.leases import Leased
from registry.models.people import Namespace, User, name_is_valid
from registry.models.stages import EDGES, Stage, Staged
from registry.models.triggers import Always, AppendOnly, Fixed, LegalEdges, NeverDeleted, refuse
from registry.models.visibility import scoped_by


class RegisteredModel(models.Model):
    """A name under which versions are kept, and what a person answers for."""

    redactable: ClassVar[tuple[str, ...]] = (
        "task",
        "description",
        "card",
        "tags",
        "intended_use",
        "excluded_use",
        "regulatory_class",
        "supplier",
    )
    stays: ClassVar[dict[str, str]] = {
        "name": "It is what people call the model: delete its versions, use another.",
        "risk_tier": "Rules go by it: edit the model.",
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="models")
    name = models.CharField(max_length=100, validators=[name_is_valid])
    task = models.CharField(max_length=100, blank=True, default="")
    description = models.TextField(blank=True, default="")
    card = models.TextField(blank=True, default="", help_text="Markdown")
    tags = models.JSONField(default=dict, blank=True)
    owner = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    intended_use = models.TextField(blank=True, default="")
    excluded_use = models.TextField(blank=True, default="")
    risk_tier = models.CharField(max_length=40, blank=True, default="")
    regulatory_class = models.CharField(max_length=100, blank=True, default="")
    supplier = models.CharField(max_length=200, blank=True, default="")
    review_interval_days = models.PositiveIntegerField(null=True, blank=True)
    # The number the next version gets; numbers are never used twice.
    next_number = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [NeverDeleted(), Fixed(["namespace_id", "created_by_id", "created_at"])]
        default_permissions = ()
        permissions: ClassVar = [("model.review", "decide promotions of this model")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["namespace", "name"], name="one_model_per_name")
        ]

    def __str__(self) -> str:
        return f"{self.namespace.name}/{self.name}"


class RegisteredModelGroupPermission(GroupObjectPermissionBase):
    """Reviewers designated on one model."""

    content_object = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE)

    class Meta(GroupObjectPermissionBase.Meta):
        abstract = False


class RegisteredModelUserPermission(UserObjectPermissionBase):
    """A person designated as reviewer on one model."""

    content_object = models.ForeignKey(RegisteredModel, on_delete=models.CASCADE)

    class Meta(UserObjectPermissionBase.Meta):
        abstract = False


class ModelVersion(Leased, SealedModel, Staged):
    """One version of a model. From `ready` on, what it is and where it came from cannot change."""

    redactable: ClassVar[tuple[str, ...]] = (
        "status_message",
        "schema",
        "parameters",
        "description",
        "tags",
        "completeness",
    )

    class Status(models.TextChoices):
        PENDING = "pending"
        VERIFYING = "verifying"
        READY = "ready"
        FAILED = "failed"
        DELETED = "deleted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING)
    status_message = models.TextField(blank=True, default="")
    manifest = models.ForeignKey(Manifest, on_delete=models.PROTECT, related_name="versions")
    format = models.CharField(max_length=40, blank=True, default="")
    schema = models.JSONField(null=True, blank=True, help_text="signature: inputs and outputs")
    parameters = models.JSONField(default=dict, blank=True, help_text="snapshot of the run's parameters")
    description = models.TextField(blank=True, default="")
    tags = models.JSONField(default=dict, blank=True)
    # The run that made it (lineage.Run), by id: what a version is does not depend on the wing above.
    run_id = models.UUIDField(null=True, blank=True, db_index=True)
    # How much of its making is recorded: told again when the run that made it ends. A summary, not a fact.
    completeness = models.JSONField(default=dict, blank=True, help_text="state, missing, notes")
    # The worst of what a scan found in its files, and by which release of the scanner: a summary of the reports.
    safety = models.CharField(max_length=11, blank=True, default="")
    scanned_with = models.CharField(max_length=20, blank=True, default="")
    # Bytes are re-hashed on request; this says until when the request stands.
    verify_requested_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    # A tombstone: who deleted it and why is in the journal, what it was stays here.
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [
            NeverDeleted(),
            Fixed(
                ["id", "model_id", "number", "manifest_id", "created_by_id", "created_at"], name="identity"
            ),
            Fixed(
                ["format", "schema", "parameters", "run_id", "ready_at"],
                once="OLD.status IN ('ready', 'deleted')",
            ),
            Fixed(["status", "deleted_at"], once="OLD.status = 'deleted'", name="deleted_stays"),
            LegalEdges(
                "status",
                [
                    ("pending", "verifying"),
                    ("pending", "failed"),
                    ("verifying", "ready"),
                    ("verifying", "failed"),
                    ("ready", "deleted"),
                    ("failed", "deleted"),
                ],
                ["pending", "verifying"],
                name="legal_status",
            ),
            LegalEdges("stage", EDGES, [Stage.DEVELOPMENT], name="legal_stage"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["model", "number"], name="one_version_per_number"),
            models.UniqueConstraint(
                fields=["model"], condition=models.Q(stage=Stage.PRODUCTION), name="one_production"
            ),
            models.CheckConstraint(
                name="deleted_has_a_time",
                condition=models.Q(status="deleted", deleted_at__isnull=False)
                | (~models.Q(status="deleted") & models.Q(deleted_at=None)),
            ),
            # Nothing that runs or is about to is deleted; who else refers to it is asked when it is.
            models.CheckConstraint(
                name="nothing_in_use_is_deleted",
                condition=~models.Q(status="deleted", stage__in=[Stage.STAGING, Stage.PRODUCTION]),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-created_at", "-id"], name="version_newest_first"),
            models.Index(
                fields=["status"], condition=models.Q(status="verifying"), name="version_being_verified"
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        """`namespace/model:number`."""
        return f"{self.model}:{self.number}"


class StageChange(AppendOnlyModel):
    """Every move of a version between stages. `promotion_id` is that of lifecycle.Promotion, when one made it."""

    redactable: ClassVar[tuple[str, ...]] = ("reason",)

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="stage_changes")
    from_stage = models.CharField(max_length=11, choices=Stage.choices)
    to_stage = models.CharField(max_length=11, choices=Stage.choices)
    move = models.CharField(max_length=20)
    promotion_id = models.UUIDField(null=True, blank=True, db_index=True)
    reason = models.TextField(blank=True, default="")
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_index=True)

    objects = scoped_by("version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]


class ProductionAlias(Always):
    """A protected alias points at the version that is in production, and stays while one is."""

    name = "production_alias"
    when = pgtrigger.Before
    operation = pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete
    declare = [("stood", "text")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF TG_OP <> 'DELETE' AND NOT EXISTS (SELECT 1 FROM registry_modelversion
                WHERE id = NEW.version_id AND model_id = NEW.model_id) THEN
                {refuse("alias_of_its_model", "% points at a version of its own model", "NEW.name")}
            END IF;
            IF TG_OP <> 'DELETE' AND NEW.protected THEN
                SELECT stage INTO stood FROM registry_modelversion WHERE id = NEW.version_id;
                IF stood <> 'production' THEN
                    {refuse("alias_is_protected", "% points at the production version only", "NEW.name")}
                END IF;
            END IF;
            IF TG_OP <> 'INSERT' AND OLD.protected AND (TG_OP = 'DELETE' OR NOT NEW.protected
                OR NEW.name <> OLD.name OR NEW.model_id <> OLD.model_id) THEN
                SELECT stage INTO stood FROM registry_modelversion WHERE id = OLD.version_id;
                IF stood = 'production' THEN
                    {refuse("alias_is_protected", "% is moved by a promotion only", "OLD.name")}
                END IF;
            END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW;
        """


class Alias(models.Model):
    """A movable pointer. A protected one (`production`) is moved only by a promotion."""

    stays: ClassVar[dict[str, str]] = {"name": "It is what people call the version: remove the alias."}

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="aliases")
    name = models.CharField(max_length=100, validators=[name_is_valid])
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="aliases")
    protected = models.BooleanField(default=False)
    moved_at = models.DateTimeField()

    objects = scoped_by("model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [ProductionAlias()]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["model", "name"], name="one_alias_per_name"),
            models.CheckConstraint(
                name="production_is_protected",
                condition=~models.Q(name="production") | models.Q(protected=True),
            ),
            # `latest` and `v3` would read as version numbers.
            models.CheckConstraint(
                name="alias_is_not_reserved", condition=~models.Q(name__iregex=r"^(latest|v[0-9]+)$")
            ),
        ]


class AliasMove(AppendOnlyModel):
    """Where an alias has pointed. `to_version` is null when it was taken away."""

    stays: ClassVar[dict[str, str]] = {"name": "History goes by the names that people used."}

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="alias_moves")
    name = models.CharField(max_length=100)
    from_version = models.ForeignKey(ModelVersion, null=True, on_delete=models.PROTECT, related_name="+")
    to_version = models.ForeignKey(ModelVersion, null=True, on_delete=models.PROTECT, related_name="+")
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    objects = scoped_by("model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
