"""The journal, what still has to be done for its entries, and the endpoints that hear of them."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from registry.models.checkpoints import SaltsGo, ToBeNumbered
from registry.models.immutability import AppendOnlyModel
from registry.models.leases import Leased
from registry.models.people import Namespace, User
from registry.models.triggers import AppendOnly
from registry.models.visibility import scoped_by


class Event(AppendOnlyModel):
    """One change: what, to whom, by whom, when, why, before and after. Written in the change's transaction."""

    redactable: ClassVar[tuple[str, ...]] = ("subject_label", "reason", "before", "after")

    id = models.BigAutoField(primary_key=True)
    type = models.CharField(max_length=60)
    namespace = models.ForeignKey(Namespace, null=True, on_delete=models.PROTECT, related_name="events")
    subject_kind = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=64)
    # How people call the subject (`fraud/scorer:3`), as it was then.
    subject_label = models.CharField(max_length=300, blank=True, default="")
    actor = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    actor_label = models.CharField(max_length=200)
    token_prefix = models.CharField(max_length=12, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    at = models.DateTimeField()

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly(), ToBeNumbered(), SaltsGo()]
        indexes: ClassVar = [
            models.Index(fields=["namespace", "-id"], name="event_newest_first"),
            models.Index(fields=["subject_kind", "subject_id", "-id"], name="event_of_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.type}, number {self.pk}"


class OutboxItem(models.Model):
    """What still has to be done for an event. Deleted in the transaction that does it."""

    redactable: ClassVar[tuple[str, ...]] = ("last_error",)
    redactable_within: ClassVar[str] = "event__namespace_id"

    event = models.OneToOneField(Event, on_delete=models.CASCADE, primary_key=True)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(db_index=True)
    last_error = models.TextField(blank=True, default="")


class Webhook(models.Model):
    """An endpoint that hears of a namespace's events, and the secret they are signed with.

    Of `events`, `of_models` and `stages` each narrows what it hears of; an empty list of the last two is no filter.
    """

    stays: ClassVar[dict[str, str]] = {
        "name": "It is what people call the webhook: edit or take away the webhook.",
        "url": "It is where events are sent: edit or take away the webhook.",
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="webhooks")
    name = models.CharField(max_length=100)
    url = models.URLField(max_length=500)
    # Event types; `*` is all of them.
    events = ArrayField(models.CharField(max_length=60))
    of_models = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    stages = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    # How many messages may be on their way at a time; with one, they come in the order of the journal.
    parallel = models.PositiveSmallIntegerField(default=1)
    secret = models.CharField(max_length=100)
    # The one before, which signs too until then: a receiver is given time to learn the new one.
    old_secret = models.CharField(max_length=100, blank=True, default="")
    old_secret_until = models.DateTimeField(null=True, blank=True)
    # Since when nothing arrives, and when that was told to people.
    failing_since = models.DateTimeField(null=True, blank=True)
    failing_told_at = models.DateTimeField(null=True, blank=True)
    active = models.BooleanField(default=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.TextField(blank=True, default="")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["namespace", "name"], name="one_webhook_per_name"),
            models.CheckConstraint(
                name="webhook_tells_some_at_a_time", condition=models.Q(parallel__gte=1, parallel__lte=8)
            ),
            models.CheckConstraint(
                name="old_secret_has_an_end",
                condition=models.Q(old_secret="", old_secret_until=None)
                | models.Q(~models.Q(old_secret=""), old_secret_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def reference(self) -> str:
        """How the journal and mails call it."""
        return f"{self.namespace.name}/{self.name}"

    @property
    def listens(self) -> bool:
        """Whether anything is sent to it."""
        return self.active and self.deleted_at is None


class Delivery(Leased):
    """One event for one endpoint, until it has been told or has been given up."""

    class State(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.PROTECT, related_name="deliveries")
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="deliveries")
    state = models.CharField(max_length=9, choices=State.choices, default=State.PENDING)
    due_at = models.DateTimeField()
    # The attempts that were made before somebody asked for it again: the schedule begins anew behind them.
    tried_before = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("webhook__namespace_id").as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["webhook", "event"], name="one_delivery_per_endpoint")
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=models.Q(state="pending"), name="delivery_due"),
            models.Index(
                fields=["webhook", "event"], condition=models.Q(state="pending"), name="delivery_in_order"
            ),
            models.Index(
                fields=["webhook", "claimed_at"],
                condition=models.Q(state="pending", claimed_at__isnull=False),
                name="delivery_on_its_way",
            ),
            models.Index(fields=["webhook", "-created_at", "-id"], name="delivery_of_endpoint"),
            models.Index(fields=["-created_at", "-id"], name="delivery_newest_first"),
        ]

    def __str__(self) -> str:
        return f"{self.event.type} to {self.webhook.name}"


class DeliveryAttempt(AppendOnlyModel):
    """One try: where it went and under which headers, what was answered, how long it took. The body is made from
    the event whenever it is sent or looked at."""

    redactable: ClassVar[tuple[str, ...]] = ("answer", "answer_headers", "error")

    delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, related_name="attempts")
    at = models.DateTimeField()
    # {"url", "address", "headers"}: the URL without its query, where receivers put keys.
    sent = models.JSONField(default=dict)
    status = models.PositiveSmallIntegerField(null=True)
    answer_headers = models.JSONField(default=dict)
    answer = models.TextField(blank=True, default="")
    error = models.TextField(blank=True, default="")
    duration_ms = models.PositiveIntegerField(default=0)

    objects = scoped_by("delivery__webhook__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        ordering: ClassVar = ["id"]
