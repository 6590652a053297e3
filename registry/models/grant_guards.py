"""What the database itself asks before somebody is an operator: two people who agreed, or the owner of the database."""

from __future__ import annotations

import pgtrigger
from django.db import models

from registry.models.triggers import Always, active_person, answers_for, refuse, right
from registry.roles import BY_TWO, Permission

# The role's name in SQL; and the rights that no other group holds.
_BY_TWO = ", ".join(f"'{role.value}'" for role in sorted(BY_TWO))
_THEIRS = ", ".join(
    f"'{name.value}'"
    for name in (Permission.PROMOTION_DECIDE, Permission.VERSION_ROLL_BACK, Permission.VERSION_SUSPEND)
)
# Whoever has the host can log in as the owner, as migrations do; the runtime role cannot become it by a setting.
_BY_OWNER = "pg_has_role(session_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = TG_RELID), 'MEMBER')"


class OperatorByTwo(Always):
    """Somebody gets a role that takes two in the transaction in which that was granted to them, or by the owner of
    the database, which is the host's command line."""

    name = "operator_by_two"
    when = pgtrigger.Before
    operation = pgtrigger.Insert | pgtrigger.Update
    declare = [("tied", "record")]

    def get_func(self, model: models.Model) -> str:
        return f"""
            SELECT rg.namespace_id, rg.role INTO tied FROM registry_rolegroup rg WHERE rg.group_id = NEW.group_id;
            IF tied.role IN ({_BY_TWO}) AND NOT {_BY_OWNER} AND NOT EXISTS (
                SELECT 1 FROM registry_rolegrant g WHERE g.namespace_id = tied.namespace_id
                    AND g.user_id = NEW.user_id AND g.role = tied.role AND g.state = 'granted'
                    AND g.granted_xid = pg_current_xact_id()::text::bigint
            ) THEN {refuse("operator_by_two", "% is given by two people", "tied.role")} END IF;
            RETURN NEW;
        """


class GrantedByTwo(Always):
    """A grant is born asked. It is confirmed within its term by an active person with the right to, who neither
    asked nor receives the role, nor answers for either, nor belongs to them; an administrator of the platform may
    have asked. Whoever has the right may refuse."""

    name = "granted_by_two"
    when = pgtrigger.Before
    operation = pgtrigger.Insert | pgtrigger.Update

    def get_func(self, model: models.Model) -> str:
        by_administrator = (
            "EXISTS (SELECT 1 FROM registry_user u WHERE u.id = NEW.decided_by_id AND u.is_superuser)"
        )
        return f"""
            IF TG_OP = 'INSERT' THEN
                NEW.granted_xid := NULL;
                RETURN NEW;
            END IF;
            IF NEW.state = OLD.state THEN
                IF NEW.granted_xid IS DISTINCT FROM OLD.granted_xid THEN
                    {refuse("not_granted", "a grant is confirmed by somebody else")}
                END IF;
                RETURN NEW;
            END IF;
            IF NOT {active_person("NEW.decided_by_id", right("role.confirm", "NEW.namespace_id"))} THEN
                {refuse("not_a_decider", "who decides is an active person with the right to")}
            END IF;
            IF NEW.state = 'granted' THEN
                IF {answers_for("NEW.decided_by_id", "NEW.user_id")}
                    OR {answers_for("NEW.decided_by_id", "NEW.asked_by_id")} AND NOT {by_administrator} THEN
                    {refuse("own_grant", "who asked or receives the role does not confirm it")}
                END IF;
                IF NEW.expires_at <= clock_timestamp() THEN {refuse("grant_expired", "its term is over")} END IF;
                NEW.granted_xid := pg_current_xact_id()::text::bigint;
            END IF;
            RETURN NEW;
        """


class RoleGroupBornEmpty(Always):
    """Nobody is in a group when it begins to stand for a role: they are put in one by one."""

    name = "born_empty"
    when = pgtrigger.Before
    operation = pgtrigger.Insert

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF EXISTS (SELECT 1 FROM registry_user_groups g WHERE g.group_id = NEW.group_id) THEN
                {refuse("role_group_not_empty", "somebody is in the group already")}
            END IF;
            RETURN NEW;
        """


class DecidesByItsRole(Always):
    """Deciding promotions, rolling back and suspending are rights of the operators' own group, and of no other."""

    name = "decides_by_its_role"
    when = pgtrigger.Before
    operation = pgtrigger.Insert | pgtrigger.Update

    def get_func(self, model: models.Model) -> str:
        return f"""
            IF EXISTS (SELECT 1 FROM auth_permission p WHERE p.id = NEW.permission_id AND p.codename IN ({_THEIRS}))
                AND NOT EXISTS (SELECT 1 FROM registry_rolegroup rg WHERE rg.group_id = NEW.group_id
                    AND rg.namespace_id = NEW.content_object_id AND rg.role IN ({_BY_TWO}))
            THEN {refuse("operator_by_two", "only operators hold this right")} END IF;
            RETURN NEW;
        """
