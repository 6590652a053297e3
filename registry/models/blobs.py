"""Bytes: blobs by digest, manifests that name them, and the uploads they arrive by."""

from __future__ import annotations

import uuid
from typing import ClassVar

import pgtrigger
from django.db import models

from registry.models.immutability import SealedModel
from registry.models.people import Namespace, User
from registry.models.triggers import Always, Fixed, LegalEdges, refuse
from registry.models.visibility import scoped_by


class Tier(models.TextChoices):
    HOT = "hot"
    COLD = "cold"


class Blob(models.Model):
    """Bytes by their sha256 (64 hex digits). Where they lie changes; what they are does not."""

    class State(models.TextChoices):
        LIVE = "live"
        CONDEMNED = "condemned"
        GONE = "gone"

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.BigIntegerField(help_text="bytes")
    tier = models.CharField(max_length=4, choices=Tier.choices, default=Tier.HOT)
    state = models.CharField(max_length=9, choices=State.choices, default=State.LIVE)
    verified_at = models.DateTimeField(null=True, blank=True, db_index=True)
    quarantined_at = models.DateTimeField(null=True, blank=True)
    quarantine_reason = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers: ClassVar = [Fixed(["sha256", "size", "created_at"], constraint="blob_is_content")]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="blob_digest_is_sha256", condition=models.Q(sha256__regex=r"^[0-9a-f]{64}$")
            ),
            models.CheckConstraint(name="blob_size_not_negative", condition=models.Q(size__gte=0)),
        ]

    def __str__(self) -> str:
        return f"sha256:{self.sha256}"


class Manifest(SealedModel):
    """A set of named files. Open while it is filled; sealed, it has a digest and never changes again."""

    class State(models.TextChoices):
        OPEN = "open"
        SEALED = "sealed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT)
    state = models.CharField(max_length=6, choices=State.choices, default=State.OPEN)
    # sha256 of the canonical JSON (CONTRACTS: it binds the names), and the OpenSSF subject digest, both hex.
    digest = models.CharField(max_length=64, null=True, blank=True, db_index=True)
    oms_digest = models.CharField(max_length=64, null=True, blank=True)
    size = models.BigIntegerField(default=0, help_text="bytes, all files")
    files = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    sealed_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [
            Fixed(
                ["namespace_id", "state", "digest", "oms_digest", "size", "files", "created_at", "sealed_at"],
                once="OLD.state = 'sealed'",
            ),
            Always(
                name="sealed_stays",
                when=pgtrigger.Before,
                operation=pgtrigger.Delete,
                func=(
                    "IF OLD.state = 'sealed' THEN "
                    f"{refuse('sealed', 'a sealed manifest is never deleted')} END IF; RETURN OLD;"
                ),
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="sealed_manifest_has_digests",
                condition=models.Q(state="open", sealed_at=None)
                | models.Q(
                    state="sealed", digest__isnull=False, oms_digest__isnull=False, sealed_at__isnull=False
                ),
            )
        ]


class Artifact(SealedModel):
    """A path in a manifest, and the blob that lies there."""

    manifest = models.ForeignKey(Manifest, on_delete=models.PROTECT, related_name="artifacts")
    path = models.CharField(max_length=1024)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="artifacts")

    objects = scoped_by("manifest__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [
            Always(
                name="manifest_open",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
                declare=[("held", "text")],
                func=(
                    "SELECT state INTO held FROM registry_manifest WHERE id = "
                    "CASE TG_OP WHEN 'INSERT' THEN NEW.manifest_id ELSE OLD.manifest_id END; "
                    f"IF held = 'sealed' THEN {refuse('sealed', 'the manifest is sealed')} END IF; "
                    "IF TG_OP = 'UPDATE' AND NEW.manifest_id <> OLD.manifest_id THEN "
                    f"{refuse('sealed', 'an artifact stays in its manifest')} END IF; "
                    "IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW;"
                ),
            )
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["manifest", "path"], name="one_artifact_per_path")
        ]


class Upload(models.Model):
    """Files on their way: what was announced, and where in the store's staging area it is put."""

    class State(models.TextChoices):
        OPEN = "open"
        COMPLETED = "completed"
        ABORTED = "aborted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT)
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN)
    part_size = models.PositiveIntegerField(help_text="bytes")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    # Set when everything has arrived; verified and sealed by `registry.artifacts.publish`.
    manifest = models.OneToOneField(Manifest, null=True, blank=True, on_delete=models.PROTECT)
    reaped_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [
            LegalEdges("state", [("open", "completed"), ("open", "aborted")], ["open"]),
        ]


class UploadFile(models.Model):
    """One announced file of an upload: what the client says it is, checked before it becomes a blob."""

    class Status(models.TextChoices):
        PRESENT = "present"  # the namespace holds these bytes: nothing is sent
        WANTED = "wanted"
        RECEIVED = "received"

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="files")
    index = models.PositiveIntegerField()
    path = models.CharField(max_length=1024)
    size = models.BigIntegerField(help_text="bytes")
    sha256 = models.CharField(max_length=64)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.WANTED)
    # Chosen by us, never from the client's text; empty when nothing is sent.
    staging_key = models.CharField(max_length=255, blank=True, default="")
    s3_upload_id = models.CharField(max_length=512, blank=True, default="")
    # {part number: sha256} for which addresses were signed: stores ask for them again when parts are joined.
    part_digests = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering: ClassVar = ["index"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["upload", "index"], name="one_file_per_index"),
            models.UniqueConstraint(fields=["upload", "path"], name="one_file_per_path"),
        ]
