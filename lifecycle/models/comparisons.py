"""What came of comparing two versions example by example."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from registry.models import ExampleResults
from registry.models.immutability import AppendOnlyModel
from registry.models.triggers import AppendOnly
from registry.models.visibility import scoped_by

_FINITE = models.Q(
    difference__gt=float("-inf"), difference__lt=float("inf"), low__gt=float("-inf"), high__lt=float("inf")
)


class PairedComparison(AppendOnlyModel):
    """A paired bootstrap of the mean difference between the results of two versions on the same examples.

    It follows from the two columns alone: the seed is made of their digests, so whoever has them gets the same.
    """

    new = models.ForeignKey(ExampleResults, on_delete=models.PROTECT, related_name="compared")
    old = models.ForeignKey(ExampleResults, on_delete=models.PROTECT, related_name="compared_with")
    count = models.PositiveIntegerField(help_text="examples")
    # Into how many groups of examples, drawn at random once, they were put to be resampled.
    groups = models.PositiveIntegerField()
    difference = models.FloatField(help_text="new minus old, the mean over all examples")
    low = models.FloatField(help_text="of the 95% interval around it")
    high = models.FloatField(help_text="of the 95% interval around it")
    resamples = models.PositiveIntegerField()
    seed = models.BigIntegerField()
    at = models.DateTimeField()

    objects = scoped_by("new__metric__evaluation__version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["new", "old"], name="one_comparison_of_two"),
            models.CheckConstraint(
                name="comparison_is_an_interval", condition=_FINITE & models.Q(low__lte=models.F("high"))
            ),
        ]
