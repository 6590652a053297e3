"""How good a version was measured to be, by whom, on which data."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from registry.models.catalog import ModelVersion
from registry.models.contents import Attachment
from registry.models.immutability import AppendOnlyModel
from registry.models.people import User
from registry.models.triggers import AppendOnly
from registry.models.visibility import scoped_by


class Evaluation(AppendOnlyModel):
    """One evaluation of a version on a dataset, named by digest: there is no foreign key upwards to lineage."""

    redactable: ClassVar[tuple[str, ...]] = ("dataset", "split", "slice", "evaluator")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="evaluations")
    dataset = models.CharField(max_length=500)
    dataset_digest = models.CharField(max_length=80)
    split = models.CharField(max_length=100, blank=True, default="")
    slice = models.CharField(max_length=200, blank=True, default="")
    evaluator = models.CharField(max_length=200, blank=True, default="")
    run_id = models.UUIDField(null=True, blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        indexes: ClassVar = [
            models.Index(
                fields=["version", "dataset_digest", "split", "slice", "-at"], name="evaluation_latest"
            )
        ]

    def __str__(self) -> str:
        return f"evaluation of {self.version.reference}"


class EvaluationMetric(AppendOnlyModel):
    """One finite number of an evaluation, with its interval when there is one."""

    stays: ClassVar[dict[str, str]] = {"name": "Policies and comparisons go by the names of metrics."}

    evaluation = models.ForeignKey(Evaluation, on_delete=models.PROTECT, related_name="metrics")
    name = models.CharField(max_length=250)
    value = models.FloatField()
    low = models.FloatField(null=True, blank=True)
    high = models.FloatField(null=True, blank=True)

    objects = scoped_by("evaluation__version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["evaluation", "name"], name="one_value_per_metric"),
            # In Postgres NaN >= 0.9 is true, and infinity passes every lower bound.
            models.CheckConstraint(
                name="metric_is_finite",
                condition=models.Q(value__gt=float("-inf"), value__lt=float("inf"))
                & (models.Q(low=None) | models.Q(low__gt=float("-inf"), low__lt=float("inf")))
                & (models.Q(high=None) | models.Q(high__gt=float("-inf"), high__lt=float("inf"))),
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["name", "value"], name="metric_leaderboard")]


class ExampleResults(AppendOnlyModel):
    """The numbers that a metric is the mean of, one for each example of the dataset. They lie in the attachment."""

    metric = models.OneToOneField(EvaluationMetric, on_delete=models.PROTECT, related_name="examples")
    attachment = models.ForeignKey(Attachment, on_delete=models.PROTECT, related_name="results")
    count = models.PositiveIntegerField()
    # Hex sha256 over the sorted ids of the examples; empty: they are in the order of the dataset.
    ids_digest = models.CharField(max_length=64, blank=True, default="")

    objects = scoped_by("metric__evaluation__version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        constraints: ClassVar = [
            models.CheckConstraint(name="results_of_some_examples", condition=models.Q(count__gte=1))
        ]
