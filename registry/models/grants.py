"""Roles that take two: what one person asks for somebody, and another confirms."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from registry.models.grant_guards import GrantedByTwo, OperatorByTwo
from registry.models.people import Namespace, User
from registry.models.triggers import Fixed, LegalEdges, NeverDeleted
from registry.models.visibility import scoped_by


class RoleGrant(models.Model):
    """Somebody asks that a person be given a role. Confirmed by somebody else, they hold it from then on; taking it
    away later needs no second person and leaves this row as it is. What nobody decides ends with its term."""

    class State(models.TextChoices):
        ASKED = "asked"
        GRANTED = "granted"
        REFUSED = "refused"

    redactable: ClassVar[tuple[str, ...]] = ("reason", "decision_reason")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="grants")
    user = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="grants", help_text="who receives it"
    )
    role = models.CharField(max_length=40)
    state = models.CharField(max_length=7, choices=State.choices, default=State.ASKED)
    reason = models.TextField(blank=True, default="")
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.TextField(blank=True, default="")
    # The transaction in which it was granted, set in the database: only in it are they put into the role's group.
    granted_xid = models.BigIntegerField(null=True, editable=False)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [
            NeverDeleted(),
            GrantedByTwo(),
            Fixed(
                ["id", "namespace_id", "user_id", "role", "reason", "asked_by_id", "asked_at", "expires_at"]
            ),
            Fixed(
                ["decided_by_id", "decided_at", "decision_reason"],
                once="OLD.state <> 'asked'",
                name="decided",
            ),
            LegalEdges("state", [("asked", "granted"), ("asked", "refused")], ["asked"]),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="grant_decided_by_somebody",
                condition=models.Q(state="asked", decided_by=None, decided_at=None)
                | models.Q(~models.Q(state="asked"), decided_by__isnull=False, decided_at__isnull=False),
            )
        ]
        indexes: ClassVar = [models.Index(fields=["-asked_at", "-id"], name="grant_newest_first")]

    def __str__(self) -> str:
        return f"{self.user.get_username()}, {self.role} in {self.namespace}"


class Membership(User.groups.through):  # type: ignore[name-defined]
    """Who is in which group: the table of Django's, with our trigger on it."""

    class Meta:
        proxy = True
        triggers: ClassVar = [OperatorByTwo()]
