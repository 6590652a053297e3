"""What the database itself asks of a legal hold: it stands until two people let it go."""

from __future__ import annotations

import pgtrigger
from django.db import models

from registry.models.triggers import Always, active_person, answers_for, refuse, right


class LiftedByTwo(Always):
    """A hold is born standing, and lifted only by who granted that it be lifted, which another person asked for."""

    name = "lifted_by_two"
    when = pgtrigger.Before
    operation = pgtrigger.Insert | pgtrigger.Update

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF TG_OP = 'UPDATE' THEN
                IF NEW.lifted_at IS NULL OR OLD.lifted_at IS NOT NULL THEN RETURN NEW; END IF;
            END IF;
            IF NEW.lifted_at IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM lifecycle_holddecision d JOIN lifecycle_holdlift l ON l.id = d.lift_id
                WHERE l.hold_id = NEW.id AND d.verdict = 'grant' AND d.by_id = NEW.lifted_by_id AND d.at = NEW.lifted_at
            ) THEN
                {refuse("hold_not_lifted", "nobody granted that the hold be lifted")}
            END IF;
            RETURN NEW;
        """


class OfAStandingHold(Always):
    """That a hold be lifted is asked while it stands, once at a time. Its row is locked, so that of two who ask, or
    of one who asks and one who lifts, the second sees the first."""

    name = "of_a_standing_hold"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("lifted", "timestamptz")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            SELECT h.lifted_at INTO lifted FROM lifecycle_legalhold h WHERE h.id = NEW.hold_id FOR NO KEY UPDATE;
            IF lifted IS NOT NULL THEN {refuse("hold_lifted", "the hold was lifted")} END IF;
            IF EXISTS (SELECT 1 FROM lifecycle_holdlift l WHERE l.hold_id = NEW.hold_id AND NOT EXISTS (
                    SELECT 1 FROM lifecycle_holddecision d WHERE d.lift_id = l.id)) THEN
                {refuse("one_lift_at_a_time", "that it be lifted is asked already")}
            END IF;
            RETURN NEW;
        """


class LiftDecidedByAnother(Always):
    """Whether a hold is lifted is decided while it stands, by an active person with the right to, who neither asked
    for it nor answers for the account that did, nor belongs to them."""

    name = "lift_decided_by_another"
    when = pgtrigger.Before
    operation = pgtrigger.Insert
    declare = [("asked", "record")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            SELECT l.by_id AS asker, h.lifted_at, m.namespace_id INTO asked FROM lifecycle_holdlift l
                JOIN lifecycle_legalhold h ON h.id = l.hold_id JOIN registry_modelversion v ON v.id = h.version_id
                JOIN registry_registeredmodel m ON m.id = v.model_id WHERE l.id = NEW.lift_id;
            IF {answers_for("NEW.by_id", "asked.asker")} THEN
                {refuse("own_lift", "who asked that a hold be lifted does not decide")}
            END IF;
            IF NOT {active_person("NEW.by_id", right("hold.decide", on="asked.namespace_id"))} THEN
                {refuse("not_a_decider", "who decides is an active person with the right to")}
            END IF;
            IF asked.lifted_at IS NOT NULL THEN {refuse("hold_lifted", "the hold was lifted")} END IF;
            RETURN NEW;
        """
