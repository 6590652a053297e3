"""Policies, promotions, what the gates said, and who decided."""

from __future__ import annotations

import uuid
from typing import ClassVar

import pgtrigger
from django.db import models

from lifecycle.models.states import STATE_EDGES, State
from registry.models import ModelVersion, Namespace, RegisteredModel, Stage, StageChange, User
from registry.models.immutability import AppendOnlyModel
from registry.models.leases import Leased
from registry.models.triggers import Always, AppendOnly, Fixed, LegalEdges, NeverDeleted, refuse
from registry.models.visibility import scoped_by

TARGETS = [(Stage.STAGING.value, "staging"), (Stage.PRODUCTION.value, "production")]


class Policy(models.Model):
    """What it takes to reach a stage: typed gates in order, and approvals. A published revision never changes."""

    class State(models.TextChoices):
        DRAFT = "draft"
        PUBLISHED = "published"

    sealable: ClassVar[bool] = True

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="policies")
    # None: for every model of the namespace.
    model = models.ForeignKey(
        RegisteredModel, null=True, blank=True, on_delete=models.PROTECT, related_name="policies"
    )
    target = models.CharField(max_length=11, choices=TARGETS)
    revision = models.PositiveIntegerField()
    state = models.CharField(max_length=9, choices=State.choices, default=State.DRAFT)
    # A list of gates, each its name and its parameters.
    gates = models.JSONField(default=list)
    # How many people must approve: {"count": n}.
    approvals = models.JSONField(default=dict)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)

    objects = scoped_by("namespace_id").as_manager()

    class Meta:
        verbose_name_plural = "policies"
        triggers: ClassVar = [
            NeverDeleted(),
            Fixed(
                [
                    "namespace_id",
                    "model_id",
                    "target",
                    "revision",
                    "state",
                    "gates",
                    "approvals",
                    "published_at",
                ],
                once="OLD.state = 'published'",
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["namespace", "model", "target", "revision"],
                nulls_distinct=False,
                name="one_policy_per_revision",
            )
        ]

    def __str__(self) -> str:
        return f"{self.model or self.namespace} {self.target} policy, revision {self.revision}"


class Satisfied(Always):
    """A promotion becomes `applied` only when its own snapshot is satisfied and the floor below it is.

    The floor, whatever the policy says: integrity verified; for production also lineage complete and one
    approval by somebody who neither asked nor made the version. A rollback needs a reason and a version that
    was in production and has not been taken out in an incident since.
    """

    name = "satisfied"
    when = pgtrigger.Before
    operation = pgtrigger.Update
    declare = [("unmet", "text"), ("given", "integer"), ("asked", "integer"), ("maker", "uuid")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF NEW.state <> 'applied' OR OLD.state = 'applied' THEN RETURN NEW; END IF;
            SELECT string_agg(g.gate, ', ') INTO unmet FROM (
                SELECT coalesce(listed->>'key', listed->>'gate') AS gate
                    FROM jsonb_array_elements(NEW.policy_snapshot->'gates') AS listed
                UNION SELECT 'integrity_verified'
                UNION SELECT 'lineage_complete' WHERE NEW.target = 'production' AND NEW.kind = 'promote'
            ) g WHERE coalesce((SELECT r.verdict FROM lifecycle_gateresult r
                WHERE r.promotion_id = NEW.id AND r.key = g.gate ORDER BY r.id DESC LIMIT 1), 'pending')
                NOT IN ('pass', CASE g.gate WHEN 'integrity_verified' THEN 'pass' ELSE 'waived' END);
            IF unmet IS NOT NULL THEN
                {refuse("promotion_unsatisfied", "gates are not passed: %", "unmet")}
            END IF;
            IF EXISTS (SELECT 1 FROM registry_modelversion v JOIN registry_artifact f ON f.manifest_id = v.manifest_id
                JOIN registry_blob b ON b.sha256 = f.blob_id WHERE v.id = NEW.version_id
                    AND (b.quarantined_at IS NOT NULL OR b.tier <> 'hot' OR b.state <> 'live')) THEN
                {refuse("promotion_unsatisfied", "its bytes are quarantined or not at hand")}
            END IF;
            IF NEW.kind = 'rollback' THEN
                IF NEW.reason = '' OR NOT EXISTS (
                    SELECT 1 FROM registry_stagechange c WHERE c.version_id = NEW.version_id
                        AND c.to_stage = 'production' AND c.id > coalesce((SELECT max(d.id)
                            FROM registry_stagechange d
                            WHERE d.version_id = NEW.version_id AND d.to_stage = 'deprecated'), 0)
                ) THEN {refuse("promotion_unsatisfied", "not a rollback target")} END IF;
            ELSE
                SELECT created_by_id INTO maker FROM registry_modelversion WHERE id = NEW.version_id;
                asked := greatest(coalesce((NEW.policy_snapshot->'approvals'->>'count')::integer, 0),
                    CASE WHEN NEW.target = 'production' THEN 1 ELSE 0 END);
                SELECT count(*) FILTER (WHERE a.verdict = 'approve' AND a.binding = NEW.binding
                    AND a.by_id <> NEW.requested_by_id AND a.by_id <> maker) INTO given
                    FROM lifecycle_approval a JOIN registry_user u ON u.id = a.by_id AND u.is_active
                    WHERE a.promotion_id = NEW.id;
                IF given < asked OR EXISTS (SELECT 1 FROM lifecycle_approval a
                    WHERE a.promotion_id = NEW.id AND a.verdict = 'reject') THEN
                    {refuse("promotion_unsatisfied", "% of % approvals are given", "given", "asked")}
                END IF;
            END IF;
            NEW.applied_xid := pg_current_xact_id()::text::bigint;
            RETURN NEW;
        """


class PolicyFrozen(Always):
    """A promotion carries every gate and approval that its published policy asks for; more it may carry."""

    name = "policy_frozen"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("held", "record"), ("carried", "jsonb"), ("home", "uuid")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF NEW.kind = 'rollback' THEN RETURN NEW; END IF;
            SELECT m.namespace_id INTO home FROM registry_modelversion v
                JOIN registry_registeredmodel m ON m.id = v.model_id WHERE v.id = NEW.version_id;
            SELECT p.* INTO held FROM lifecycle_policy p WHERE p.id = NEW.policy_id AND p.state = 'published'
                AND p.target = NEW.target AND p.namespace_id = home;
            SELECT coalesce(jsonb_agg(jsonb_build_object('gate', g->'gate', 'parameters', g->'parameters')), '[]')
                INTO carried FROM jsonb_array_elements(NEW.policy_snapshot->'gates') g;
            IF held.id IS NULL OR NOT (carried @> held.gates)
                OR coalesce((NEW.policy_snapshot->'approvals'->>'count')::integer, 0)
                    < coalesce((held.approvals->>'count')::integer, 0)
            THEN {refuse("policy_not_frozen", "the promotion does not carry what its policy asks for")} END IF;
            RETURN NEW;
        """


class Promotion(Leased):
    """A request to bring a version to a stage, with the policy as it was when it was asked."""

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


class PromotionRequired(Always):
    """Staging and production are entered, and production left for its successor, only in the transaction in
    which a promotion that says so is applied."""

    name = "promotion_required"
    when = pgtrigger.Before
    operation = pgtrigger.Update

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF OLD.stage = NEW.stage THEN RETURN NEW; END IF;
            IF NEW.stage IN ('staging', 'production') AND (NEW.status <> 'ready' OR NOT EXISTS (
                SELECT 1 FROM lifecycle_promotion p WHERE p.version_id = NEW.id AND p.target = NEW.stage
                    AND p.state = 'applied' AND p.applied_xid = pg_current_xact_id()::text::bigint
                    AND (p.kind = 'rollback') = (OLD.stage = 'archived')
            )) THEN {refuse("promotion_required", "no promotion to % is applied here", "NEW.stage")} END IF;
            IF OLD.stage = 'production' AND NEW.stage = 'archived' AND NOT EXISTS (
                SELECT 1 FROM lifecycle_promotion p JOIN registry_modelversion v ON v.id = p.version_id
                WHERE v.model_id = NEW.model_id AND p.target = 'production' AND p.state = 'applied'
                    AND p.applied_xid = pg_current_xact_id()::text::bigint
            ) THEN {refuse("promotion_required", "production steps down for its successor only")} END IF;
            RETURN NEW;
        """


class TrueToTheStage(Always):
    """History is not made up: a change is written when the version is where it says, and one into staging or
    production only in the transaction of the promotion that it names. Rollbacks rely on it."""

    name = "true_to_the_stage"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("stood", "text")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            SELECT stage INTO stood FROM registry_modelversion WHERE id = NEW.version_id;
            IF stood IS DISTINCT FROM NEW.to_stage OR (NEW.to_stage IN ('staging', 'production') AND NOT EXISTS (
                SELECT 1 FROM lifecycle_promotion p WHERE p.id = NEW.promotion_id
                    AND p.version_id = NEW.version_id AND p.target = NEW.to_stage AND p.state = 'applied'
                    AND p.applied_xid = pg_current_xact_id()::text::bigint
            )) THEN {refuse("untrue_stage_change", "the version did not move to % here", "NEW.to_stage")} END IF;
            RETURN NEW;
        """


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
        triggers: ClassVar = [PromotionRequired()]


class GateResult(AppendOnlyModel):
    """What one gate said at one attempt; the newest per key counts."""

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
    at = models.DateTimeField()

    objects = scoped_by("promotion__version__model__namespace_id").as_manager()

    class Meta:
        triggers: ClassVar = [AppendOnly()]
        indexes: ClassVar = [models.Index(fields=["promotion", "key", "-id"], name="gate_result_latest")]


class ApprovalByAnother(Always):
    """Decided by an active person who holds the right, who neither asked for it nor made or trained the version,
    nor answers for an account that did; and only what waits is decided."""

    name = "approval_by_another"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("asked", "record")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            SELECT p.state, p.requested_by_id, p.binding, v.created_by_id AS maker, v.model_id, m.namespace_id,
                    (SELECT r.created_by_id FROM lineage_run r WHERE r.id = v.run_id) AS trainer INTO asked
                FROM lifecycle_promotion p JOIN registry_modelversion v ON v.id = p.version_id
                JOIN registry_registeredmodel m ON m.id = v.model_id WHERE p.id = NEW.promotion_id;
            IF asked.state IS DISTINCT FROM 'awaiting_approval' OR asked.binding <> NEW.binding THEN
                {refuse("not_awaiting_approval", "the promotion does not wait for this decision")}
            END IF;
            IF EXISTS (
                WITH people AS (
                    SELECT u.id, u.owner_id FROM registry_user u
                    WHERE u.id IN (asked.requested_by_id, asked.maker, asked.trainer)
                ), answerable AS (
                    SELECT id FROM people UNION SELECT owner_id FROM people WHERE owner_id IS NOT NULL
                )
                SELECT 1 FROM registry_user u WHERE u.id = NEW.by_id
                    AND (u.id IN (SELECT id FROM answerable) OR u.owner_id IN (SELECT id FROM answerable))
            ) THEN {refuse("own_request", "who asked or made the version does not decide")} END IF;
            IF NOT EXISTS (
                SELECT 1 FROM registry_user u WHERE u.id = NEW.by_id AND u.is_active AND NOT u.is_service AND (
                    u.is_superuser OR EXISTS (
                        SELECT 1 FROM registry_user_groups g
                        JOIN registry_namespacegrouppermission held ON held.group_id = g.group_id
                        JOIN auth_permission named ON named.id = held.permission_id
                        WHERE g.user_id = u.id AND held.content_object_id = asked.namespace_id
                            AND named.codename = 'promotion.decide'
                    ) OR EXISTS (
                        SELECT 1 FROM registry_user_groups g
                        JOIN registry_registeredmodelgrouppermission held ON held.group_id = g.group_id
                        JOIN auth_permission named ON named.id = held.permission_id
                        WHERE g.user_id = u.id AND held.content_object_id = asked.model_id
                            AND named.codename = 'model.review'
                    )
                )
            ) THEN {refuse("not_a_decider", "who decides is an active person with the right to")} END IF;
            RETURN NEW;
        """


class Approval(AppendOnlyModel):
    """One person's decision on one promotion, bound to what they were shown."""

    class Verdict(models.TextChoices):
        APPROVE = "approve"
        REJECT = "reject"

    promotion = models.ForeignKey(Promotion, on_delete=models.PROTECT, related_name="approvals")
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=7, choices=Verdict.choices)
    reason = models.TextField(blank=True, default="")
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
