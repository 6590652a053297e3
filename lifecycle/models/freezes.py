"""Freeze windows: times in which nothing enters a stage, for a model, a namespace, or everywhere."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Self

from django.db import models

from registry.models import Namespace, Principal, RegisteredModel, User
from registry.models.triggers import Fixed, NeverDeleted
from registry.models.visibility import ScopedQuerySet

TARGETS = [("staging", "staging"), ("production", "production")]


class FreezeQuerySet(ScopedQuerySet["FreezeWindow"]):
    """Windows of the namespaces that one sees, and those that hold everywhere: they stop everybody."""

    def visible_to(self, principal: Principal) -> Self:
        return super().visible_to(principal) | self.filter(namespace=None)

    def standing(self, now: Any) -> Self:
        """Those that hold at this time."""
        return self.filter(ended_at=None, starts_at__lte=now, ends_at__gt=now)

    def over(self, *, namespace: Any, model: Any, target: Any) -> Self:
        """Those that cover a model and a stage; ids, or what a sub-select takes from outside."""
        within = models.Q(namespace=namespace, model=None) | models.Q(model=model)
        return self.filter(models.Q(namespace=None) | within, models.Q(target="") | models.Q(target=target))


class FreezeWindow(models.Model):
    """From its beginning to its end nothing is promoted into the stage; it is made once, and may be ended early once.

    Requests are made and approved meanwhile, and take effect afterwards. Rollback and suspension are not held up.
    """

    redactable: ClassVar[tuple[str, ...]] = ("reason", "ended_reason")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # None: everywhere.
    namespace = models.ForeignKey(
        Namespace, null=True, blank=True, on_delete=models.PROTECT, related_name="freezes"
    )
    # None: every model of the namespace.
    model = models.ForeignKey(
        RegisteredModel, null=True, blank=True, on_delete=models.PROTECT, related_name="freezes"
    )
    target = models.CharField(max_length=11, choices=TARGETS, blank=True, default="", help_text='"": both')
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.TextField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    ended_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_reason = models.TextField(blank=True, default="")

    objects = FreezeQuerySet.as_manager()

    class Meta:
        triggers: ClassVar = [
            NeverDeleted(),
            Fixed(
                [
                    "id",
                    "namespace_id",
                    "model_id",
                    "target",
                    "starts_at",
                    "ends_at",
                    "reason",
                    "by_id",
                    "at",
                ]
            ),
            Fixed(
                ["ended_by_id", "ended_at", "ended_reason"],
                once="OLD.ended_at IS NOT NULL",
                name="ended_once",
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(name="freeze_has_reason", condition=~models.Q(reason="")),
            models.CheckConstraint(
                name="freeze_ends_after_it_starts", condition=models.Q(ends_at__gt=models.F("starts_at"))
            ),
            models.CheckConstraint(
                name="freeze_of_a_model_is_in_a_namespace",
                condition=models.Q(model=None) | models.Q(namespace__isnull=False),
            ),
            models.CheckConstraint(
                name="freeze_ended_by_somebody_who_says_why",
                condition=models.Q(ended_at=None, ended_by=None, ended_reason="")
                | models.Q(ended_at__isnull=False, ended_by__isnull=False) & ~models.Q(ended_reason=""),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-starts_at", "-id"], name="freeze_newest_first"),
            models.Index(fields=["ends_at"], condition=models.Q(ended_at=None), name="freeze_not_ended"),
        ]

    def __str__(self) -> str:
        return f"{self.about}, {self.target or 'staging and production'}"

    @property
    def about(self) -> str:
        """What it covers, as people call it."""
        return str(self.model or self.namespace or "everywhere")
