"""What the database itself asks of a promotion, an approval and a stage: the triggers that hold the line."""

from __future__ import annotations

from typing import Any

import pgtrigger
from django.db import models

from lifecycle.models.approval_guards import (
    FROZEN,
    POLICY_IN_FORCE,
    groups_wanted,
    may_decide,
)
from lifecycle.models.waiver_guards import NEVER_WAIVED, covered
from registry.models.triggers import Always, active_person, answers_for, refuse, right

# A condition on the id of a version: whether it stands under quarantine.
UNDER_QUARANTINE = """EXISTS (SELECT 1 FROM lifecycle_quarantine q WHERE q.version_id = {version} AND NOT EXISTS (
    SELECT 1 FROM lifecycle_quarantinelift l WHERE l.quarantine_id = q.id))"""
# The approvals of the promotion NEW that count, of people who may still give them.
_STANDING = f"""SELECT a.by_id FROM lifecycle_approval a WHERE a.promotion_id = NEW.id AND a.verdict = 'approve'
    AND a.binding = NEW.binding AND a.by_id NOT IN (NEW.requested_by_id, home.maker)
    AND {may_decide("a.by_id", snapshot="NEW.policy_snapshot", model="home.model_id", namespace="home.namespace_id")}"""
_GROUPS_WANTED = groups_wanted(
    _STANDING, snapshot="NEW.policy_snapshot", model="home.model_id", namespace="home.namespace_id"
)


class Satisfied(Always):
    """A promotion becomes `applied` only when its own snapshot is satisfied and the floor below it is.

    The floor, whatever the policy says: integrity verified; for production also lineage complete and one
    approval by somebody who neither asked nor made the version. Approvals count while who gave them may still do so;
    where groups are named, one person stands for one of them. What is approved is approved by the policy in
    force, not by an older revision, and while no freeze stands. A gate is passed, or waived by two people within
    their term; integrity and a malicious file are never waived. A rollback needs a reason and a version that
    was in production and has not been taken out in an incident since. Where an operator broke the glass, a freeze and
    the approvals of others are set aside, and nothing else.
    """

    name = "satisfied"
    when = pgtrigger.Before
    operation = pgtrigger.Update
    declare = [
        ("unmet", "text"),
        ("given", "integer"),
        ("asked", "integer"),
        ("home", "record"),
        ("broken", "boolean"),
    ]

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF NEW.state <> 'applied' OR OLD.state = 'applied' THEN RETURN NEW; END IF;
            IF NEW.expires_at <= clock_timestamp() THEN
                {refuse("promotion_unsatisfied", "it has expired")}
            END IF;
            SELECT string_agg(g.key, ', ') INTO unmet FROM (
                SELECT coalesce(listed->>'key', listed->>'gate') AS key, listed->>'gate' AS gate
                    FROM jsonb_array_elements(NEW.policy_snapshot->'gates') AS listed
                UNION SELECT 'integrity_verified', 'integrity_verified'
                UNION SELECT 'lineage_complete', 'lineage_complete'
                    WHERE NEW.target = 'production' AND NEW.kind = 'promote'
            ) g LEFT JOIN LATERAL (SELECT r.key, r.verdict, r.evidence, r.waiver_id FROM lifecycle_gateresult r
                WHERE r.promotion_id = NEW.id AND r.key = g.key ORDER BY r.id DESC LIMIT 1) r ON true
            WHERE NOT coalesce(r.verdict = 'pass' OR r.verdict = 'waived'
                AND NOT {NEVER_WAIVED.format(gate="g.gate", version="NEW.version_id")}
                AND {covered("r", "NEW", "g.gate")}, false);
            IF unmet IS NOT NULL THEN
                {refuse("promotion_unsatisfied", "gates are not passed: %", "unmet")}
            END IF;
            IF EXISTS (SELECT 1 FROM registry_modelversion v JOIN registry_artifact f ON f.manifest_id = v.manifest_id
                JOIN registry_blob b ON b.sha256 = f.blob_id WHERE v.id = NEW.version_id
                    AND (b.quarantined_at IS NOT NULL OR b.tier <> 'hot' OR b.state <> 'live')) THEN
                {refuse("promotion_unsatisfied", "its bytes are quarantined or not at hand")}
            END IF;
            IF {UNDER_QUARANTINE.format(version="NEW.version_id")} THEN
                {refuse("under_quarantine", "the version is under quarantine")}
            END IF;
            IF NEW.kind = 'rollback' THEN
                IF NEW.reason = '' OR NOT EXISTS (
                    SELECT 1 FROM registry_stagechange c WHERE c.version_id = NEW.version_id
                        AND c.to_stage = 'production' AND c.id > coalesce((SELECT max(d.id)
                            FROM registry_stagechange d
                            WHERE d.version_id = NEW.version_id AND d.to_stage = 'deprecated'), 0)
                ) THEN {refuse("promotion_unsatisfied", "not a rollback target")} END IF;
            ELSE
                SELECT v.created_by_id AS maker, v.model_id, m.namespace_id INTO home FROM registry_modelversion v
                    JOIN registry_registeredmodel m ON m.id = v.model_id WHERE v.id = NEW.version_id;
                broken := EXISTS (SELECT 1 FROM lifecycle_breakglass b WHERE b.promotion_id = NEW.id);
                IF broken AND {NEVER_WAIVED.format(gate="'scan_clean'", version="NEW.version_id")} THEN
                    {refuse("promotion_unsatisfied", "no glass is broken for a malicious file")}
                END IF;
                asked := greatest(
                    CASE WHEN broken THEN 0 ELSE (NEW.policy_snapshot->'approvals'->>'count')::integer END,
                    CASE WHEN NEW.target = 'production' THEN 1 ELSE 0 END);
                SELECT count(*) INTO given FROM ({_STANDING}) standing;
                IF given < asked OR EXISTS (SELECT 1 FROM lifecycle_approval a
                    WHERE a.promotion_id = NEW.id AND a.verdict = 'reject') THEN
                    {refuse("promotion_unsatisfied", "% of % approvals are given", "given", "asked")}
                END IF;
                IF NOT broken AND {_GROUPS_WANTED} THEN
                    {refuse("promotion_unsatisfied", "a group whose approval is asked has not given it")}
                END IF;
                IF NOT broken AND {FROZEN} THEN
                    {refuse("frozen", "% is frozen", "NEW.target")}
                END IF;
                IF asked > 0 AND NEW.policy_id IS DISTINCT FROM ({POLICY_IN_FORCE}) THEN
                    {refuse("promotion_unsatisfied", "another policy was published after it was asked for")}
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
    declare = [("held", "record"), ("carried", "jsonb")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF NEW.kind = 'rollback' THEN RETURN NEW; END IF;
            SELECT p.* INTO held FROM lifecycle_policy p JOIN registry_modelversion v ON v.id = NEW.version_id
                JOIN registry_registeredmodel m ON m.id = v.model_id AND m.namespace_id = p.namespace_id
                WHERE p.id = NEW.policy_id AND p.state = 'published' AND p.target = NEW.target
                    AND coalesce(p.model_id, m.id) = m.id AND p.risk_tier IN ('', m.risk_tier);
            SELECT coalesce(jsonb_agg(jsonb_build_object('gate', g->'gate', 'parameters', g->'parameters')), '[]')
                INTO carried FROM jsonb_array_elements(NEW.policy_snapshot->'gates') g;
            IF held.id IS NULL OR NOT (carried @> held.gates)
                OR coalesce((NEW.policy_snapshot->'approvals'->>'count')::integer, 0)
                    < coalesce((held.approvals->>'count')::integer, 0)
                OR NOT coalesce(NEW.policy_snapshot->'approvals'->'groups', '[]')
                    @> coalesce(held.approvals->'groups', '[]')
                OR NEW.policy_snapshot->'approvals'->'designated_reviewers'
                    IS DISTINCT FROM held.approvals->'designated_reviewers'
            THEN {refuse("policy_not_frozen", "the promotion does not carry what its policy asks for")} END IF;
            RETURN NEW;
        """


class PromotionRequired(Always):
    """Staging and production are entered, and production left for its successor, only in the transaction in
    which a promotion that says so is applied."""

    name = "promotion_required"
    when = pgtrigger.Before
    operation = pgtrigger.Update

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF OLD.stage = NEW.stage THEN RETURN NEW; END IF;
            IF NEW.stage IN ('staging', 'production') AND {UNDER_QUARANTINE.format(version="NEW.id")} THEN
                {refuse("under_quarantine", "the version is under quarantine")}
            END IF;
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


class ApprovalByAnother(Always):
    """Decided by an active person who holds the right, who neither asked for it nor made or trained the version,
    nor answers for an account that did; and only what waits is decided."""

    name = "approval_by_another"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("asked", "record")]

    def get_func(self, model: models.Model) -> str:
        who = may_decide(
            "NEW.by_id",
            snapshot="asked.policy_snapshot",
            model="asked.model_id",
            namespace="asked.namespace_id",
        )
        own = answers_for("NEW.by_id", "asked.requested_by_id, asked.maker, asked.trainer")
        return f"""
            SELECT p.state, p.requested_by_id, p.binding, p.policy_snapshot, v.created_by_id AS maker,
                    v.model_id, m.namespace_id,
                    (SELECT r.created_by_id FROM lineage_run r WHERE r.id = v.run_id) AS trainer INTO asked
                FROM lifecycle_promotion p JOIN registry_modelversion v ON v.id = p.version_id
                JOIN registry_registeredmodel m ON m.id = v.model_id WHERE p.id = NEW.promotion_id;
            IF asked.state IS DISTINCT FROM 'awaiting_approval' OR asked.binding <> NEW.binding THEN
                {refuse("not_awaiting_approval", "the promotion does not wait for this decision")}
            END IF;
            IF {own} THEN
                {refuse("own_request", "who asked or made the version does not decide")}
            END IF;
            IF NOT {who} THEN
                {refuse("not_a_decider", "who decides is an active person with the right to")}
            END IF;
            RETURN NEW;
        """


class LiftedByAnother(Always):
    """A quarantine is lifted by an active person who holds the right to place one, who neither placed it nor answers
    for the account that did."""

    name = "lifted_by_another"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("placed", "record")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            SELECT q.by_id, u.owner_id, m.namespace_id INTO placed FROM lifecycle_quarantine q
                JOIN registry_user u ON u.id = q.by_id JOIN registry_modelversion v ON v.id = q.version_id
                JOIN registry_registeredmodel m ON m.id = v.model_id WHERE q.id = NEW.quarantine_id;
            IF NEW.by_id IN (placed.by_id, placed.owner_id) THEN
                {refuse("own_quarantine", "who placed a quarantine does not lift it")}
            END IF;
            IF NOT {active_person("NEW.by_id", right("version.quarantine", "placed.namespace_id"))} THEN
                {refuse("not_a_lifter", "who lifts a quarantine is an active person with the right to")}
            END IF;
            RETURN NEW;
        """


class Deletable(Always):
    """A version becomes a tombstone only when nothing that counts on its bytes refers to it."""

    name = "deletable"
    when = pgtrigger.Before
    operation = pgtrigger.Update
    declare = [("by_what", "text")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF NEW.status <> 'deleted' OR OLD.status = 'deleted' THEN RETURN NEW; END IF;
            SELECT string_agg(r.what, ', ') INTO by_what FROM (
                SELECT 'the alias ' || a.name AS what FROM registry_alias a WHERE a.version_id = NEW.id
                UNION ALL SELECT 'a legal hold' FROM lifecycle_legalhold h
                    WHERE h.version_id = NEW.id AND h.lifted_at IS NULL
                UNION ALL SELECT 'an open promotion' FROM lifecycle_promotion p
                    WHERE p.version_id = NEW.id AND p.state IN ('evaluating', 'awaiting_approval')
                UNION ALL SELECT 'the deployment at ' || d.target FROM lifecycle_deployment d
                    WHERE d.version_id = NEW.id AND d.removed_at IS NULL
                UNION ALL SELECT 'a version that is based on it' FROM lineage_edge e
                    JOIN registry_modelversion v ON v.id = e.to_node_id
                    WHERE e.from_node_id = NEW.id AND e.role = 'base' AND v.status NOT IN ('deleted', 'failed')
            ) r;
            IF by_what IS NOT NULL THEN
                {refuse("version_in_use", "it is needed by %", "by_what")}
            END IF;
            RETURN NEW;
        """


class OfAKeptVersion(Always):
    """Nothing begins to count on a version that was deleted. The version's row is shared until the transaction
    ends, so that of a deletion and this, whichever is second sees the first."""

    name = "of_a_kept_version"
    when = pgtrigger.Before
    declare = [("stood", "text")]

    def __init__(self, column: str, *, only: str = "true", **kwargs: Any) -> None:
        self.column, self.only = column, only
        super().__init__(**kwargs)

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF {self.only} THEN
                SELECT v.status INTO stood FROM registry_modelversion v WHERE v.id = NEW.{self.column} FOR SHARE;
                IF stood = 'deleted' THEN {refuse("version_deleted", "the version was deleted")} END IF;
            END IF;
            RETURN NEW;
        """


class OfAKeptManifest(Always):
    """No version is made of a manifest whose bytes nobody keeps any more."""

    name = "of_a_kept_manifest"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("released", "timestamptz")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            SELECT m.released_at INTO released FROM registry_manifest m WHERE m.id = NEW.manifest_id FOR SHARE;
            IF released IS NOT NULL THEN
                {refuse("manifest_released", "the versions made of it were deleted")}
            END IF;
            RETURN NEW;
        """
