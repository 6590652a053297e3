"""`manage.py up` from outside: it starts, mends itself, stops, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from botocore.exceptions import ClientError

from config.buckets import client_for
from config.embedded.home import Home
from config.embedded.programs import CHECKOUT
from config.embedded.supervisor import serves
from tests import services
from tests.config.running import Up, all_gone, clean_environment, within

# On a machine busy with other work each start takes its time.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder anybody may write to: pytest's own are closed to the ordinary user."""
    made = Path(tempfile.mkdtemp(prefix="assay-up-"))
    made.chmod(0o777)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def put(up: Up, key: str) -> None:
    """Write an object and a row."""
    settings = up.settings()
    client = store(settings)
    client.put_object(Bucket="assay-hot", Key=key, Body=b"kept")
    client.close()
    with psycopg.connect(settings["DATABASE_OWNER_URL"]) as session:
        session.execute("CREATE TABLE kept AS SELECT 1 AS one")


def store(settings: dict[str, str]):  # type: ignore[no-untyped-def]  # the stub's name says less than the call
    return client_for(
        settings["S3_ENDPOINT_URL"],
        settings["S3_ACCESS_KEY_ID"],
        settings["S3_SECRET_ACCESS_KEY"],
        "us-east-1",
    )


def test_a_life(folder: Path) -> None:
    """Start, mend a dead worker, be killed, start over the same data, and stop when told."""
    home = folder / "home"
    with Up(home) as up:
        up.wait_until_ready()
        # The administrator's password is shown, and works.
        assert re.search(r"sign in  admin / \S{20,}  \(shown this once", up.output())
        assert serves(f"{up.url}/admin/login/")
        # Other shells find the stack, and only this user's.
        assert stat.S_IMODE((home / "run.env").stat().st_mode) == 0o600
        settings = up.settings()
        assert settings["ASSAY_PUBLIC_URL"] == up.url
        assert "assay_app" in settings["DATABASE_URL"]
        assert all(":127.0.0.1:" not in value for value in settings.values())
        # The servers do not know the owner's password.
        for name in ("gunicorn", "celery.* -n worker@", "celery.* beat "):
            assert "DATABASE_OWNER_URL" not in up.child(name).environ()
        put(up, "before")
        # A second one over the same folder is refused.
        second = subprocess.run(
            [sys.executable, "manage.py", "up"], check=False, capture_output=True, text=True,
            cwd=CHECKOUT, env=up.environment,
        )  # fmt: skip
        assert second.returncode == 1
        assert f"already runs in {home}" in second.stdout
        # A dead child is started again.
        worker = up.child("celery.* -n worker@")
        worker.kill()
        up.wait_for(r"worker \| ended with -9; starting it again now")
        assert within(60, lambda: bool(re.search(r"worker@\S+ ready\.", up.output())))
        assert up.child("celery.* -n worker@").pid != worker.pid
        # kill -9: nothing remains.
        family = up.family()
        assert len(family) > 8
        up.kill()
        assert all_gone(family, 15)
    with Up(home) as up:
        up.wait_until_ready()
        assert "password" not in up.output()
        again = up.settings()
        assert {k: v for k, v in again.items() if k != "ASSAY_PUBLIC_URL"} == {
            k: v for k, v in settings.items() if k != "ASSAY_PUBLIC_URL"
        }
        client = store(again)
        assert read_when_served(client, "before") == b"kept"
        client.close()
        with psycopg.connect(again["DATABASE_OWNER_URL"]) as session:
            assert session.execute("SELECT one FROM kept").fetchone() == (1,)
        family = up.family()
        assert up.end(signal.SIGTERM) == 0
        assert all_gone(family, 0.5)
        assert not (home / "run.env").exists()
        assert "stopped" in up.output()


def test_an_ordinary_user(folder: Path) -> None:
    """Without root nothing is different; with root, `nobody` stands in for the ordinary user."""
    with Up(folder / "home", ordinary_user=True) as up:
        up.wait_until_ready()
        owners = {process.uids().effective for process in up.family()}
        assert len(owners) == 1
        assert 0 not in owners
        doctor = subprocess.run(
            [sys.executable, "manage.py", "doctor"], check=False, capture_output=True, text=True,
            cwd=CHECKOUT, env={**clean_environment(), "ASSAY_HOME": str(folder / "home")},
        )  # fmt: skip
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr
        assert "5 attempts refused" in doctor.stdout
        family = up.family()
        assert up.end(signal.SIGINT) == 0
        assert all_gone(family, 0.5)


def test_services_given_by_url_are_not_started(folder: Path, fresh_database: str) -> None:
    given = {name: value for name, value in os.environ.items() if name.startswith(("S3_", "REDIS_"))}
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL"):
        given[name] = services.at(os.environ[name], fresh_database)
    with Up(folder / "home", environment=given) as up:
        up.wait_until_ready()
        assert [line for line in up.output().splitlines() if "given by URL" in line] == [
            "database | given by URL",
            "  broker | given by URL",
            "   store | given by URL",
        ]
        names = {" ".join(process.cmdline()) for process in up.family()}
        assert not [name for name in names if re.search("postgres|weed|valkey-server", name)]
        assert not (folder / "home" / "postgres").exists()
        assert up.end(signal.SIGTERM) == 0


def test_the_owner_is_asked_for(folder: Path) -> None:
    with Up(folder / "home", environment={"DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c"}) as up:
        assert up.process.wait(90) == 1
        assert "DATABASE_OWNER_URL is not" in up.output()


def test_a_port_that_is_taken_is_refused(folder: Path) -> None:
    taken = Up(folder / "home")
    taken.command[-1] = services.at(os.environ["DATABASE_URL"], "").rpartition(":")[2].rstrip("/")
    with taken as up:
        assert up.process.wait(90) == 1
        assert f"Port {taken.command[-1]} is taken" in up.output()


def test_killed_and_stopped_while_it_starts(folder: Path) -> None:
    """A start at once after a kill finds the ports it had; Ctrl-C does not wait for the end of a start."""
    home = Home(folder / "home")
    with Up(home.path) as up:
        up.wait_for(r"store \| ready")
        ports = home.known_ports()
        up.kill()
    with Up(home.path) as up:
        up.wait_for(r"store \| ready")
        assert home.known_ports() == ports
        family = up.family()
        assert up.end(signal.SIGINT) == 0
        assert all_gone(family, 0.5)


def test_what_a_killed_server_left_does_not_stop_the_next(folder: Path) -> None:
    """A postmaster.pid whose number now belongs to somebody else, as after a power cut."""
    home = Home(folder / "home")
    with Up(home.path) as up:
        up.wait_for(r"store \| ready")
        family = up.family()
        for process in family:
            process.kill()
        up.kill()
        assert all_gone(family, 5)
    lock = home.reachable_folder("postgres") / "data" / "postmaster.pid"
    assert lock.exists()
    lines = lock.read_text().splitlines()
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    with Up(home.path) as up:
        up.wait_for(r"database \| ready")


def read_when_served(client: Any, key: str) -> bytes:
    """The object. After kill -9 the store answers before it has found all of its volumes again."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return bytes(client.get_object(Bucket="assay-hot", Key=key)["Body"].read())
        except ClientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
