"""Raw SQL as the runtime role: what is history cannot be changed, deleted or truncated, table by table."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import IntegrityError, ProgrammingError, connection, transaction

from registry.models.immutability import immutable_tables, sealed_tables
from tests.cast import Cast
from tests.factories import promotion_at, ready_version

# Named by hand, so that a mark taken off a model
# is a red test and not a shorter list.
HISTORY = [
    "lifecycle_approval",
    "lifecycle_checkreport",
    "lifecycle_deploymentchange",
    "lifecycle_gateresult",
    "lifecycle_holddecision",
    "lifecycle_holdlift",
    "lifecycle_overduereview",
    "lifecycle_pairedcomparison",
    "lifecycle_quarantine",
    "lifecycle_quarantinelift",
    "lifecycle_revalidation",
    "lifecycle_waiver",
    "lifecycle_waiverdecision",
    "lineage_datasetversion",
    "lineage_edge",
    "lineage_lineageevent",
    "lineage_node",
    "lineage_package",
    "lineage_runmetric",
    "lineage_runparameter",
    "lineage_supply",
    "registry_aliasmove",
    "registry_attachment",
    "registry_checkpoint",
    "registry_deliveryattempt",
    "registry_evaluation",
    "registry_evaluationmetric",
    "registry_event",
    "registry_exampleresults",
    "registry_journalentry",
    "registry_journalnode",
    "registry_redactionplace",
    "registry_scanreport",
    "registry_signaturecheck",
    "registry_stagechange",
]
SEALED = [
    "lifecycle_policy",
    "lifecycle_promotion",
    "lineage_lineageuse",
    "lineage_run",
    "registry_artifact",
    "registry_manifest",
    "registry_modelversion",
]


def test_the_marks_are_the_list() -> None:
    assert immutable_tables() == HISTORY
    assert sealed_tables() == SEALED


@pytest.mark.django_db
def test_every_trigger_fires_always() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname, tgrelid::regclass::text, tgenabled FROM pg_trigger WHERE tgname LIKE 'pgtrigger%'"
        )
        rows = cursor.fetchall()
    assert {table for _, table, _ in rows} >= {*HISTORY, *SEALED}
    assert [row for row in rows if row[2] != "A"] == []


@pytest.mark.parametrize("table", HISTORY)
@pytest.mark.parametrize("attack", ["UPDATE {t} SET id = id", "DELETE FROM {t}", "TRUNCATE {t} CASCADE"])
def test_history_stays(app_db: psycopg.Connection[Any], table: str, attack: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_db.execute(attack.format(t=table))


@pytest.mark.parametrize("table", HISTORY)
def test_history_stays_even_for_the_owner_until_they_drop_a_trigger(
    owner_db: psycopg.Connection[Any], table: str
) -> None:
    with owner_db.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_trigger t WHERE tgrelid = %s::regclass AND tgname LIKE 'pgtrigger_append_only%%'",
            [table],
        )
        row = cursor.fetchone()
    assert row == (1,)


@pytest.mark.parametrize("table", SEALED)
def test_sealed_tables_are_not_truncated(app_db: psycopg.Connection[Any], table: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_db.execute(f"TRUNCATE {table} CASCADE")


SEALED_ATTACKS = [
    "UPDATE registry_modelversion SET number = 99 WHERE id = %(version)s",
    "UPDATE registry_modelversion SET parameters = '{\"a\": 1}' WHERE id = %(version)s",
    "UPDATE registry_modelversion SET run_id = NULL WHERE id = %(version)s",
    "UPDATE registry_modelversion SET status = 'verifying' WHERE id = %(version)s",
    (
        "UPDATE registry_modelversion SET created_by_id = (SELECT id FROM registry_user"
        " WHERE id <> created_by_id LIMIT 1) WHERE id = %(version)s"
    ),
    "DELETE FROM registry_modelversion WHERE id = %(version)s",
    "UPDATE registry_manifest SET digest = repeat('0', 64) WHERE id = %(manifest)s",
    "UPDATE registry_manifest SET state = 'open', sealed_at = NULL WHERE id = %(manifest)s",
    "DELETE FROM registry_manifest WHERE id = %(manifest)s",
    "UPDATE registry_artifact SET path = 'other' WHERE manifest_id = %(manifest)s",
    "DELETE FROM registry_artifact WHERE manifest_id = %(manifest)s",
    (
        "INSERT INTO registry_artifact (manifest_id, path, blob_id)"
        " SELECT manifest_id, 'more', blob_id FROM registry_artifact WHERE manifest_id = %(manifest)s"
    ),
    (
        "UPDATE registry_blob SET size = size + 1 WHERE sha256 = (SELECT blob_id FROM registry_artifact"
        " WHERE manifest_id = %(manifest)s)"
    ),
    "UPDATE lineage_run SET code = '{}' WHERE id = %(run)s",
    "UPDATE lineage_run SET environment = '{}' WHERE id = %(run)s",
    'UPDATE lineage_run SET capture = \'{"state": "unknown"}\' WHERE id = %(run)s',
    "DELETE FROM lineage_run WHERE id = %(run)s",
]


@pytest.mark.parametrize("attack", SEALED_ATTACKS)
def test_what_is_sealed_stays(cast: Cast, attack: str) -> None:
    version = ready_version(cast)
    names = {"version": version.pk, "manifest": version.manifest_id, "run": version.run_id}

    refused(attack, names)


def test_a_setting_does_not_talk_the_triggers_out_of_it(cast: Cast) -> None:
    version = ready_version(cast)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('pgtrigger.ignore', %s, true)",
            ["{registry_modelversion:fixed,registry_modelversion:identity}"],
        )
    refused("UPDATE registry_modelversion SET number = 99 WHERE id = %(version)s", {"version": version.pk})
    with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")


PROMOTION_ATTACKS = [
    "UPDATE lifecycle_promotion SET state = 'evaluating' WHERE id = %(promotion)s",
    "UPDATE lifecycle_promotion SET outcome = 'nothing happened' WHERE id = %(promotion)s",
    "UPDATE lifecycle_promotion SET policy_snapshot = '{}' WHERE id = %(promotion)s",
    (
        "UPDATE lifecycle_promotion SET requested_by_id = (SELECT id FROM registry_user LIMIT 1), reason = 'x'"
        " WHERE id = %(promotion)s"
    ),
    "DELETE FROM lifecycle_promotion WHERE id = %(promotion)s",
    (
        "UPDATE lifecycle_policy SET gates = '[]' WHERE id = (SELECT policy_id FROM lifecycle_promotion"
        " WHERE id = %(promotion)s)"
    ),
    "DELETE FROM lifecycle_policy WHERE id = (SELECT policy_id FROM lifecycle_promotion WHERE id = %(promotion)s)",
]


@pytest.mark.parametrize("attack", PROMOTION_ATTACKS)
def test_what_was_decided_stays(cast: Cast, attack: str) -> None:
    refused(attack, {"promotion": promotion_at(cast, "applied").pk})


def refused(attack: str, names: dict[str, Any]) -> None:
    """The database refuses the statement, and it would have met a row."""
    with (
        pytest.raises((IntegrityError, ProgrammingError)),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(attack, names)
        assert cursor.rowcount > 0, "the attack met no row: it proves nothing"


def test_the_lists_name_tables_that_exist() -> None:
    tables = {model._meta.db_table for model in apps.get_models()}
    assert {*HISTORY, *SEALED} <= tables
