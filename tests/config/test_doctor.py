"""The doctor: green where all is well, and red for each thing that can be wrong, naming it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections
from pytest_django import Settings

from config.doctor.findings import examine
from config.doctor.store import Probe
from config.embedded.home import Home, free_port
from tests import services

pytestmark = pytest.mark.django_db(transaction=True)


def findings(capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """What `doctor --json` says, by area and check; its exit code agrees."""
    code: object = 0
    try:
        call_command("doctor", "--json")
    except SystemExit as end:
        code = end.code
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is (code == 0)
    assert code in {0, 1}
    return {(row["area"], row["check"]): row for row in said["findings"]}


def failed(found: dict[tuple[str, str], dict[str, Any]]) -> list[tuple[str, str]]:
    return [key for key, row in found.items() if row["verdict"] == "fail"]


@pytest.fixture
def at_the_store(monkeypatch: pytest.MonkeyPatch) -> Home:
    """ASSAY_HOME is that of the embedded store, so that its side ports are known."""
    home = Home(Path(os.environ[services.RUN]) / "services")
    monkeypatch.setenv("ASSAY_HOME", str(home.path))
    return home


@pytest.fixture
def careless() -> Iterator[str]:
    """A server that says yes to everything: the address."""

    class SayYes(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), SayYes) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_is_green_here(at_the_store: Home, capsys: pytest.CaptureFixture[str]) -> None:
    found = findings(capsys)
    assert {row["verdict"] for row in found.values()} == {"ok"}, failed(found)
    assert {area for area, _ in found} == {"database", "broker", "store"}
    assert found["store", "side ports refuse writes"]["sentence"] == "5 attempts refused"
    assert "tables immutable" in found["database", "runtime role's rights"]["sentence"]


def test_its_table_ends_with_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("doctor")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "All is well."
    assert all(line.startswith("ok") for line in lines[:-1])


def test_it_leaves_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    probe = Probe.from_settings()
    call_command("doctor")
    prefix = probe.key.rpartition("/")[0]
    assert probe.client.list_objects_v2(Bucket=probe.bucket, Prefix=prefix).get("Contents", []) == []
    probe.clean_up()


def test_a_wrong_secret_is_told(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.S3_SECRET_ACCESS_KEY = "not the one"
    found = findings(capsys)
    assert failed(found) == [("store", "buckets")]
    assert "refuses our key (403)" in found["store", "buckets"]["sentence"]
    assert "S3_SECRET_ACCESS_KEY" in found["store", "buckets"]["hint"]
    assert found["store", "put"]["verdict"] == "untried"


def test_a_missing_bucket_is_told(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.S3_BUCKETS = {**settings.S3_BUCKETS, "cold": "assay-nowhere"}
    found = findings(capsys)
    assert failed(found) == [("store", "buckets")]
    assert found["store", "buckets"]["hint"] == "Run manage.py make_buckets."


def test_a_store_that_is_down_is_told(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.S3_ENDPOINT_URL = f"http://127.0.0.1:{free_port()}"
    found = findings(capsys)
    assert failed(found) == [("store", "buckets")]
    assert "no answer at http://127.0.0.1" in found["store", "buckets"]["sentence"]


def test_a_broker_that_is_down_is_told(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    found = findings(capsys)
    assert failed(found) == [("broker", "answers")]
    assert "REDIS_URL" in found["broker", "answers"]["hint"]


def test_a_wrong_broker_password_is_told(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.REDIS_URL = settings.REDIS_URL.replace("redis://:", "redis://:x")
    found = findings(capsys)
    assert failed(found) == [("broker", "answers")]
    assert "refuses the password" in found["broker", "answers"]["sentence"]


@pytest.fixture
def database_settings() -> Iterator[dict[str, Any]]:
    """Where Django logs in, to be changed for one test."""
    connection.close()
    kept = dict(connection.settings_dict)
    yield connection.settings_dict
    connection.close()
    connection.settings_dict.update(kept)


def test_a_database_that_is_down_is_told(
    database_settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    database_settings["PORT"] = free_port()
    found = findings(capsys)
    assert failed(found) == [("database", "runtime role connects")]
    assert found["database", "version"]["verdict"] == "untried"


def test_the_owner_as_runtime_role_is_told(
    database_settings: dict[str, Any], settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = settings.DATABASE_OWNER
    database_settings.update(USER=owner["USER"], PASSWORD=owner["PASSWORD"])
    found = findings(capsys)
    assert ("database", "runtime role is not the owner") in failed(found)
    assert "owns the database" in found["database", "runtime role is not the owner"]["sentence"]
    assert ("database", "runtime role's rights") in failed(found)


def test_a_right_too_many_is_told(
    fresh_database: str, database_settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    database_settings["NAME"] = fresh_database
    with services.superuser(fresh_database) as session:
        session.execute("GRANT TRUNCATE ON registry_user TO assay_app")
    found = findings(capsys)
    assert failed(found) == [("database", "runtime role's rights")]
    assert "TRUNCATE on registry_user" in found["database", "runtime role's rights"]["sentence"]
    connections.close_all()


def test_temporary_tables_are_a_right_too_many(
    fresh_database: str, database_settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    database_settings["NAME"] = fresh_database
    with services.superuser(fresh_database) as session:
        session.execute(f'GRANT TEMPORARY ON DATABASE "{fresh_database}" TO PUBLIC')
    found = findings(capsys)
    assert failed(found) == [("database", "runtime role's rights")]
    assert "temporary tables" in found["database", "runtime role's rights"]["sentence"]
    connections.close_all()


def test_a_waiting_migration_is_told(
    fresh_database: str, database_settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    database_settings["NAME"] = fresh_database
    with services.superuser(fresh_database) as session:
        session.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
    found = findings(capsys)
    assert failed(found) == [("database", "migrations applied")]
    assert "sessions.0001_initial" in found["database", "migrations applied"]["sentence"]
    connections.close_all()


def test_the_wrong_owner_is_told(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    login = {key: connection.settings_dict[key] for key in ("USER", "PASSWORD")}
    settings.DATABASE_OWNER = {**settings.DATABASE_OWNER, **login}
    found = findings(capsys)
    assert failed(found) == [("database", "owner role connects")]
    assert "assay_app does not own" in found["database", "owner role connects"]["sentence"]


def test_a_public_address_that_takes_anything_is_told(settings: Settings, careless: str) -> None:
    """The refusals are measured, not assumed: a careless server fails each of them."""
    settings.S3_PUBLIC_ENDPOINT_URL = careless
    probe = Probe.from_settings()
    found = {finding.check: finding for finding in examine(probe.checks())}
    probe.clean_up()
    bad = {name for name, finding in found.items() if finding.verdict == "fail"}
    assert bad == {
        "presigned put",
        "presigned get",
        "unauthenticated write refused",
        "forged unsigned trailer refused",
    }
    assert "allowed an unauthenticated PUT (200)" in found["unauthenticated write refused"].sentence


def test_an_open_side_port_is_told(careless: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = Home(Path(os.environ[services.RUN]) / "services").known_ports()
    ports["store:volume"] = int(careless.rpartition(":")[2])
    (tmp_path / "ports.json").write_text(json.dumps(ports))
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    probe = Probe.from_settings()
    found = {finding.check: finding for finding in examine(probe.checks())}
    probe.clean_up()
    assert [name for name, finding in found.items() if finding.verdict == "fail"] == [
        "side ports refuse writes"
    ]
    assert "its volume port answered" in found["side ports refuse writes"].sentence
