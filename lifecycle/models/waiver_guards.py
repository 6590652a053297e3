"""What the database itself asks of a waiver: two people, a term, and nothing that is never waived."""

from __future__ import annotations

import pgtrigger
from django.db import models

from registry.models.triggers import Always, active_person, answers_for, refuse, right

# A condition on a gate's name and the id of a version: no waiver covers this. Of each file the newest report counts.
NEVER_WAIVED = """({gate} = 'integrity_verified' OR {gate} = 'scan_clean' AND EXISTS (
    SELECT 1 FROM registry_modelversion v JOIN registry_artifact f ON f.manifest_id = v.manifest_id
    WHERE v.id = {version} AND (SELECT s.verdict FROM registry_scanreport s WHERE s.blob_id = f.blob_id
        ORDER BY s.scanned_at DESC, s.id DESC LIMIT 1) = 'malicious'))"""
# The parameters that a promotion's snapshot gives to the gate of a key.
_PARAMETERS = """(SELECT l->'parameters' FROM jsonb_array_elements({snapshot}->'gates') l
    WHERE coalesce(l->>'key', l->>'gate') = {key} LIMIT 1)"""


def covered(result: str, promotion: str, gate: str) -> str:
    """A condition: the result, of that promotion and gate, names a waiver that covers it now."""
    theirs = _PARAMETERS.format(snapshot="wp.policy_snapshot", key="wr.key")
    ours = _PARAMETERS.format(snapshot=f"{promotion}.policy_snapshot", key=f"{result}.key")
    return f"""EXISTS (SELECT 1 FROM lifecycle_waiver ww JOIN lifecycle_waiverdecision wd ON wd.waiver_id = ww.id
        JOIN lifecycle_gateresult wr ON wr.id = ww.result_id JOIN lifecycle_promotion wp ON wp.id = wr.promotion_id
        WHERE ww.id = {result}.waiver_id AND wd.verdict = 'grant' AND ww.until > now()
            AND wp.version_id = {promotion}.version_id AND wp.target = {promotion}.target AND wr.gate = {gate}
            AND wr.evidence = {result}.evidence AND {theirs} IS NOT DISTINCT FROM {ours})"""


class Waivable(Always):
    """A waiver is asked of a result that does not pass, and never of integrity or of a malicious file."""

    name = "waivable"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("found", "record")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            SELECT r.verdict, r.gate, p.version_id INTO found FROM lifecycle_gateresult r
                JOIN lifecycle_promotion p ON p.id = r.promotion_id WHERE r.id = NEW.result_id;
            IF found.verdict NOT IN ('fail', 'error', 'pending') THEN
                {refuse("not_waivable", "the result passes")}
            END IF;
            IF {NEVER_WAIVED.format(gate="found.gate", version="found.version_id")} THEN
                {refuse("never_waived", "integrity and malicious files are never waived")}
            END IF;
            RETURN NEW;
        """


class GrantedByAnother(Always):
    """A waiver is decided by an active person who holds the right to decide promotions, who neither asked for it nor
    for the promotion, nor made or trained the version, nor answers for an account that did; it is granted within its
    term, and never over integrity or a malicious file."""

    name = "granted_by_another"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("asked", "record")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            SELECT w.by_id AS asker, w.until, r.gate, p.requested_by_id, p.version_id, v.created_by_id AS maker,
                    m.namespace_id,
                    (SELECT t.created_by_id FROM lineage_run t WHERE t.id = v.run_id) AS trainer INTO asked
                FROM lifecycle_waiver w JOIN lifecycle_gateresult r ON r.id = w.result_id
                JOIN lifecycle_promotion p ON p.id = r.promotion_id
                JOIN registry_modelversion v ON v.id = p.version_id
                JOIN registry_registeredmodel m ON m.id = v.model_id WHERE w.id = NEW.waiver_id;
            IF {answers_for("NEW.by_id", "asked.asker", "asked.requested_by_id", "asked.maker", "asked.trainer")} THEN
                {refuse("own_waiver", "who asked for it or made the version does not decide")}
            END IF;
            IF NOT {active_person("NEW.by_id", right("promotion.decide", on="asked.namespace_id"))} THEN
                {refuse("not_a_decider", "who decides is an active person with the right to")}
            END IF;
            IF NEW.verdict = 'grant' AND asked.until <= now() THEN
                {refuse("not_waivable", "its term is over")}
            END IF;
            IF NEW.verdict = 'grant' AND {NEVER_WAIVED.format(gate="asked.gate", version="asked.version_id")} THEN
                {refuse("never_waived", "integrity and malicious files are never waived")}
            END IF;
            RETURN NEW;
        """


class WaivedByTwo(Always):
    """A result is `waived` only by a waiver that was granted, for this version, stage, gate and evidence."""

    name = "waived_by_two"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("p", "record"), ("named", "text")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF NEW.verdict <> 'waived' THEN
                IF NEW.waiver_id IS NOT NULL THEN {refuse("not_waived", "a waiver waives")} END IF;
                RETURN NEW;
            END IF;
            SELECT * INTO p FROM lifecycle_promotion WHERE id = NEW.promotion_id;
            SELECT l->>'gate' INTO named FROM jsonb_array_elements(p.policy_snapshot->'gates') l
                WHERE coalesce(l->>'key', l->>'gate') = NEW.key LIMIT 1;
            IF named IS DISTINCT FROM NEW.gate OR NOT {covered("NEW", "p", "NEW.gate")} THEN
                {refuse("not_waived", "no waiver that was granted covers this result")}
            END IF;
            IF {NEVER_WAIVED.format(gate="NEW.gate", version="p.version_id")} THEN
                {refuse("never_waived", "integrity and malicious files are never waived")}
            END IF;
            RETURN NEW;
        """
