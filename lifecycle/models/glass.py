"""Broken glass: a promotion that an operator put into effect in spite of a freeze or of approvals that were missing."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar

import pgtrigger
from django.db import models

from lifecycle.models.promotions import Promotion
from registry.models import User
from registry.models.triggers import Always, Fixed, NeverDeleted, active_person, answers_for, refuse, right
from registry.models.visibility import scoped_by

REVIEWED_WITHIN = timedelta(hours=24)
# Of a promotion: who answers for it, and where it belongs.
_ASKED = """SELECT p.state, p.kind, p.requested_by_id, v.created_by_id AS maker, m.namespace_id,
        (SELECT r.created_by_id FROM lineage_run r WHERE r.id = v.run_id) AS trainer INTO asked
    FROM lifecycle_promotion p JOIN registry_modelversion v ON v.id = p.version_id
    JOIN registry_registeredmodel m ON m.id = v.model_id WHERE p.id = NEW.promotion_id;"""


class BrokenByAnOperator(Always):
    """The glass of a promotion that waits is broken by an active person who holds the right to decide promotions in
    the namespace, and who neither asked for it nor made or trained the version, nor answers for who did."""

    name = "broken_by_an_operator"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("asked", "record")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            {_ASKED}
            IF asked.state IS DISTINCT FROM 'awaiting_approval' OR asked.kind <> 'promote' THEN
                {refuse("not_awaiting_approval", "the promotion does not wait for this decision")}
            END IF;
            IF {answers_for("NEW.by_id", "asked.requested_by_id, asked.maker, asked.trainer")} THEN
                {refuse("own_request", "who asked or made the version does not break its glass")}
            END IF;
            IF NOT {active_person("NEW.by_id", right("promotion.decide", "asked.namespace_id"))} THEN
                {refuse("not_a_decider", "who breaks the glass is an active person with the right to decide")}
            END IF;
            IF NEW.reviewed_at IS NOT NULL THEN {refuse("own_review", "it is reviewed later")} END IF;
            RETURN NEW;
        """


class ReviewedByASecond(Always):
    """Broken glass is reviewed by an active person who decides promotions or verifies the journal there, and who
    neither broke it, nor asked, nor made or trained the version, nor answers for who did."""

    name = "reviewed_by_a_second"
    when = pgtrigger.Before
    operation = pgtrigger.Update
    declare = [("asked", "record")]

    def get_func(self, model: models.Model) -> str:
        rights = [right(name, "asked.namespace_id") for name in ("promotion.decide", "journal.verify")]
        return f"""
            IF NEW.reviewed_at IS NULL OR OLD.reviewed_at IS NOT NULL THEN RETURN NEW; END IF;
            {_ASKED}
            IF {answers_for("NEW.reviewed_by_id", "OLD.by_id, asked.requested_by_id, asked.maker, asked.trainer")} THEN
                {refuse("own_review", "a second person reviews, who did not ask or make the version either")}
            END IF;
            IF NOT {active_person("NEW.reviewed_by_id", *rights)} THEN
                {refuse("not_a_reviewer", "who reviews is an active person with the right to")}
            END IF;
            RETURN NEW;
        """


class BreakGlass(models.Model):
    """An operator put this promotion into effect alone, and why; a second person says within 24 h whether rightly.

    It stands for further approvals and against freezes, for nothing else: the gates had passed, and the operator's
    own approval is the one by somebody else.
    """

    class Verdict(models.TextChoices):
        JUSTIFIED = "justified"
        NOT_JUSTIFIED = "not_justified"

    redactable: ClassVar[tuple[str, ...]] = ("reason", "overrode", "sentence")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    promotion = models.OneToOneField(Promotion, on_delete=models.PROTECT, related_name="break_glass")
    reason = models.TextField()
    # {"approvals": "1 of 2; still wanted: risk (1)", "freeze": sentence}: what stood in the way, "" for what did not.
    overrode = models.JSONField()
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="until when it is to be reviewed")
    # When it was told that nobody had reviewed it in time.
    overdue_at = models.DateTimeField(null=True, blank=True)
    verdict = models.CharField(max_length=13, choices=Verdict.choices, blank=True, default="")
    sentence = models.TextField(blank=True, default="", help_text="what the review found")
    reviewed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    reviewed_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("promotion__version__model__namespace_id").as_manager()

    class Meta:
        verbose_name = "broken glass"
        verbose_name_plural = "broken glass"
        triggers: ClassVar = [
            NeverDeleted(),
            Fixed(["id", "promotion_id", "reason", "overrode", "by_id", "at", "due_at"]),
            Fixed(["overdue_at"], once="OLD.overdue_at IS NOT NULL", name="overdue_once"),
            Fixed(
                ["verdict", "sentence", "reviewed_by_id", "reviewed_at"],
                once="OLD.reviewed_at IS NOT NULL",
                name="reviewed_once",
            ),
            BrokenByAnOperator(),
            ReviewedByASecond(),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(name="broken_glass_has_reason", condition=~models.Q(reason="")),
            models.CheckConstraint(
                name="broken_glass_is_due_in_a_day",
                condition=models.Q(due_at=models.F("at") + REVIEWED_WITHIN),
            ),
            models.CheckConstraint(
                name="reviewed_by_somebody_who_says_why",
                condition=models.Q(reviewed_at=None, reviewed_by=None, verdict="", sentence="")
                | models.Q(reviewed_at__isnull=False, reviewed_by__isnull=False)
                & ~models.Q(verdict="")
                & ~models.Q(sentence=""),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-at", "-id"], name="broken_glass_newest_first"),
            models.Index(
                fields=["due_at"], condition=models.Q(reviewed_at=None), name="broken_glass_unreviewed"
            ),
        ]

    def __str__(self) -> str:
        return str(self.promotion)
