"""Models that were bought: what takes the place of a run."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from registry.models import ModelVersion
from registry.models.immutability import AppendOnlyModel
from registry.models.triggers import AppendOnly
from registry.models.visibility import scoped_by


class Supply(AppendOnlyModel):
    """Where a version that nobody here trained came from, as who pushed it says.

    `digest` is the supplier's own, `sha256:<hex>`: of the manifest or of one of its files, compared with ours.
    The supplier's report is an attachment of the version.
    """

    redactable: ClassVar[tuple[str, ...]] = ("supplier", "origin", "contract")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.OneToOneField(ModelVersion, on_delete=models.PROTECT, related_name="supply")
    supplier = models.CharField(max_length=200)
    origin = models.CharField(max_length=2000, blank=True, default="", help_text="where it was got, as a URL")
    contract = models.CharField(max_length=200, blank=True, default="", help_text="the contract's reference")
    digest = models.CharField(max_length=71, blank=True, default="", help_text="the supplier's own digest")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
