"""What people are to be told by mail."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from registry.models.events import Event
from registry.models.leases import Leased
from registry.models.people import User
from registry.models.visibility import scoped_by


class Mail(Leased):
    """One event for one person, handed to the mail server once.

    `sending` is written before the server is spoken to: a row that stays so was in the hands of a worker that died,
    and may have arrived. It is not sent again.
    """

    redactable: ClassVar[tuple[str, ...]] = ("subject", "body", "last_error")

    class State(models.TextChoices):
        PENDING = "pending"
        SENDING = "sending"
        SENT = "sent"
        FAILED = "failed"

    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="mails")
    to = models.ForeignKey(User, on_delete=models.PROTECT, related_name="mails")
    subject = models.CharField(max_length=200)
    body = models.TextField()
    state = models.CharField(max_length=7, choices=State.choices, default=State.PENDING)
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.TextField(blank=True, default="")
    sent_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("event__namespace_id").as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["event", "to"], name="one_mail_per_person")]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=models.Q(state="pending"), name="mail_due")
        ]
