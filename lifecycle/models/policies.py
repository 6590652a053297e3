"""Policies: what it takes to reach a stage, drafted and published in revisions."""

from __future__ import annotations

import uuid
from typing import ClassVar

import pgtrigger
from django.db import models
from django.db.models import Q

from registry.models import Namespace, RegisteredModel, Stage, User
from registry.models.triggers import (
    Always,
    Fixed,
    LegalEdges,
    NeverDeleted,
    active_person,
    answers_for,
    refuse,
    right,
)
from registry.models.visibility import scoped_by

TARGETS = [(Stage.STAGING.value, "staging"), (Stage.PRODUCTION.value, "production")]


class PublishedByTwo(Always):
    """A policy is published from a draft that was made against what is in force; for production by an active
    person with the right to, who neither drafted it nor answers for the account that did, nor is answered for
    by them. Published at once are only the first revisions of a namespace, which nobody drafted."""

    name = "published_by_two"
    when = pgtrigger.Before
    operation = pgtrigger.Insert | pgtrigger.Update

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF TG_OP = 'INSERT' THEN
                IF NEW.state = 'published' AND (NEW.revision <> 1 OR NEW.model_id IS NOT NULL
                    OR NEW.risk_tier <> '' OR NEW.created_by_id IS NOT NULL) THEN
                    {refuse("policy_not_drafted", "a policy is drafted, then published")}
                END IF;
                RETURN NEW;
            END IF;
            IF OLD.state <> 'draft' OR NEW.state <> 'published' THEN RETURN NEW; END IF;
            IF NEW.replaces_id IS DISTINCT FROM (SELECT p.id FROM lifecycle_policy p
                WHERE p.state = 'published' AND p.namespace_id = NEW.namespace_id AND p.target = NEW.target
                    AND p.model_id IS NOT DISTINCT FROM NEW.model_id AND p.risk_tier = NEW.risk_tier
                ORDER BY p.revision DESC LIMIT 1) THEN
                {refuse("policy_overtaken", "another revision was published since it was drafted")}
            END IF;
            IF NEW.target <> 'production' THEN RETURN NEW; END IF;
            IF NEW.published_by_id IS NULL OR {answers_for("NEW.published_by_id", "NEW.created_by_id")} THEN
                {refuse("own_policy", "who drafted a production policy does not publish it")}
            END IF;
            IF NOT {active_person("NEW.published_by_id", right("policy.publish", "NEW.namespace_id"))} THEN
                {refuse("not_a_publisher", "who publishes is an active person with the right to")}
            END IF;
            RETURN NEW;
        """


class Policy(models.Model):
    """What it takes to reach a stage: typed gates in order, and approvals.

    Of a model, of the models of a risk tier, or of all of the namespace: the first of these that has one counts.
    What a revision says never changes, from its draft on.
    """

    class State(models.TextChoices):
        DRAFT = "draft"
        PUBLISHED = "published"
        WITHDRAWN = "withdrawn"

    sealable: ClassVar[bool] = True
    redactable: ClassVar[tuple[str, ...]] = ("reason",)
    stays: ClassVar[dict[str, str]] = {
        "gates": "Promotions were decided by it: publish another revision without it.",
        "risk_tier": "Rules go by it: edit the model, and publish a policy for another tier.",
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="policies")
    # None: for every model of the namespace, or of the tier.
    model = models.ForeignKey(
        RegisteredModel, null=True, blank=True, on_delete=models.PROTECT, related_name="policies"
    )
    # Empty: for every tier.
    risk_tier = models.CharField(max_length=40, blank=True, default="")
    target = models.CharField(max_length=11, choices=TARGETS)
    revision = models.PositiveIntegerField()
    state = models.CharField(max_length=9, choices=State.choices, default=State.DRAFT)
    # A list of gates, each its name and its parameters.
    gates = models.JSONField(default=list)
    # How many people must approve: {"count": n}.
    approvals = models.JSONField(default=dict)
    # Why it was drafted.
    reason = models.TextField(blank=True, default="")
    # What was in force when it was drafted: it is published in that one's place, or not at all.
    replaces = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    published_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    published_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        verbose_name_plural = "policies"
        triggers: ClassVar = [
            NeverDeleted(),
            LegalEdges(
                "state", [("draft", "published"), ("draft", "withdrawn")], born=["draft", "published"]
            ),
            PublishedByTwo(),
            Fixed(
                [
                    "namespace_id",
                    "model_id",
                    "risk_tier",
                    "target",
                    "revision",
                    "gates",
                    "approvals",
                    "reason",
                    "replaces_id",
                    "created_by_id",
                ]
            ),
            Fixed(
                ["state", "published_by_id", "published_at"],
                once="OLD.state <> 'draft'",
                name="settled",
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["namespace", "model", "risk_tier", "target", "revision"],
                nulls_distinct=False,
                name="one_policy_per_revision",
            ),
            models.UniqueConstraint(
                fields=["namespace", "model", "risk_tier", "target"],
                condition=Q(state="draft"),
                nulls_distinct=False,
                name="one_draft_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(model=None) | Q(risk_tier=""), name="policy_of_a_model_or_a_tier"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.target} policy, revision {self.revision}"

    @property
    def scope(self) -> str:
        """For which models it is: `fraud/card`, `fraud, tier high`, or `fraud`."""
        if self.model:
            return str(self.model)
        return f"{self.namespace}, tier {self.risk_tier}" if self.risk_tier else str(self.namespace)
