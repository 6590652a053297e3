"""What is marked immutable is refused to the runtime role by the database itself: by privilege, and by trigger."""

from __future__ import annotations

from typing import Any

import psycopg
from django.apps import apps

from config.grants import statements
from registry.models.immutability import immutable_tables, sealed_tables
from tests.architecture.tree import APPS

# Facts: inserted once. Not derived from the models, so that a mark that is lost is missed here.
FACTS = {
    "registry_aliasmove",
    "registry_deliveryattempt",
    "registry_evaluation",
    "registry_evaluationmetric",
    "registry_event",
    "registry_stagechange",
    "lineage_datasetversion",
    "lineage_edge",
    "lineage_lineageevent",
    "lineage_node",
    "lineage_runmetric",
    "lineage_runparameter",
    "lifecycle_approval",
    "lifecycle_checkreport",
    "lifecycle_gateresult",
}
# Frozen row by row, once a row is sealed, published, ended or decided.
SEALED = {
    "registry_manifest",
    "registry_artifact",
    "registry_modelversion",
    "lineage_run",
    "lifecycle_policy",
}

Connection = psycopg.Connection[tuple[Any, ...]]


def column(connection: Connection, query: str) -> set[str]:
    """The first column of a query's answer."""
    return {str(row[0]) for row in connection.execute(query).fetchall()}


def allowed(connection: Connection, privilege: str) -> set[str]:
    """The tables on which the connected role holds `privilege`."""
    return column(
        connection,
        f"SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
        f"AND has_table_privilege(current_user, format('%I.%I', schemaname, tablename), '{privilege}')",
    )


def test_the_facts_are_marked() -> None:
    assert set(immutable_tables()) == FACTS
    assert set(sealed_tables()) >= SEALED


def test_every_mark_becomes_a_grant() -> None:
    said = [statement.as_string(None) for statement in statements("someone", immutable_tables())]
    for table in FACTS:
        assert f'REVOKE UPDATE, DELETE ON "{table}" FROM "someone"' in said
    blanket = next(
        i for i, text in enumerate(said) if text.startswith("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL")
    )
    assert min(i for i, text in enumerate(said) if text.startswith("REVOKE UPDATE")) > blanket


def test_the_runtime_role_may_not_change_a_fact(app_db: Connection) -> None:
    tables = column(app_db, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert tables > FACTS
    assert allowed(app_db, "UPDATE") & FACTS == set()
    assert allowed(app_db, "DELETE") & FACTS == set()
    assert allowed(app_db, "INSERT") >= FACTS


def test_the_runtime_role_may_truncate_nothing_and_make_nothing(app_db: Connection) -> None:
    assert allowed(app_db, "TRUNCATE") == set()
    assert allowed(app_db, "TRIGGER") == set()
    row = app_db.execute(
        "SELECT has_schema_privilege('public', 'CREATE'), has_database_privilege(current_database(), 'CREATE')"
    ).fetchone()
    assert row == (False, False)


def test_the_runtime_role_owns_nothing(app_db: Connection) -> None:
    assert column(app_db, "SELECT relname FROM pg_class WHERE relowner = current_user::regrole") == set()


def test_every_trigger_of_ours_fires_always(app_db: Connection) -> None:
    """'A': whatever session_replication_role says, which a superuser may set."""
    rows = app_db.execute(
        "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal"
    ).fetchall()
    ours = [row for row in rows if str(row[0]).strip('"').split("_")[0] in APPS]
    assert len(ours) > len(FACTS)
    weak = {f"{table}.{name}" for table, name, enabled in ours if enabled not in {"A", b"A"}}
    assert weak == set()
    appended = {str(table) for table, name, _ in ours if "append_only" in str(name)}
    assert appended >= FACTS


def test_no_model_is_both_a_fact_and_sealed_later() -> None:
    assert set(immutable_tables()) & set(sealed_tables()) == set()
    assert len(apps.get_models()) > len(FACTS)
