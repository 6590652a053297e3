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

# Larger files may be announced without their digest, which is said when they have been sent.
HASHED_FIRST = 64 * 1024 * 1024


class Tier(models.TextChoices):
    HOT = "hot"
    COLD = "cold"


class StillNeeded(Always):
    """A blob that a manifest needs is neither condemned nor gone, whoever says so."""

    name = "still_needed"
    when = pgtrigger.Before
    operation = pgtrigger.Update

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF NEW.state <> OLD.state AND NEW.state <> 'live' AND EXISTS (
                SELECT 1 FROM registry_artifact a JOIN registry_manifest m ON m.id = a.manifest_id
                WHERE a.blob_id = NEW.sha256 AND m.released_at IS NULL
            ) THEN {refuse("blob_is_needed", "a manifest needs %", "NEW.sha256")} END IF;
            RETURN NEW;
        """


class ReleasedForGood(Always):
    """A manifest is released once, when every version made of it is deleted, and never needed again."""

    name = "released_for_good"
    when = pgtrigger.Before
    operation = pgtrigger.Update

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF OLD.released_at IS NOT NULL AND NEW.released_at IS DISTINCT FROM OLD.released_at THEN
                {refuse("released", "a manifest is released once")}
            END IF;
            IF OLD.released_at IS NULL AND NEW.released_at IS NOT NULL AND EXISTS (
                SELECT 1 FROM registry_modelversion v
                WHERE v.manifest_id = NEW.id AND v.status NOT IN ('deleted', 'failed')
            ) THEN {refuse("manifest_in_use", "a version is made of it")} END IF;
            RETURN NEW;
        """


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
    # Since when no manifest needs it; null while it is live.
    condemned_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers: ClassVar = [
            Fixed(["sha256", "size", "created_at"], constraint="blob_is_content"),
            LegalEdges(
                "state",
                [("live", "condemned"), ("condemned", "live"), ("condemned", "gone"), ("gone", "live")],
                ["live"],
            ),
            StillNeeded(),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["condemned_at"], condition=models.Q(state="condemned"), name="blob_condemned"
            )
        ]
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
    # When the last version made of it was deleted: what it names is remembered, its bytes need not be kept.
    released_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [
            Fixed(
                ["namespace_id", "state", "digest", "oms_digest", "size", "files", "created_at", "sealed_at"],
                once="OLD.state = 'sealed'",
            ),
            ReleasedForGood(),
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

    stays: ClassVar[dict[str, str]] = {"path": "The manifest's digest binds it: delete the version."}

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
    # sha256 over what was announced: who announces the same again goes on with this upload.
    announced = models.CharField(max_length=64, blank=True, default="")
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
        indexes: ClassVar = [
            models.Index(
                fields=["created_by", "announced"], condition=models.Q(state="open"), name="upload_going_on"
            )
        ]


class UploadFile(models.Model):
    """One thing to be sent: an announced file, or a pack, in which small files travel one after another.

    What the client says a file is, is checked before it becomes a blob. A pack's path is none that a file can
    have (`/pack/1`), and it has no digest of its own.
    """

    redactable_within: ClassVar[str] = "upload__namespace_id"
    stays: ClassVar[dict[str, str]] = {"path": "It is what is sent: abort the upload, or delete the version."}

    class Status(models.TextChoices):
        PRESENT = "present"  # the namespace holds these bytes: nothing is sent
        WANTED = "wanted"
        RECEIVED = "received"

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="files")
    index = models.PositiveIntegerField()
    path = models.CharField(max_length=1024)
    size = models.BigIntegerField(help_text="bytes")
    # Empty for a pack, and for a large file until it has been sent.
    sha256 = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.WANTED)
    # The pack that a small file travels in, and where in it the file begins.
    pack = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="packed")
    offset = models.BigIntegerField(null=True, blank=True, help_text="bytes")
    # Chosen by us, never from the client's text; empty when nothing is sent.
    staging_key = models.CharField(max_length=255, blank=True, default="")
    s3_upload_id = models.CharField(max_length=512, blank=True, default="")
    # {part number: sha256} for which addresses were signed: stores ask for them again when parts are joined.
    part_digests = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering: ClassVar = ["index"]
        indexes: ClassVar = [models.Index(fields=["sha256"], name="upload_file_claims")]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="packed_file_has_offset",
                condition=models.Q(pack=None, offset=None) | models.Q(pack__isnull=False, offset__gte=0),
            ),
            models.UniqueConstraint(fields=["upload", "index"], name="one_file_per_index"),
            models.UniqueConstraint(fields=["upload", "path"], name="one_file_per_path"),
        ]
