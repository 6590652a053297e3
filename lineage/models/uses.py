"""What reported runs read and wrote by name, so that what was read can be joined to what was written there."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from lineage.models.graph import Dataset, Edge
from lineage.models.runs import Run
from registry.models.triggers import Fixed, NeverDeleted
from registry.models.visibility import scoped_by

WITHOUT_AN_EVENT = (
    "NOT EXISTS (SELECT 1 FROM lineage_lineageevent e "
    "WHERE e.run_id = OLD.run_id AND e.transaction = pg_current_xact_id()::text)"
)


class LineageUse(models.Model):
    """A dataset that a reported run read or wrote, with what its events told of the content: often nothing.

    A write has its `occurrence`, which an edge joins to the run. Whose write a read has met is not stored: the
    function `lineage_reads` answers that from these rows whenever it is asked, so that an event that comes late
    changes the answer and no fact. The `occurrence` of a read is where it comes from when nobody is known to have
    written it.
    """

    sealable: ClassVar[bool] = True
    redactable: ClassVar[tuple[str, ...]] = ("version", "schema")
    redactable_within: ClassVar[str] = "run__namespace_id"

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="uses")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="uses")
    role = models.CharField(max_length=6, choices=Edge.Role.choices)
    occurrence = models.UUIDField(db_index=True)
    version = models.TextField(blank=True, default="", help_text="as the events call it")
    digest = models.CharField(
        max_length=80, blank=True, default="", help_text="sha256:<hex> or frame-v1:<hex>"
    )
    size = models.BigIntegerField(null=True, help_text="bytes")
    files = models.BigIntegerField(null=True)
    rows = models.BigIntegerField(null=True)
    schema = models.JSONField(null=True, help_text="{column: type}")
    # Its run's start, and the end of a run that finished: from then on, what it wrote is there to be read.
    began_at = models.DateTimeField()
    available_at = models.DateTimeField(null=True)

    objects = scoped_by("run__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [
            NeverDeleted(),
            Fixed(["id", "run_id", "dataset_id", "role"]),
            Fixed(
                [
                    "occurrence",
                    "version",
                    "digest",
                    "size",
                    "files",
                    "rows",
                    "schema",
                    "began_at",
                    "available_at",
                ],
                once=WITHOUT_AN_EVENT,
                name="facts_fixed",
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "role", "dataset"], name="one_use_per_role")
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["dataset", "available_at", "occurrence"],
                condition=models.Q(role="output"),
                name="use_written",
            ),
            models.Index(fields=["dataset", "began_at"], condition=models.Q(role="input"), name="use_read"),
            models.Index(fields=["digest"], condition=~models.Q(digest=""), name="use_digest"),
        ]
