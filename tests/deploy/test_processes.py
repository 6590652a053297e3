"""The compose file run as processes, in its own order, on the wheels' Postgres, Valkey and SeaweedFS."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.deploy.compose import OURS, in_order
from tests.deploy.stack import Stack

# One group: with `-n 2` the stack is started once, by one of the two.
pytestmark = [pytest.mark.timeout(420), pytest.mark.xdist_group("compose")]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Everything up, each service once those it waits for are healthy or have ended well."""
    # Not pytest's own folder: as root the database runs as `nobody`, who must be able to walk to it.
    folder = Path(tempfile.mkdtemp(prefix="assay-compose-"))
    folder.chmod(0o711)
    stack = Stack(folder)
    try:
        for together in in_order(stack.services):
            stack.start(*together)
        yield stack
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


def status(url: str, *, method: str = "GET", host: str | None = None) -> int:
    """The status of a request; 0 when nobody answers."""
    request = urllib.request.Request(url, method=method, data=b"x" if method == "POST" else None)
    if host:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def test_everything_is_up_and_healthy(stack: Stack) -> None:
    """The workers are asked last: they answer only when the broker passes both ways."""
    assert set(OURS) - set(stack.children) == {"migrate", "buckets"}
    for name in (
        "db",
        "broker",
        "seaweedfs",
        "beat",
        "web",
        "worker-default",
        "worker-gates",
        "worker-artifacts",
    ):
        check = stack.check_health(stack.services[name])
        assert check.returncode == 0, f"{name}: {check.stdout}{check.stderr}"


def test_the_web_answers_and_lets_nobody_in(stack: Stack) -> None:
    web = f"http://127.0.0.1:{stack.ports['web']}"
    assert status(f"{web}/healthz") == 200
    assert status(f"{web}/readyz") == 200
    assert status(f"{web}/api/v1/whoami") == 401


def test_the_web_answers_to_its_own_name_only(stack: Stack) -> None:
    assert status(f"http://127.0.0.1:{stack.ports['web']}/healthz", host="elsewhere.example") == 400


@pytest.mark.parametrize("queue", ["default", "gates", "artifacts", "upkeep"])
def test_each_worker_takes_its_own_queue(stack: Stack, queue: str) -> None:
    mine = f"{queue}@{socket.gethostname()}"
    command = [
        "celery",
        "-A",
        "config.celery:app",
        "inspect",
        "active_queues",
        "-t",
        "10",
        "-d",
        mine,
        "--json",
    ]
    service = stack.services[f"worker-{queue}"]
    shown = subprocess.run(
        command, env=stack.environment(service), capture_output=True, text=True, timeout=60, check=True
    )
    answers = json.loads(shown.stdout.splitlines()[0])
    assert [found["name"] for found in answers[mine]] == [queue]


def test_a_health_check_fails_for_what_is_not_there(stack: Stack) -> None:
    """The checks can say no: each is run with an environment that leads nowhere."""
    for name in ("web", "worker-default", "broker"):
        service = stack.services[name]
        command = [stack.translated(part) for part in service.health or []]
        nowhere = {"REDIS_URL": "redis://127.0.0.1:1/0", "VALKEY_PORT": "1"}
        environment = {k: v for k, v in stack.environment(service).items() if k != "REDIS_URL_FILE"} | nowhere
        if name == "web":
            command = [part.replace(f":{stack.ports['web']}", ":1") for part in command]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=90, check=False)
        assert done.returncode != 0, name


def test_the_two_roles_are_what_the_script_says(stack: Stack) -> None:
    with stack.connect("database_url") as runtime:
        row = runtime.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = USER"
        ).fetchone()
        assert row == (False, False, False, False)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            runtime.execute("CREATE TABLE mine (x int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            runtime.execute("TRUNCATE registry_event")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            runtime.execute("DELETE FROM registry_event")
    with stack.connect("database_owner_url") as owner:
        row = owner.execute(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        assert row == ("assay_owner",)


def test_the_stores_other_doors_are_closed(stack: Stack) -> None:
    """As it comes, SeaweedFS takes unsigned writes on its filer, volume and master ports."""
    command = stack.children["seaweedfs"].argv
    for door, path, answer in (
        ("filer", "buckets/x", 404),
        ("volume", "1,01637037d6", 401),
        ("master", "dir/assign", 404),
    ):
        (port,) = [part.partition("=")[2] for part in command if part.startswith(f"-{door}.port=")]
        assert status(f"http://127.0.0.1:{port}/{path}", method="POST") == answer, door
    assert status(f"http://127.0.0.1:{stack.ports['store']}/assay-hot/x") == 403


def test_migrate_and_buckets_may_run_again(stack: Stack) -> None:
    for name in ("migrate", "buckets"):
        stack.start(stack.services[name])


def test_everything_ends_when_asked(stack: Stack) -> None:
    """Last: SIGTERM, as `docker compose down` sends it, and each process ends by itself within its grace."""
    ended = stack.stop()
    assert {name: code for name, code in ended.items() if code} == {}
