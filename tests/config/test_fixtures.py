"""The plugin and the fixtures: what every other test relies on."""

from __future__ import annotations

import os
import socket
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.utils import ProgrammingError

from config.startup import power_of_role
from tests.conftest import Live, Process, Worker


@pytest.mark.django_db
def test_tests_log_in_as_the_runtime_role() -> None:
    assert connection.settings_dict["USER"] == "assay_app"
    assert power_of_role() is None
    with pytest.raises(ProgrammingError, match="permission denied"), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.anything (id int)")


@pytest.mark.django_db(transaction=True)
def test_what_a_test_commits_stays(owner_db: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Nothing is flushed, for the runtime role could not: such tests use names of their own."""
    name = f"kept-{os.getpid()}"
    get_user_model().objects.create(username=name)
    found = owner_db.execute("SELECT username FROM registry_user WHERE username = %s", [name]).fetchone()
    assert found == (name,)
    owner_db.execute("DELETE FROM registry_user WHERE username = %s", [name])


def test_the_owner_owns_the_database(owner_db: psycopg.Connection[tuple[Any, ...]]) -> None:
    row = owner_db.execute(
        "SELECT current_user, pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    assert row == ("assay_owner", "assay_owner")


def test_sockets_reach_nothing_but_this_machine() -> None:
    with socket.socket() as client, pytest.raises(ConnectionRefusedError, match="Tests reach nothing"):
        client.connect(("192.0.2.1", 80))


def test_each_process_has_its_own_broker_and_prefix() -> None:
    mine = os.environ.get("PYTEST_XDIST_WORKER", "main")
    assert os.environ["S3_KEY_PREFIX"] == f"{mine}/"
    assert os.environ["DATABASE_URL"].endswith(f"/assay_{mine}")
    assert f"/{mine}" in os.environ["ASSAY_HOME"]


def test_the_worker_is_killed_and_started_again(worker: Worker) -> None:
    assert worker.answers()
    first = worker.child.pid
    worker.kill()
    assert not worker.answers(timeout=0.5)
    worker.start()
    assert worker.child.pid != first
    assert worker.answers()


def test_the_broker_is_stopped_and_started_again(broker: Process, worker: Worker) -> None:
    broker.kill()
    port = urlsplit(os.environ["REDIS_URL"]).port
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port or 0))
    broker.start()
    worker.child.wait_until(lambda: worker.answers(timeout=1), timeout=30)


def test_the_web_answers_on_its_own_port(live: Live) -> None:
    with urllib.request.urlopen(f"{live.url}/admin/login/") as answer:
        assert b"password" in answer.read()


def test_a_fresh_database_is_migrated_and_empty(fresh_database: str) -> None:
    url = f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{fresh_database}"
    with psycopg.connect(url) as session:
        assert session.execute("SELECT count(*) FROM registry_user").fetchone() == (0,)
        applied = session.execute("SELECT count(*) FROM django_migrations").fetchone()
    assert applied is not None
    assert applied[0] > 10
