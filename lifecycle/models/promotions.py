"""Promotions, what the gates said, and who decided."""

from __future__ import annotations

import uuid
from typing import ClassVar

import pgtrigger
from django.db import models

from lifecycle.models.guards import (
    ApprovalByAnother,
    Deletable,
    OfAKeptManifest,
    OfAKeptVersion,
    PolicyFrozen,
    PromotionRequired,
    Satisfied,
    TrueToTheStage,
)
from lifecycle.models.policies import TARGETS, Policy
from lifecycle.models.states import STATE_EDGES, State
from lifecycle.models.waiver_guards import WaivedByTwo
from lineage.models import Edge
from registry.models import Alias, ModelVersion, StageChange, User
from registry.models.immutability import AppendOnlyModel
from registry.models.leases import Leased
from registry.models.triggers import AppendOnly, Fixed, LegalEdges, NeverDeleted
from registry.models.visibility import scoped_by


class Promotion(Leased):
    """A request to bring a version to a stage, with the policy as it was when it was asked."""

    redactable: ClassVar[tuple[str, ...]] = ("reason", "outcome")
    stays: ClassVar[dict[str, str]] = {"policy_snapshot": "It is what the promotion was decided by."}

    class Kind(models.TextChoices):
        PROMOTE = "promote"
        ROLLBACK = "rollback"

    sealable: ClassVar[bool] = True

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="promotions")
    target = models.CharField(max_length=11, choices=TARGETS)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.PROMOTE)
    state = models.CharField(max_length=17, choices=State.choices, default=State.EVALUATING)
    reason = models.TextField(blank=True, default="")
    policy = models.ForeignKey(Policy, null=True, on_delete=models.PROTECT, related_name="promotions")
    # {"name", "revision", "target", "gates": [{"key", "gate", "parameters"}], "approvals": {"count"}}
    policy_snapshot = models.JSONField()
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    # The production version that this one would replace, as the gates saw it.
    replaces = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    # sha256 over the digests of version, policy, evidence and replaced version: what an approval is given to.
    binding = models.CharField(max_length=64, blank=True, default="")
    outcome = models.TextField(blank=True, default="", help_text="why it ended as it did, in a sentence")
    # The transaction that applied it, set by trigger: the version may move in that one only.
    applied_xid = models.BigIntegerField(null=True, editable=False)

    objects = scoped_by("version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [
            NeverDeleted(),
            Fixed(
                [
                    "id",
                    "version_id",
                    "target",
                    "kind",
                    "reason",
                    "policy_id",
                    "policy_snapshot",
                    "requested_by_id",
                    "requested_at",
                    "expires_at",
                ]
            ),
            Fixed(
                ["state", "outcome", "binding", "applied_xid", "replaces_id"],
                name="ended",
                once="OLD.state NOT IN ('evaluating', 'awaiting_approval')",
            ),
            LegalEdges("state", STATE_EDGES, [State.EVALUATING]),
            Satisfied(),
            PolicyFrozen(),
            OfAKeptVersion("version_id", operation=pgtrigger.Insert),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version", "target"],
                condition=models.Q(state__in=["evaluating", "awaiting_approval"]),
                name="one_open_promotion",
            ),
            models.CheckConstraint(
                name="rollback_is_to_production",
                condition=~models.Q(kind="rollback") | models.Q(target="production"),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-requested_at", "-id"], name="promotion_newest_first"),
            models.Index(
                fields=["state"],
                condition=models.Q(state__in=["evaluating", "awaiting_approval"]),
                name="promotion_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} to {self.target}"


class StagedChange(StageChange):
    """StageChange as the lifecycle guards it."""

    class Meta:
        proxy = True
        default_permissions = ()
        triggers: ClassVar = [TrueToTheStage()]


class StagedVersion(ModelVersion):
    """ModelVersion as the lifecycle guards it: the trigger is declared here, where promotions are known."""

    class Meta:
        proxy = True
        default_permissions = ()
        triggers: ClassVar = [PromotionRequired(), Deletable(), OfAKeptManifest()]


class StagedAlias(Alias):
    """Alias as the lifecycle guards it."""

    class Meta:
        proxy = True
        default_permissions = ()
        triggers: ClassVar = [OfAKeptVersion("version_id", operation=pgtrigger.Insert | pgtrigger.Update)]


class StagedEdge(Edge):
    """Edge as the lifecycle guards it."""

    class Meta:
        proxy = True
        default_permissions = ()
        triggers: ClassVar = [
            OfAKeptVersion("from_node_id", only="NEW.role = 'base'", operation=pgtrigger.Insert)
        ]


class GateResult(AppendOnlyModel):
    """What one gate said at one attempt; the newest per key counts."""

    redactable: ClassVar[tuple[str, ...]] = ("sentence", "evidence")

    class Verdict(models.TextChoices):
        PASS = "pass"
        FAIL = "fail"
        ERROR = "error"
        PENDING = "pending"
        WAIVED = "waived"

    id = models.BigAutoField(primary_key=True)
    promotion = models.ForeignKey(Promotion, on_delete=models.PROTECT, related_name="gate_results")
    key = models.CharField(max_length=200)
    gate = models.CharField(max_length=60)
    verdict = models.CharField(max_length=7, choices=Verdict.choices)
    sentence = models.TextField()
    evidence = models.JSONField(default=dict)
    # By which waiver it is let stand, when the verdict is `waived`.
    waiver = models.ForeignKey(
        "lifecycle.Waiver", null=True, on_delete=models.PROTECT, related_name="results"
    )
    at = models.DateTimeField()

    objects = scoped_by("promotion__version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly(), WaivedByTwo()]
        indexes: ClassVar = [models.Index(fields=["promotion", "key", "-id"], name="gate_result_latest")]


class Approval(AppendOnlyModel):
    """One person's decision on one promotion, bound to what they were shown."""

    redactable: ClassVar[tuple[str, ...]] = ("reason", "report")

    class Verdict(models.TextChoices):
        APPROVE = "approve"
        REJECT = "reject"

    promotion = models.ForeignKey(Promotion, on_delete=models.PROTECT, related_name="approvals")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=7, choices=Verdict.choices)
    reason = models.TextField(blank=True, default="")
    # What they found: {"summary", "findings": [{"severity", "text"}], "conditions": [text]}.
    report = models.JSONField(null=True, blank=True)
    binding = models.CharField(max_length=64)
    at = models.DateTimeField()

    objects = scoped_by("promotion__version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly(), ApprovalByAnother()]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["promotion", "by"], name="one_decision_per_person"),
            models.CheckConstraint(
                name="rejection_has_reason", condition=~models.Q(verdict="reject") | ~models.Q(reason="")
            ),
        ]


class CheckReport(AppendOnlyModel):
    """What a pipeline reports of a version: the evidence of the gate `external_check`."""

    redactable: ClassVar[tuple[str, ...]] = ("sentence", "url")
    stays: ClassVar[dict[str, str]] = {"name": "Policies ask for a check by its name: report under another."}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="check_reports")
    name = models.CharField(max_length=100)
    passed = models.BooleanField()
    sentence = models.TextField(blank=True, default="")
    url = models.URLField(max_length=500, blank=True, default="")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    objects = scoped_by("version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        indexes: ClassVar = [models.Index(fields=["version", "name", "-at"], name="check_latest")]
