"""A pytest plugin (`-p tests.services`): real Postgres, Valkey and S3, once per run, before settings are read.

The xdist controller, or the only process, starts Postgres and the store in a temporary home and migrates a
template database as the owner. Every process that runs tests clones that database, has a Valkey of its own and
a key prefix of its own, and logs in as the runtime role. Nothing is ever flushed.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from config.embedded.home import Home, HomeIsBusy
from config.embedded.postgres import Postgres
from config.embedded.process import Child
from config.embedded.supervisor import Stack
from config.embedded.valkey import Valkey

TEMPLATE = "assay_template"
# How the controller tells the xdist workers where its services are.
RUN = "ASSAY_TEST_HOME"
SUPERUSER = "ASSAY_TEST_SUPERUSER_URL"
NO_BROKER = "redis://127.0.0.1:1/0"  # the controller runs no tests
SECRET_KEY = "tests-sign-with-this-and-nothing-else-does-0123456789"


@dataclass
class Run:
    """What this process started, and stops again."""

    folder: Path
    stack: Stack | None = None  # the controller's
    broker: Valkey | None = None  # of every process that runs tests


run: Run | None = None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Start the services ahead of pytest-django, which reads settings in this hook."""
    chosen = early_config.known_args_namespace
    if getattr(chosen, "collectonly", False) or chosen.help or chosen.version:
        os.environ["ASSAY_SETTINGS"] = "build"
        yield
        return
    start(
        worker=os.environ.get("PYTEST_XDIST_WORKER", ""), runs_tests=not getattr(chosen, "numprocesses", None)
    )
    yield


def pytest_report_header() -> str | None:
    return (
        f"services: {run.folder} (started in {os.environ.get('ASSAY_TEST_STARTED', '?')} s)" if run else None
    )


def pytest_unconfigure() -> None:
    stop()


def start(*, worker: str, runs_tests: bool) -> None:
    """Start what this process needs and put its addresses into the environment."""
    global run  # noqa: PLW0603 - one per process, and pytest has no better place this early
    began = time.monotonic()
    atexit.register(stop)  # a run that fails to begin is not told to end
    for name in [name for name in os.environ if name.startswith(("DATABASE_", "REDIS_", "S3_"))]:
        if not worker:
            del os.environ[name]  # a developer's own addresses are not for tests
    os.environ.pop("ASSAY_SETTINGS", None)
    os.environ["ASSAY_CACHE"] = "off"  # a developer's own cache takes no part in tests
    if worker:
        run = Run(Path(os.environ[RUN]))
    else:
        _remove_leftovers()
        run = Run(Path(tempfile.mkdtemp(prefix="assay-tests-")))
        os.environ[RUN] = str(run.folder)
        run.stack = _start_services(run.folder)
        os.environ.update(run.stack.env)
        os.environ["REDIS_URL"] = NO_BROKER
    if worker or runs_tests:
        run.broker = _own_services(run.folder, worker or "main")
    os.environ["ASSAY_TEST_STARTED"] = f"{time.monotonic() - began:.1f}"


def _remove_leftovers() -> None:
    """What runs that were killed left in the temporary folder: an hour old, and locked by nobody."""
    for folder in Path(tempfile.gettempdir()).glob("assay-tests-*"):
        try:
            if time.time() - folder.stat().st_mtime < 3600 or folder.stat().st_uid != os.geteuid():
                continue
            Home(folder / "services").lock()
        except (OSError, HomeIsBusy):
            continue
        shutil.rmtree(folder, ignore_errors=True)


def stop() -> None:
    """Kill what this process started. The data is thrown away, so nobody has to write anything down."""
    global run  # noqa: PLW0603
    if run is None:
        return
    if run.broker and run.broker.child:
        run.broker.child.kill()
    if run.stack:
        run.stack.stop(fast=True)
        shutil.rmtree(run.folder, ignore_errors=True)
    run = None


def _start_services(folder: Path) -> Stack:
    """Postgres with the migrated template, and the store with its buckets."""
    folder.chmod(0o711)  # as root, Postgres' account walks through it
    given = {**os.environ, "ASSAY_SECRET_KEY": SECRET_KEY, "REDIS_URL": NO_BROKER}
    stack = Stack(folder / "services", given=given, durable=False)
    stack.__enter__()
    stack.start_services()
    stack.env |= {"ASSAY_SECRET_KEY": SECRET_KEY, "ASSAY_LOG_LEVEL": "WARNING"}
    database = stack.services["database"]
    assert isinstance(database, Postgres)
    os.environ[SUPERUSER] = database.url("postgres", "postgres")
    with database.superuser() as session:
        database.create_database(session, TEMPLATE)
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL"):
        stack.env[name] = at(stack.env[name], TEMPLATE)
    stack.manage("migrate", "--noinput", "--skip-checks", "--verbosity", "0")
    stack.make_buckets()
    return stack


def _own_services(folder: Path, worker: str) -> Valkey:
    """This process's clone of the database, its broker, and its corner of the buckets."""
    home = Home(folder / worker)
    home.prepare()
    name = f"assay_{worker}"
    with superuser() as session:
        clone(session, name)
    broker = Valkey(home)
    broker.spawn()
    broker.wait_ready()
    os.environ.update(
        ASSAY_HOME=str(home.path),
        DATABASE_URL=at(os.environ["DATABASE_URL"], name),
        DATABASE_OWNER_URL=at(os.environ["DATABASE_OWNER_URL"], name),
        REDIS_URL=broker.url(),
        S3_KEY_PREFIX=f"{worker}/",
    )
    return broker


def at(url: str, database: str) -> str:
    """The same login, to another database of the same server."""
    return f"{url.rpartition('/')[0]}/{database}"


def superuser(database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
    """A session that may do anything, such as make and drop databases."""
    return psycopg.connect(at(os.environ[SUPERUSER], database), autocommit=True)


def clone(session: psycopg.Connection[tuple[object, ...]], name: str) -> None:
    """A fresh copy of the migrated database. Several processes may copy at once."""
    for attempt in range(50):
        try:
            Postgres.create_database(session, name, TEMPLATE)
            return
        except psycopg.errors.ObjectInUse:
            if attempt == 49:
                raise
            time.sleep(0.1)


def broker_child() -> tuple[Valkey, Child]:
    assert run is not None
    assert run.broker is not None
    assert run.broker.child is not None
    return run.broker, run.broker.child
