"""Database triggers that the runtime role cannot talk out of firing.

django-pgtrigger's own templates ask a session setting (`pgtrigger.ignore`) that any role may set, and leave
triggers in the mode that `session_replication_role = replica` switches off. These do neither. Each refusal
carries a constraint name, so that Django raises an IntegrityError that `registry.http.problems` can name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pgtrigger
from django.apps import apps
from django.db import models
from pgtrigger import compiler


class AlwaysSql(compiler.UpsertTriggerSql):
    def get_template(self) -> str:
        return """
            CREATE OR REPLACE FUNCTION {pgid}() RETURNS TRIGGER AS $$ {declare} BEGIN {func} END; $$
                LANGUAGE plpgsql SET search_path = pg_catalog, public;
            DROP TRIGGER IF EXISTS {pgid} ON {table};
            CREATE {constraint} TRIGGER {pgid} {when} {operation} ON {table} {timing} {referencing}
                FOR EACH {level} {condition} EXECUTE FUNCTION {execute};
            ALTER TABLE {table} ENABLE ALWAYS TRIGGER {pgid};
            COMMENT ON TRIGGER {pgid} ON {table} IS '{hash}';
        """


class Always(pgtrigger.Trigger):
    """A trigger in mode ALWAYS, asking no setting."""

    def compile(self, model: models.Model) -> compiler.Trigger:
        made = super().compile(model)
        return compiler.Trigger(
            name=made.name, sql=AlwaysSql(**{**made.sql.kwargs, "table": model._meta.db_table})
        )


def active_person(user: str, *rights: str) -> str:
    """A condition: the user with this id is an active person who holds one of these `right`s, or is a superuser."""
    held = " OR ".join(("u.is_superuser", *rights))
    return (
        f"EXISTS (SELECT 1 FROM registry_user u WHERE u.id = {user} AND u.is_active AND NOT u.is_service"
        f" AND ({held}))"
    )


def right(name: str, on: str, kind: str = "namespace") -> str:
    """A condition on the user `u`: a group of theirs has the right on the namespace, or model, with this id."""
    return (
        "EXISTS (SELECT 1 FROM registry_user_groups g"
        f" JOIN registry_{kind}grouppermission held ON held.group_id = g.group_id"
        " JOIN auth_permission named ON named.id = held.permission_id"
        f" WHERE g.user_id = u.id AND held.content_object_id = {on} AND named.codename = '{name}')"
    )


def answers_for(user: str, *others: str) -> str:
    """A condition: this user is one of these accounts, or owns one of them, is owned by one, or has an owner in common
    with one. `others` are ids, or lists of them with commas."""
    return f"""EXISTS (
        WITH people AS (SELECT u.id, u.owner_id FROM registry_user u WHERE u.id IN ({", ".join(others)})),
        answerable AS (SELECT id FROM people UNION SELECT owner_id FROM people WHERE owner_id IS NOT NULL)
        SELECT 1 FROM registry_user u WHERE u.id = {user}
            AND (u.id IN (SELECT id FROM answerable) OR u.owner_id IN (SELECT id FROM answerable)))"""


def refuse(constraint: str, message: str, *values: str) -> str:
    """PL/pgSQL that raises a check violation under `constraint`; `%` in `message` takes the `values`."""
    told = "".join(f", {value}" for value in values)
    return (
        f"RAISE EXCEPTION '{message}'{told} "
        f"USING ERRCODE = '23514', CONSTRAINT = '{constraint}', TABLE = TG_TABLE_NAME;"
    )


def redactable_in(model: models.Model, columns: Iterable[str] | None = None) -> list[str]:
    """The columns of `model`, or of those named, whose text two people together may take out."""
    # Migrations hand us a copy of the model that has its fields only.
    declared = getattr(apps.get_model(model._meta.label), "redactable", ())
    return [column for column in declared if columns is None or column in columns]


def is_redaction(columns: list[str]) -> str:
    """SQL that holds when this very UPDATE is that of `registry_redact`, in one of `columns` and nothing else."""
    listed = ", ".join(f"'{column}'" for column in columns)
    return f"registry_is_redaction(TG_RELID, ARRAY[{listed}], to_jsonb(OLD), to_jsonb(NEW))"


class AppendOnly(Always):
    """No row is ever changed or deleted; what a model calls `redactable` can be taken out by a redaction."""

    name = "append_only"
    when = pgtrigger.Before
    operation = pgtrigger.Update | pgtrigger.Delete

    def get_func(self, model: models.Model) -> str:
        refusal = refuse("append_only", f"{model._meta.db_table} is append-only")
        if not (columns := redactable_in(model)):
            return refusal
        return (
            f"IF TG_OP = 'UPDATE' THEN IF {is_redaction(columns)} THEN RETURN NEW; END IF; END IF; {refusal}"
        )


class NeverDeleted(Always):
    """A row stays for ever; what may change about it is another trigger's matter."""

    name = "never_deleted"
    when = pgtrigger.Before
    operation = pgtrigger.Delete

    def get_func(self, model: models.Model) -> str:
        return refuse("never_deleted", f"rows of {model._meta.db_table} are never deleted")


class Fixed(Always):
    """These columns never change once the condition on the old row holds (by default: at once). What a model
    calls `redactable` among them can be taken out by a redaction."""

    name = "fixed"
    when = pgtrigger.Before
    operation = pgtrigger.Update

    def __init__(
        self, columns: Iterable[str], *, once: str = "true", constraint: str = "sealed", **kwargs: Any
    ) -> None:
        self.columns, self.once, self.constraint = tuple(columns), once, constraint
        super().__init__(**kwargs)

    def get_func(self, model: models.Model) -> str:
        old = ", ".join(f"OLD.{c}" for c in self.columns)
        new = ", ".join(f"NEW.{c}" for c in self.columns)
        refusal = refuse(
            self.constraint, f"{model._meta.db_table} % is sealed", f"OLD.{model._meta.pk.column}"
        )
        columns = redactable_in(model, self.columns)
        but = f" AND NOT {is_redaction(columns)}" if columns else ""
        return (
            f"IF ({self.once}) AND ROW({old}) IS DISTINCT FROM ROW({new}){but} "
            f"THEN {refusal} END IF; RETURN NEW;"
        )


class LegalEdges(Always):
    """A column moves only along the edges of a table, and is born in one of the initial states."""

    name = "legal_edges"
    when = pgtrigger.Before
    operation = pgtrigger.Insert | pgtrigger.Update

    def __init__(
        self, column: str, edges: Iterable[tuple[str, str]], born: Iterable[str], **kwargs: Any
    ) -> None:
        self.column, self.edges, self.born = column, sorted(set(edges)), sorted(set(born))
        super().__init__(**kwargs)

    def get_func(self, model: models.Model) -> str:
        old, new = f"OLD.{self.column}", f"NEW.{self.column}"
        said = f"{model._meta.db_table}: {self.column}"
        pairs = ", ".join(f"('{a}','{b}')" for a, b in self.edges)
        born = ", ".join(f"'{state}'" for state in self.born)
        return (
            f"IF TG_OP = 'INSERT' THEN IF {new} NOT IN ({born}) THEN "
            f"{refuse('legal_edges', f'{said} cannot begin as %', new)} END IF; "
            f"ELSIF {old} IS DISTINCT FROM {new} AND ({old}, {new}) NOT IN ({pairs}) THEN "
            f"{refuse('legal_edges', f'{said} cannot go from % to %', old, new)} END IF; RETURN NEW;"
        )
