"""No server process runs as the owner of the database."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from config.embedded.programs import CELERY, CHECKOUT
from tests import services

SERVERS = {
    "web": ["-c", "import config.wsgi"],
    "worker": [*CELERY, "worker", "--pool", "solo", "--without-gossip", "--without-mingle"],
    "beat": [*CELERY, "beat", "--pidfile", ""],
}


def run(server: str, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *SERVERS[server]],
        check=False, capture_output=True, text=True, timeout=60, cwd=CHECKOUT,
        env={**os.environ, "DATABASE_URL": url, "ASSAY_BEAT_FILE": f"{os.environ['ASSAY_HOME']}/beat"},
    )  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
def test_the_owner_is_refused(server: str) -> None:
    done = run(server, os.environ["DATABASE_OWNER_URL"])
    assert done.returncode == 1
    assert "Assay does not serve: the database role of DATABASE_URL owns the database" in done.stderr


def test_a_superuser_is_refused() -> None:
    done = run(
        "web", services.at(os.environ[services.SUPERUSER], os.environ["DATABASE_URL"].rpartition("/")[2])
    )
    assert done.returncode == 1
    assert "is a superuser" in done.stderr


def test_the_runtime_role_is_not() -> None:
    assert run("web", os.environ["DATABASE_URL"]).returncode == 0


def test_a_database_that_is_away_refuses_nobody() -> None:
    """The web starts, answers with errors, and recovers when the database is back."""
    assert run("web", "postgresql://a:b@127.0.0.1:1/c").returncode == 0
