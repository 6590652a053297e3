"""What the runtime role may do, granted anew at the end of every migrate.

It reads and writes rows, and no more: no tables of its own, no TRUNCATE, and on immutable tables neither
UPDATE nor DELETE. The owner keeps the rest, and no server process logs in as the owner.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db import connections, transaction
from psycopg import sql

from registry.models.immutability import immutable_tables

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


def grant_runtime_role(using: str, role: str) -> None:
    """Apply the grants in one transaction, so that an immutable table is never open for an instant."""
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
        cursor.execute(
            "SELECT d FROM unnest(%s::text[]) d WHERE to_regprocedure(d) IS NOT NULL", [list(DOORS)]
        )
        doors = [door for (door,) in cursor.fetchall()]
        tables = [table for table in immutable_tables() if table in present]
        for statement in statements(role, tables, doors):
            cursor.execute(statement)
