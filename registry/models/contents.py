"""What is known of bytes beside their digest: what a scan found in them, and the documents kept with a version."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from registry.models.blobs import Blob
from registry.models.catalog import ModelVersion
from registry.models.immutability import AppendOnlyModel
from registry.models.people import Namespace, User
from registry.models.triggers import AppendOnly, Fixed, NeverDeleted
from registry.models.visibility import scoped_by


class Safety(models.TextChoices):
    """What a scan says of bytes, or of a version: then the worst of its files."""

    CLEAN = "clean"
    SUSPICIOUS = "suspicious"
    MALICIOUS = "malicious"
    UNSCANNABLE = "unscannable"


class ScanReport(AppendOnlyModel):
    """What one release of the scanner found in a blob. Equal bytes are scanned once, whoever holds them.

    `findings` are `[{"where", "what", "name", "verdict"}]`: the place inside the file, a sentence, and the
    offending global (`os.system`) or "".
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="scans")
    scanner = models.CharField(max_length=20, help_text="the scanner's release")
    format = models.CharField(max_length=40, help_text="sniffed from the bytes")
    verdict = models.CharField(max_length=11, choices=Safety.choices)
    findings = models.JSONField(default=list, blank=True)
    scanned_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["blob", "scanner"], name="one_report_per_scanner")
        ]


class Attachment(AppendOnlyModel):
    """A document kept with a version, in the attachments bucket under its digest: a signature, a report."""

    redactable: ClassVar[tuple[str, ...]] = ("name",)

    class Kind(models.TextChoices):
        SIGNATURE = "signature"
        SUPPLIER_REPORT = "supplier_report"
        CODE_DIFF = "code_diff"
        EXAMPLE_RESULTS = "example_results"
        VALIDATION_REPORT = "validation_report"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="attachments")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    name = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField(help_text="bytes")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]


# What those who answer for a version keep with it; the others come with an evaluation or a validation report.
OF_ITS_MAKERS = (Attachment.Kind.SIGNATURE, Attachment.Kind.SUPPLIER_REPORT, Attachment.Kind.CODE_DIFF)


class SigningKey(models.Model):
    """A public key whose signatures a namespace believes. Revoked, it is believed no more and stays on record."""

    stays: ClassVar[dict[str, str]] = {
        "name": "Signatures were verified by it: revoke it, add it as another."
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="signing_keys")
    name = models.CharField(max_length=100)
    pem = models.TextField(help_text="PEM, SubjectPublicKeyInfo")
    fingerprint = models.CharField(max_length=64, help_text="sha256 of the PEM, as signatures name their key")
    added_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    added_at = models.DateTimeField(auto_now_add=True)
    revoked_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [
            NeverDeleted(),
            Fixed(["namespace_id", "name", "pem", "fingerprint", "added_by_id", "added_at"]),
            Fixed(["revoked_by_id", "revoked_at"], once="OLD.revoked_at IS NOT NULL", name="revoked_once"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["namespace", "name"], name="one_signing_key_per_name"),
            models.CheckConstraint(
                name="revoked_by_somebody",
                condition=models.Q(revoked_at=None, revoked_by=None)
                | models.Q(revoked_at__isnull=False, revoked_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.namespace.name}/{self.name}"


class SignatureCheck(AppendOnlyModel):
    """What came of verifying a signature against a version's sealed manifest, and with which key."""

    redactable: ClassVar[tuple[str, ...]] = ("sentence",)
    redactable_within: ClassVar[str] = "attachment__version__model__namespace_id"

    class Verdict(models.TextChoices):
        VALID = "valid"
        INVALID = "invalid"
        UNKNOWN_KEY = "unknown_key"

    attachment = models.ForeignKey(Attachment, on_delete=models.PROTECT, related_name="checks")
    key = models.ForeignKey(SigningKey, null=True, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=11, choices=Verdict.choices)
    sentence = models.TextField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers: ClassVar = [AppendOnly()]
