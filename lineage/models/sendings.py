"""What is still to be told to a lineage service outside, and what came of it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from registry.models import Event
from registry.models.leases import Leased


class LineageSending(Leased):
    """One entry of the journal that is to be told as an OpenLineage event, until it is told or given up."""

    class State(models.TextChoices):
        PENDING = "pending"
        SENT = "sent"
        FAILED = "failed"

    event = models.OneToOneField(Event, on_delete=models.PROTECT, primary_key=True, related_name="+")
    state = models.CharField(max_length=7, choices=State.choices, default=State.PENDING)
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True, default="")
    sent_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=models.Q(state="pending"), name="lineage_sending_due")
        ]
