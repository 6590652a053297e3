"""What the runtime role holds, by privilege. What happens when it tries is in tests/test_immutability.py."""

from __future__ import annotations

from typing import Any

import psycopg

from config.grants import statements
from registry.models.immutability import immutable_tables, sealed_tables

Connection = psycopg.Connection[tuple[Any, ...]]


def tables_with(connection: Connection, privilege: str) -> set[str]:
    """The tables on which the connected role holds `privilege`."""
    rows = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
        "AND has_table_privilege(current_user, format('%%I.%%I', schemaname, tablename), %s)",
        [privilege],
    )
    return {str(name) for (name,) in rows.fetchall()}


def test_every_mark_becomes_a_grant() -> None:
    said = [statement.as_string(None) for statement in statements("someone", immutable_tables())]
    revoked = [f'REVOKE UPDATE, DELETE ON "{table}" FROM "someone"' for table in immutable_tables()]
    assert revoked
    assert said[-len(revoked) :] == revoked  # after the blanket grant, which would undo them


def test_no_table_is_both_a_fact_and_sealed_later() -> None:
    assert set(immutable_tables()) & set(sealed_tables()) == set()


def test_it_may_not_change_a_fact(app_db: Connection) -> None:
    facts = set(immutable_tables())
    assert tables_with(app_db, "INSERT") > facts
    assert tables_with(app_db, "UPDATE") & facts == set()
    assert tables_with(app_db, "DELETE") & facts == set()


def test_it_may_truncate_nothing_and_make_nothing(app_db: Connection) -> None:
    assert tables_with(app_db, "TRUNCATE") == set()
    assert tables_with(app_db, "TRIGGER") == set()
    row = app_db.execute(
        "SELECT has_schema_privilege('public', 'CREATE'), has_database_privilege(current_database(), 'CREATE')"
    ).fetchone()
    assert row == (False, False)


def test_it_owns_nothing(app_db: Connection) -> None:
    row = app_db.execute("SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole").fetchone()
    assert row == (0,)
