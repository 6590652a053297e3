"""Datasets, and the one graph that joins runs, dataset versions, model versions and logged models."""

from __future__ import annotations

import uuid
from typing import ClassVar

import pgtrigger
from django.db import models
from django.db.models.functions import Cast

from lineage.models.runs import Run
from registry.models import Namespace
from registry.models.immutability import AppendOnlyModel
from registry.models.triggers import Always, AppendOnly, NeverDeleted, refuse
from registry.models.visibility import scoped_by


class Dataset(models.Model):
    """A dataset's name in a namespace."""

    redactable: ClassVar[tuple[str, ...]] = ("name", "description")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="datasets")
    name = models.CharField(max_length=500)
    description = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [NeverDeleted()]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["namespace", "name"], name="one_dataset_per_name")
        ]

    def __str__(self) -> str:
        return self.name


class DatasetVersion(AppendOnlyModel):
    """An occurrence of a dataset: its content by digest, and the run that produced it, if one did.

    Equal content is a join by digest. An output is always a new row, so a step that changes nothing, or
    writes where it read, makes no cycle. What another tool called the content is its foreign digest, kept beside
    ours; where nobody here has read the bytes, it is the only digest, and stands in both columns.
    """

    redactable: ClassVar[tuple[str, ...]] = ("schema", "source")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="versions")
    digest = models.CharField(max_length=80, db_index=True, help_text="sha256:<hex> or frame-v1:<hex>")
    foreign_digest = models.CharField(
        max_length=80, blank=True, default="", help_text="md5:<hex>, or md5-dir:<hex> of a folder's listing"
    )
    produced_by = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="produced")
    size = models.BigIntegerField(null=True, help_text="bytes")
    files = models.BigIntegerField(null=True, help_text="how many a folder holds")
    rows = models.BigIntegerField(null=True)
    columns = models.IntegerField(null=True)
    schema = models.JSONField(null=True, help_text="{column: type}")
    source = models.TextField(blank=True, default="", help_text="where it was read from")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("dataset__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["dataset", "digest"],
                condition=models.Q(produced_by=None),
                name="one_unproduced_per_digest",
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["foreign_digest"],
                condition=~models.Q(foreign_digest=""),
                name="dataset_foreign_digest",
            )
        ]

    def __str__(self) -> str:
        return f"{self.dataset.name} {self.digest[:19]}…"


class Node(AppendOnlyModel):
    """A point of the graph: a run, a dataset version, a model version or a logged model, by its id."""

    class Kind(models.TextChoices):
        RUN = "run"
        DATASET_VERSION = "dataset_version"
        MODEL_VERSION = "model_version"
        LOGGED_MODEL = "logged_model"

    id = models.UUIDField(primary_key=True, help_text="that of the row it stands for")
    kind = models.CharField(max_length=15, choices=Kind.choices)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]


class NoCycle(Always):
    """Refuses an edge that would close a circle, under concurrent inserts too.

    A node made in this very transaction is invisible to others: while edges only leave it, or only enter it, no
    circle can run through it, and no lock is needed. Any other edge takes the lock on the whole graph, so that
    what is looked at holds until the commit; an old snapshot would not show it, so it is refused.
    """

    name = "no_cycle"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("ours", "text"), ("alone", "boolean")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            ours := (pg_current_xact_id()::text::numeric % 4294967296)::text;
            SELECT bool_or(
                CASE WHEN n.id = NEW.to_node_id
                    THEN NOT EXISTS (SELECT 1 FROM lineage_edge e WHERE e.from_node_id = n.id)
                    ELSE NOT EXISTS (SELECT 1 FROM lineage_edge e WHERE e.to_node_id = n.id) END
            ) INTO alone
                FROM lineage_node n
                WHERE n.id IN (NEW.from_node_id, NEW.to_node_id) AND n.xmin::text = ours;
            IF NOT coalesce(alone, false) THEN
                IF current_setting('transaction_isolation') = 'repeatable read' THEN
                    {refuse("no_cycle", "edges are not added in a repeatable read transaction")}
                END IF;
                PERFORM pg_advisory_xact_lock(hashtext('lineage_edge'));
            END IF;
            IF NEW.from_node_id = NEW.to_node_id OR EXISTS (
                WITH RECURSIVE reached(id) AS (
                    SELECT NEW.to_node_id
                    UNION
                    SELECT e.id FROM reached r CROSS JOIN LATERAL (
                        SELECT to_node_id AS id FROM lineage_edge WHERE from_node_id = r.id OFFSET 0
                    ) e
                ) SELECT 1 FROM reached WHERE id = NEW.from_node_id
            ) THEN {refuse("no_cycle", "this edge would close a circle")} END IF;
            RETURN NEW;
        """


class Edge(AppendOnlyModel):
    """`from_node` went into `to_node`. Upstream is against the arrows."""

    redactable: ClassVar[tuple[str, ...]] = ("context",)
    redactable_within: ClassVar[str] = "to_node__namespace_id"

    class Role(models.TextChoices):
        INPUT = "input"
        OUTPUT = "output"
        BASE = "base"

    id = models.BigAutoField(primary_key=True)
    # Both ways are served by indexes that hold the other end too, in its order.
    from_node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="edges_out", db_index=False)
    to_node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="edges_in", db_index=False)
    role = models.CharField(max_length=6, choices=Role.choices)
    # What the data was for (training, validation, test), as the run said.
    context = models.CharField(max_length=100, blank=True, default="")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers: ClassVar = [AppendOnly(), NoCycle()]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["from_node", "to_node", "role", "context"], name="one_edge_per_role"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["to_node", "from_node"], name="edge_into")]


class LineageEvent(AppendOnlyModel):
    """A raw OpenLineage event, as it arrived, without what looks like a secret.

    What a reported run is, follows from its events: the database lets its facts change only in a transaction that
    adds one, which is why each says in which it came.
    """

    redactable: ClassVar[tuple[str, ...]] = ("body",)

    id = models.BigAutoField(primary_key=True)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64, help_text="sha256 of the canonical event: doubles are one row")
    # None: it is of a job or of a dataset, and of no run.
    run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="events")
    at = models.DateTimeField(null=True, help_text="when it happened, as the event says")
    body = models.JSONField()
    received_at = models.DateTimeField(auto_now_add=True)
    transaction = models.TextField(
        editable=False,
        db_default=Cast(
            models.Func(function="pg_current_xact_id", output_field=models.TextField()), models.TextField()
        ),
    )

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["namespace", "digest"], name="one_row_per_lineage_event")
        ]
