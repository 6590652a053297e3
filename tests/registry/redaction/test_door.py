"""Raw SQL as the runtime role: only a redaction that two people agreed on opens the door, once, for what it names."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import IntegrityError, ProgrammingError, connection, models, transaction

from lineage.models import Run
from registry.actions.redactions import ask_redaction, decide_redaction
from registry.http.problems import constraint_name
from registry.models import Redaction
from registry.models.immutability import immutable_tables
from registry.models.redactions import redactable_columns, redactable_models, rows_within
from registry.redaction.marks import mark_of
from tests.cast import Cast, make_cast
from tests.lineage.scenes import a_run

CANARY = "hunter2-door"


@contextmanager
def refused(*constraints: str) -> Iterator[None]:
    """The database refuses it, under one of these names; without names, for want of a privilege."""
    with pytest.raises((IntegrityError, ProgrammingError)) as error, transaction.atomic():
        yield
    if constraints:
        assert isinstance(error.value, IntegrityError), error.value
        assert constraint_name(error.value) in constraints, error.value
    else:
        assert isinstance(error.value, ProgrammingError), error.value


def execute(sql: str, *arguments: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments)
        return int(cursor.rowcount)


@pytest.fixture
def run(cast: Cast) -> Run:
    return a_run(cast, command=["python", CANARY])


@pytest.fixture
def asked(cast: Cast, run: Run) -> Redaction:
    return ask_redaction(namespace=cast.namespace, reason="a secret", text=CANARY, by=cast.principal("ada"))


def decide(asked: Redaction, who: Any, state: str = "approved") -> int:
    return execute(
        "UPDATE registry_redaction SET state = %s, decided_by_id = %s, decided_at = now() WHERE id = %s",
        state, who, asked.pk,
    )  # fmt: skip


@pytest.mark.django_db
def test_without_an_approval_nothing_is_applied(cast: Cast, asked: Redaction, run: Run) -> None:
    with refused("redaction_not_approved"):
        execute("SELECT registry_redact(%s)", asked.pk)
    for said in (
        "UPDATE registry_redaction SET state = 'applied', decided_by_id = asked_by_id, decided_at = now()",
        "UPDATE registry_redaction SET applied_xid = pg_current_xact_id()::text::bigint",
        "UPDATE registry_redaction SET outcome = '{}'",
    ):
        with refused("redaction_not_approved", "legal_edges"):
            assert execute(f"{said} WHERE id = %s", asked.pk) > 0
    forged = (
        "INSERT INTO registry_redaction (id, namespace_id, state, reason, fields, more, salt, asked_by_id, asked_at,"
        " decision_reason, {column}) SELECT gen_random_uuid(), namespace_id, 'asked', 'x', '{{}}', false, salt,"
        " asked_by_id, now(), '', {value} FROM registry_redaction WHERE id = %s"
    )
    for column, value in {"applied_xid": "pg_current_xact_id()::text::bigint", "outcome": "'{}'"}.items():
        with refused("redaction_not_approved"):
            execute(forged.format(column=column, value=value), asked.pk)
    # In which transaction it was asked is the database's to say: another's word is not kept.
    execute(forged.format(column="asked_xid", value="7"), asked.pk)
    assert not Redaction.objects.filter(asked_xid=7).exists()
    assert Run.objects.get(pk=run.pk).command == ["python", CANARY]


@pytest.mark.django_db
def test_nobody_approves_alone(cast: Cast, asked: Redaction) -> None:
    with refused("own_redaction"):
        decide(asked, cast.user("ada").pk)
    with refused("own_redaction"):  # ada answers for it
        decide(asked, cast.user("ci").pk)
    for who in ("eve", "otto", "mallory"):
        with refused("not_a_decider"):
            decide(asked, cast.user(who).pk)
    with refused("redaction_decided_by_somebody", "own_redaction"):
        execute("UPDATE registry_redaction SET state = 'approved' WHERE id = %s", asked.pk)
    with refused("legal_edges"):
        execute(
            "INSERT INTO registry_redaction (id, namespace_id, state, reason, fields, more, salt, asked_by_id,"
            " asked_at, decided_by_id, decided_at, decision_reason)"
            " SELECT gen_random_uuid(), namespace_id, 'approved', 'x',"
            " '{}', false, salt, asked_by_id, now(), %s, now(), '' FROM registry_redaction WHERE id = %s",
            cast.user("cora").pk, asked.pk,
        )  # fmt: skip


@pytest.mark.django_db
def test_what_was_asked_stays_as_it_was_shown(cast: Cast, asked: Redaction, run: Run) -> None:
    for said in (
        "UPDATE registry_redaction SET reason = 'other' WHERE id = %s",
        "UPDATE registry_redaction SET salt = 'other' WHERE id = %s",
        "UPDATE registry_redaction SET asked_at = now() WHERE id = %s",
        "UPDATE registry_redaction SET asked_xid = asked_xid + 1 WHERE id = %s",
    ):
        with refused("sealed"):
            execute(said, asked.pk)
    with refused("never_deleted"):
        execute("DELETE FROM registry_redaction WHERE id = %s", asked.pk)
    with refused():
        execute("UPDATE registry_redactionplace SET row_id = row_id WHERE redaction_id = %s", asked.pk)


@pytest.mark.django_db
def test_the_runtime_role_gets_through_no_door_even_with_an_approval(
    cast: Cast, asked: Redaction, run: Run
) -> None:
    assert decide(asked, cast.user("cora").pk) == 1
    sealed = 'UPDATE lineage_run SET command = \'["python", "x"]\' WHERE id = %s'
    with refused("sealed"):
        execute(sealed, run.pk)
    execute("SELECT registry_redact(%s)", asked.pk)
    # In the very transaction in which it was applied, to the row and the column that it names.
    with refused("sealed"):
        execute(sealed, run.pk)
    with refused():
        execute("UPDATE registry_event SET reason = 'x' WHERE namespace_id = %s", cast.namespace.pk)
    with refused("redaction_not_approved"):  # used
        execute("SELECT registry_redact(%s)", asked.pk)


@pytest.mark.django_db
def test_a_setting_does_not_open_it(cast: Cast, asked: Redaction, run: Run) -> None:
    decide(asked, cast.user("cora").pk)
    execute("SELECT set_config('pgtrigger.ignore', '{lineage_run:fixed}', true)")
    with refused("sealed"):
        execute("UPDATE lineage_run SET command = '[]' WHERE id = %s", run.pk)
    for said in ("SET ROLE assay_owner", "SET session_replication_role = replica"):
        with pytest.raises(Exception, match=r"permission denied|does not exist"), transaction.atomic():
            execute(said)


@pytest.fixture
def committed(db: None) -> Callable[[], tuple[Cast, Redaction, Run]]:
    def make() -> tuple[Cast, Redaction, Run]:
        cast = make_cast()
        run = a_run(cast, command=["python", CANARY])
        row = ask_redaction(
            namespace=cast.namespace, reason="a secret", text=CANARY, by=cast.principal("ada")
        )
        return cast, row, run

    return make


@pytest.mark.django_db(transaction=True)
def test_places_are_not_added_to_what_somebody_was_shown(
    committed: Callable[[], tuple[Cast, Redaction, Run]], app_db: psycopg.Connection[Any]
) -> None:
    cast, asked, _run = committed()
    add = (
        "INSERT INTO registry_redactionplace (redaction_id, kind, table_name, row_id, column_name, path, part, digest)"
        " SELECT redaction_id, 'policy', 'lifecycle_policy', row_id, 'gates', '[]', 'value', digest"
        " FROM registry_redactionplace WHERE redaction_id = %s LIMIT 1"
    )
    with pytest.raises(psycopg.errors.CheckViolation, match="when a redaction is asked for"):
        app_db.execute(add, [asked.pk])
    decide_redaction(redaction=asked, verdict="approve", by=cast.principal("cora"))
    with pytest.raises(psycopg.errors.CheckViolation, match="when a redaction is asked for"):
        app_db.execute(add, [asked.pk])


@pytest.mark.django_db(transaction=True)
def test_the_owner_by_hand_needs_the_approval_too(
    committed: Callable[[], tuple[Cast, Redaction, Run]], owner_db: psycopg.Connection[Any]
) -> None:
    cast, asked, run = committed()
    sealed = "UPDATE lineage_run SET command = '[]' WHERE id = %s"
    with pytest.raises(psycopg.errors.CheckViolation, match="is sealed"):
        owner_db.execute(sealed, [run.pk])
    decide_redaction(redaction=asked, verdict="approve", by=cast.principal("cora"))
    with pytest.raises(psycopg.errors.CheckViolation, match="is sealed"):  # that transaction is over
        owner_db.execute(sealed, [run.pk])
    assert Run.objects.get(pk=run.pk).command[0] == "python"


NEVER = [
    ("registry_manifest", "digest"),
    ("lineage_datasetversion", "digest"),
    ("lineage_datasetversion", "foreign_digest"),
    ("lineage_node", "kind"),
    ("lineage_edge", "to_node_id"),
    ("lineage_run", "id"),
    ("lineage_run", "namespace_id"),
    ("registry_modelversion", "stage"),
    ("registry_modelversion", "run_id"),
    ("registry_artifact", "path"),
    ("registry_attachment", "sha256"),  # as text; the document goes from the store
    ("registry_event", "type"),
    ("registry_event", "actor_label"),
    ("lifecycle_approval", "verdict"),
    ("lifecycle_approval", "binding"),
    ("lifecycle_promotion", "state"),
    ("lifecycle_policy", "gates"),
    ("lifecycle_quarantine", "version_id"),
    ("registry_redaction", "state"),
    ("registry_redactionplace", "digest"),
    ("registry_user", "password"),
    ("registry_user", "username"),
    ("registry_servicetoken", "digest"),
    ("registry_webhook", "secret"),
    ("django_session", "session_data"),
    ("django_migrations", "name"),
]
PLACE = (
    "INSERT INTO registry_redactionplace (redaction_id, kind, table_name, row_id, column_name, path, part, digest)"
    " SELECT redaction_id, {kind}, {table}, row_id, {column}, path, part, digest"
    " FROM registry_redactionplace WHERE redaction_id = %(asked)s LIMIT 1"
)


def place(table: str, column: str, kind: str | None = None) -> str:
    return PLACE.format(kind=f"'{kind or table.split('_', 1)[1]}'", table=f"'{table}'", column=f"'{column}'")


@pytest.mark.django_db
def test_columns_off_the_list_are_not_even_named(cast: Cast, asked: Redaction) -> None:
    """In the transaction that asks, where others may still be named."""
    for table, column in NEVER:
        with refused("redaction_not_approved"), connection.cursor() as cursor:
            cursor.execute(place(table, column), {"asked": asked.pk})
    # Nor one that can be, shown under another name than its own; its own is taken.
    with refused("redaction_not_approved"), connection.cursor() as cursor:
        cursor.execute(place("registry_event", "reason", kind="run"), {"asked": asked.pk})
    with connection.cursor() as cursor:
        cursor.execute(place("registry_event", "reason"), {"asked": asked.pk})


@pytest.mark.django_db(transaction=True)
def test_columns_off_the_list_stay_shut_whoever_named_them(
    committed: Callable[[], tuple[Cast, Redaction, Run]], owner_db: psycopg.Connection[Any]
) -> None:
    """The function looks for itself: here the owner went past the trigger, and two people were made to agree."""
    cast, asked, _ = committed()
    with owner_db.transaction(force_rollback=True):
        owner_db.execute("ALTER TABLE registry_redactionplace DISABLE TRIGGER USER")
        for table, column in NEVER:
            with (
                pytest.raises(psycopg.errors.CheckViolation, match="is not redacted"),
                owner_db.transaction(),
            ):
                owner_db.execute(place(table, column), {"asked": asked.pk})
                owner_db.execute(
                    "UPDATE registry_redaction SET state = 'approved', decided_by_id = %s, decided_at = now()"
                    " WHERE id = %s",
                    [cast.user("cora").pk, asked.pk],
                )
                owner_db.execute("SELECT registry_redact(%s)", [asked.pk])


def test_the_database_has_the_list_of_the_models(owner_db: psycopg.Connection[Any]) -> None:
    """And nothing more: it is written at the end of every migrate."""
    listed = redactable_columns()
    assert len(listed) > 60
    every = owner_db.execute(
        "SELECT split_part(c.table_name, '_', 2), c.table_name::text, c.column_name::text, file"
        " FROM information_schema.columns c, unnest(ARRAY[true, false]) AS f(file)"
        " WHERE c.table_schema = 'public' AND"
        " registry_redactable(split_part(c.table_name, '_', 2), c.table_name, c.column_name, file)"
    ).fetchall()
    assert sorted(every) == sorted(listed)


def test_the_runtime_role_writes_no_list(app_db: psycopg.Connection[Any]) -> None:
    for statement in (
        (
            "CREATE OR REPLACE FUNCTION registry_redactable(kind text, tab text, col text, file boolean)"
            " RETURNS boolean LANGUAGE sql AS 'SELECT true'"
        ),
        "ALTER FUNCTION registry_redact(uuid) RESET search_path",
        "CREATE TEMPORARY TABLE registry_user (id uuid)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app_db.execute(statement)


@pytest.mark.django_db(transaction=True)
def test_where_temporary_tables_were_made_nothing_is_redacted(
    committed: Callable[[], tuple[Cast, Redaction, Run]], owner_db: psycopg.Connection[Any]
) -> None:
    """Triggers would read them in place of ours, as the owner. The runtime role may not make any: the owner did."""
    cast, asked, run = committed()
    with owner_db.transaction(force_rollback=True):
        owner_db.execute(
            "UPDATE registry_redaction SET state = 'approved', decided_by_id = %s, decided_at = now() WHERE id = %s",
            [cast.user("cora").pk, asked.pk],
        )
        owner_db.execute("CREATE TEMPORARY TABLE registry_user (id uuid)")
        with pytest.raises(psycopg.errors.CheckViolation, match="temporary tables"):
            owner_db.execute("SELECT registry_redact(%s)", [asked.pk])
    assert Run.objects.get(pk=run.pk).command[1] == CANARY


@pytest.mark.django_db
def test_a_mark_has_room_wherever_it_may_stand() -> None:
    for model in redactable_models().values():
        for name in getattr(model, "redactable", ()):
            longest = getattr(model._meta.get_field(name), "max_length", None)
            assert longest is None or longest >= len(mark_of("0" * 64)), (model, name)


# No text that people wrote of a namespace. A new column of text is here, or `redactable`, or says why it `stays`.
KEPT = {
    "lifecycle.gateresult": {"key", "gate", "verdict"},
    "lifecycle.approval": {"verdict", "binding"},
    "lifecycle.incident": {"severity"},
    "lifecycle.breakglass": {"verdict"},
    "lifecycle.freezewindow": {"target"},
    "lifecycle.holddecision": {"verdict"},
    "lifecycle.waiverdecision": {"verdict"},
    "lifecycle.deployment": {"serves", "digest", "drift"},
    "lifecycle.deploymentchange": {"what", "digest", "serves", "drift"},
    "lifecycle.policy": {"target", "state", "approvals"},
    "lifecycle.promotion": {"target", "kind", "state", "binding"},
    "lifecycle.revalidation": {"verdict"},
    "lifecycle.tiermove": {"to_tier", "state", "error"},
    "lineage.datasetversion": {"digest", "foreign_digest"},
    "lineage.edge": {"role"},
    "lineage.experiment": {"lifecycle"},
    "lineage.lineageevent": {"digest", "transaction"},
    "lineage.lineagesending": {"state", "last_error"},
    "lineage.lineageuse": {"role", "digest"},
    "lineage.loggedmodel": {"status", "lifecycle"},
    "lineage.node": {"kind"},
    "lineage.run": {"status", "lifecycle"},
    "lineage.runmetric": {"key"},  # told of the newest
    "lineage.supply": {"digest"},
    "registry.attachment": {"kind", "sha256"},
    "registry.blob": {"sha256", "tier", "state", "quarantine_reason"},
    "registry.checkpoint": {"root", "previous", "note"},
    "registry.delivery": {"state"},
    "registry.deliveryattempt": {"sent"},  # the address without its query, and headers of ours
    "registry.evaluation": {"dataset_digest"},
    "registry.event": {"type", "subject_kind", "subject_id", "actor_label", "token_prefix"},
    "registry.exampleresults": {"ids_digest"},
    "registry.idempotencykey": {"key", "request_hash"},
    "registry.mail": {"state"},
    "registry.manifest": {"state", "digest", "oms_digest"},
    "registry.modelversion": {"status", "format", "safety", "scanned_with", "stage"},
    "registry.redaction": {"state", "fields", "salt", "outcome"},
    "registry.redactionplace": {"kind", "table_name", "row_id", "column_name", "part", "digest"},
    "registry.rolegrant": {"role", "state"},
    "registry.rolegroup": {"role"},
    "registry.scanreport": {"scanner", "format", "verdict", "findings"},
    "registry.servicetoken": {"name", "prefix", "digest", "scopes"},
    "registry.signaturecheck": {"verdict"},
    "registry.signingkey": {"pem", "fingerprint"},
    "registry.stagechange": {"from_stage", "to_stage", "move"},
    "registry.upload": {"state", "announced"},
    "registry.uploadfile": {"sha256", "status", "staging_key", "s3_upload_id", "part_digests"},
    "registry.user": {"password", "username", "first_name", "last_name", "email"},
    "registry.webhook": {"events", "of_models", "stages", "secret", "old_secret", "disabled_reason"},
}


def test_every_column_of_text_can_be_redacted_or_stays_for_a_reason() -> None:
    told: dict[str, set[str]] = {}
    for model in apps.get_models():
        if model._meta.app_label not in {"registry", "lineage", "lifecycle"} or model._meta.proxy:
            continue
        texts = {
            field.name
            for field in model._meta.concrete_fields
            if isinstance(field, models.CharField | models.TextField | models.JSONField)
            or field.get_internal_type() == "ArrayField"
        }
        if left := texts - set(getattr(model, "redactable", ())) - set(getattr(model, "stays", ())):
            told[model._meta.label_lower] = left
    assert told == KEPT


def test_the_door_of_each_immutable_table_is_in_its_trigger() -> None:
    """A model that calls a column redactable has the trigger that says so, and its rows know their namespace."""
    for model in redactable_models().values():
        assert rows_within(model, uuid.uuid4()) is not None
        if model._meta.db_table in immutable_tables():
            compiled = " ".join(str(t.compile(model).install_sql) for t in model._meta.triggers)  # type: ignore[attr-defined]
            for column in model.redactable:  # type: ignore[attr-defined]
                assert f"'{column}'" in compiled, (model, column)
