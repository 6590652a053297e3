"""Checks of PostgreSQL and its two roles."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import OperationalError
from psycopg.conninfo import make_conninfo

from config.doctor.findings import Check, Wrong, clock_skew, first_line
from config.startup import power_of_role
from registry.models.immutability import immutable_tables

OLDEST = 150000
_GRANTS = "Run manage.py migrate with DATABASE_OWNER_URL: it grants the runtime role exactly its rights."
_TOO_MUCH = """
SELECT c.relname, p.privilege FROM pg_class c, unnest(ARRAY['TRUNCATE', 'UPDATE', 'DELETE']) AS p(privilege)
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
AND (p.privilege = 'TRUNCATE' OR c.relname = ANY(%s)) AND has_table_privilege(c.oid, p.privilege)
ORDER BY 1, 2
"""


def checks() -> Iterator[Check]:
    area = "database"
    yield Check(area, "runtime role connects", _connects, vital=True)
    yield Check(area, "version", _version)
    yield Check(area, "runtime role is not the owner", _not_owner)
    yield Check(area, "migrations applied", _migrated)
    yield Check(area, "runtime role's rights", _rights)
    yield Check(area, "owner role connects", _owner_connects)
    yield Check(area, "clock", _clock)


def _rows(statement: str, *parameters: list[str]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _connects() -> str:
    try:
        user, database = _rows("SELECT current_user, current_database()")[0]
    except OperationalError as error:
        where = f"{connection.settings_dict['HOST']}:{connection.settings_dict['PORT']}"
        raise Wrong(f"cannot log in at {where}: {first_line(error)}", "Check DATABASE_URL.") from error
    return f"{user} in {database}"


def _version() -> str:
    number, name = _rows(
        "SELECT current_setting('server_version_num')::int, current_setting('server_version')"
    )[0]
    if number < OLDEST:
        raise Wrong(f"PostgreSQL {name} is too old", f"Assay needs PostgreSQL {OLDEST // 10000} or newer.")
    return f"PostgreSQL {name}"


def _not_owner() -> str:
    if power := power_of_role():
        raise Wrong(
            f"the runtime role {power}",
            "DATABASE_URL must name the runtime role; the owner's login belongs in DATABASE_OWNER_URL.",
        )
    return "neither superuser nor owner"


def _migrated() -> str:
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in waiting[:3])
        raise Wrong(f"{len(waiting)} not applied: {names}", "Run manage.py migrate.")
    return f"all {len(executor.loader.applied_migrations)}"


def _rights() -> str:
    if _rows("SELECT has_schema_privilege('public', 'CREATE')")[0][0]:
        raise Wrong("the runtime role may create tables", _GRANTS)
    if _rows("SELECT has_database_privilege(current_database(), 'TEMPORARY')")[0][0]:
        raise Wrong(
            "the runtime role may create temporary tables, by which triggers can be deceived", _GRANTS
        )
    immutable = immutable_tables()
    if found := _rows(_TOO_MUCH, immutable):
        listed = ", ".join(f"{privilege} on {table}" for table, privilege in found[:4])
        raise Wrong(f"the runtime role holds {len(found)} rights too many: {listed}", _GRANTS)
    return f"no DDL, no TRUNCATE, {len(immutable)} tables immutable"


def _owner_connects() -> str:
    owner = settings.DATABASE_OWNER
    if owner is None:
        return "not given here: only migrate needs it"
    login = {"user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT", "dbname": "NAME"}
    try:
        where = make_conninfo(**{name: str(owner[key]) for name, key in login.items() if owner.get(key)})
        with psycopg.connect(where, connect_timeout=5) as session:
            row = session.execute(
                "SELECT pg_has_role(current_user, datdba, 'MEMBER') FROM pg_database "
                "WHERE datname = current_database()"
            ).fetchone()
    except psycopg.OperationalError as error:
        raise Wrong(f"cannot log in: {first_line(error)}", "Check DATABASE_OWNER_URL.") from error
    if not row or not row[0]:
        raise Wrong(
            f"{owner['USER']} does not own {owner['NAME']}", "DATABASE_OWNER_URL must name the owner."
        )
    return str(owner["USER"])


def _clock() -> str:
    before = time.time()
    theirs = float(_rows("SELECT extract(epoch FROM clock_timestamp())")[0][0])
    return clock_skew((before + time.time()) / 2, theirs)
