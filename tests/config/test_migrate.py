"""`manage.py migrate`: as the owner, and what the runtime role may do afterwards."""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from config.embedded.programs import CHECKOUT
from registry.models.immutability import immutable_tables
from tests import services

RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


def migrate(**changed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "migrate", "--noinput", "--skip-checks", "--verbosity", "0"],
        check=False, capture_output=True, text=True, cwd=CHECKOUT, env={**os.environ, **changed},
    )  # fmt: skip


def test_it_needs_the_owner() -> None:
    done = migrate(DATABASE_OWNER_URL="")
    assert done.returncode == 1
    assert "Set DATABASE_OWNER_URL" in done.stderr


def test_the_owner_is_not_the_runtime_role() -> None:
    done = migrate(DATABASE_URL=os.environ["DATABASE_OWNER_URL"])
    assert done.returncode == 1
    assert "they must be two" in done.stderr


def test_a_second_run_restores_the_rights_and_changes_nothing_else(fresh_database: str) -> None:
    table = immutable_tables()[0]
    with services.superuser(fresh_database) as session:
        before = session.execute("SELECT count(*) FROM django_migrations").fetchone()
        session.execute(f"GRANT UPDATE, DELETE, TRUNCATE ON {table} TO assay_app")
        session.execute(f'GRANT TEMPORARY ON DATABASE "{fresh_database}" TO PUBLIC')
        urls = {
            name: services.at(os.environ[name], fresh_database)
            for name in ("DATABASE_URL", "DATABASE_OWNER_URL")
        }
        done = migrate(**urls)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        assert session.execute("SELECT count(*) FROM django_migrations").fetchone() == before
        assert rights(session, table) == {"SELECT", "INSERT"}
        temporary = "SELECT has_database_privilege('assay_app', current_database(), 'TEMPORARY')"
        assert session.execute(temporary).fetchone() == (False,)


def rights(session: psycopg.Connection[tuple[object, ...]], table: str) -> set[str]:
    return {
        right
        for right in RIGHTS
        if session.execute("SELECT has_table_privilege('assay_app', %s, %s)", [table, right]).fetchone()
        == (True,)
    }


def tables(session: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    return [
        str(row[0]) for row in session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ]


def test_the_runtime_role_holds_exactly_its_rights_on_every_table(
    owner_db: psycopg.Connection[tuple[object, ...]],
) -> None:
    immutable = set(immutable_tables())
    every = tables(owner_db)
    assert immutable <= set(every)
    for table in every:
        expected = {"SELECT", "INSERT", "UPDATE", "DELETE"}
        if table in immutable:
            expected = {"SELECT", "INSERT"}
        if table == "django_migrations":
            expected = {"SELECT"}
        assert rights(owner_db, table) == expected, table


def test_a_table_made_later_is_readable_and_not_truncatable(fresh_database: str) -> None:
    url = services.at(os.environ["DATABASE_OWNER_URL"], fresh_database)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE TABLE later (id bigserial PRIMARY KEY)")
        assert rights(owner, "later") == {"SELECT", "INSERT", "UPDATE", "DELETE"}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "DROP TABLE registry_user",
        "ALTER TABLE registry_user ADD COLUMN extra int",
        "ALTER TABLE registry_event DISABLE TRIGGER ALL",
        "TRUNCATE registry_user CASCADE",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('x', 'y', now())",
        "CREATE EXTENSION citext",
        "SET ROLE assay_owner",
        "SET session_replication_role = replica",
    ],
)
def test_the_runtime_role_may_not(app_db: psycopg.Connection[tuple[object, ...]], statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        app_db.execute(statement)


def test_the_runtime_role_cannot_give_itself_rights(app_db: psycopg.Connection[tuple[object, ...]]) -> None:
    """PostgreSQL answers with a warning, so what counts is that nothing changed."""
    before = rights(app_db, "registry_event")
    app_db.execute("GRANT UPDATE ON registry_event TO assay_app")
    assert rights(app_db, "registry_event") == before == {"SELECT", "INSERT"}
