"""What the runtime role may do, granted anew at the end of every migrate.

It reads and writes rows, and no more: no tables of its own, no TRUNCATE, and on immutable tables neither
UPDATE nor DELETE. The owner keeps the rest, and no server process logs in as the owner. With the grants goes the list
of what two people together may take out, which `registry_redact` touches and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db import connections, transaction
from psycopg import sql

from registry.models.immutability import immutable_tables
from registry.models.redactions import redactable_columns

HISTORY = "django_migrations"


# Functions that run as the owner, and check for themselves who decided what.
DOORS = ("registry_redact(uuid)",)


def statements(role: str, immutable: list[str], doors: Sequence[str] = ()) -> Iterator[sql.Composed]:
    """The grants for `role`, in order. Run as the owner: default privileges are those of who runs them."""

    def say(text: str, **names: str) -> sql.Composed:
        return sql.SQL(text).format(
            role=sql.Identifier(role), **{key: sql.Identifier(name) for key, name in names.items()}
        )

    yield say("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    yield say("GRANT USAGE ON SCHEMA public TO {role}")
    yield say("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
    yield say("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    yield say("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}")
    yield say(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}"
    )
    yield say("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {role}")
    yield say("REVOKE INSERT, UPDATE, DELETE ON {table} FROM {role}", table=HISTORY)
    for door in doors:
        yield say(f"GRANT EXECUTE ON FUNCTION {door} TO {{role}}")
    for table in immutable:  # after the blanket grant, and in its transaction
        yield say("REVOKE UPDATE, DELETE ON {table} FROM {role}", table=table)


def redactable(columns: Sequence[tuple[str, str, str, bool]]) -> sql.Composed:
    """The database's list of what can be redacted: (kind, table, column, whether a document is meant)."""
    rows = sql.SQL(", ").join(
        sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, row))) for row in columns
    )
    return sql.SQL(
        "CREATE OR REPLACE FUNCTION registry_redactable(kind text, tab text, col text, file boolean) RETURNS boolean "
        "LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp "
        "AS $$ SELECT (kind, tab, col, file) IN (VALUES {}) $$"
    ).format(rows)


def grant_runtime_role(using: str, role: str) -> None:
    """Apply the grants in one transaction, so that an immutable table is never open for an instant."""
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
        cursor.execute(
            "SELECT d FROM unnest(%s::text[]) d WHERE to_regprocedure(d) IS NOT NULL", [list(DOORS)]
        )
        doors = [door for (door,) in cursor.fetchall()]
        if doors:
            cursor.execute(redactable(redactable_columns()))
        cursor.execute(
            "SELECT current_database() FROM pg_database WHERE datname = current_database()"
            " AND pg_has_role(current_user, datdba, 'MEMBER')"
        )
        for (database,) in cursor.fetchall():  # else its owner has to, and the doctor says so
            # Before every schema that we name comes the one of temporary tables: what a trigger reads there is a lie.
            without = "REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC, {}"
            cursor.execute(sql.SQL(without).format(sql.Identifier(database), sql.Identifier(role)))
        tables = [table for table in immutable_tables() if table in present]
        for statement in statements(role, tables, doors):
            cursor.execute(statement)
