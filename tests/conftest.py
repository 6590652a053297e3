"""The services as fixtures. They run already (tests/services.py); here they are reached, stopped and started."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections
from django.test import TransactionTestCase

from config.celery import app as celery_app
from config.embedded import programs
from config.embedded.home import free_port
from config.embedded.process import Child
from config.embedded.supervisor import serves
from tests import services
from tests.cast import cast, standing_cast

__all__ = ["cast", "standing_cast"]


QUEUES = programs.QUEUES.split(",")


class Process:
    """A real process that a test may kill and start again."""

    def __init__(self, child: Child, ready: Callable[[], bool]) -> None:
        self.child = child
        self._ready = ready

    def start(self) -> None:
        """Start it, if it does not run, and return when it does its work."""
        if not self.child.running:
            self.child.start()
        self.child.wait_until(self._ready, timeout=60, every=0.05)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self.child.stop()

    def kill(self) -> None:
        """kill -9, to all it started too."""
        self.child.kill()

    def output(self) -> str:
        """What it wrote since its last start."""
        return self.child.output()


class Live(Process):
    """The web, and its address."""

    def __init__(self, child: Child, url: str) -> None:
        super().__init__(child, lambda: serves(f"{url}/healthz"))
        self.url = url


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """The database is there, migrated, and this process's own: nothing is created, and nothing flushed."""


@pytest.fixture(scope="session", autouse=True)
def _no_flush() -> Iterator[None]:
    """Tests that commit leave their rows: they work in namespaces of their own. The runtime role cannot TRUNCATE."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda self: None)
        yield


@pytest.fixture
def owner_db() -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection as the owner, in autocommit: for what the runtime role may not do."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as session:
        session.execute("SET lock_timeout = '5s'")  # a session left in a transaction is an error, not a hang
        yield session


@pytest.fixture
def app_db() -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection as the runtime role, in autocommit, beside Django's own."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as session:
        session.execute("SET lock_timeout = '5s'")
        yield session


class Worker(Process):
    """The Celery worker, which takes messages only while a test asks for it."""

    def __init__(self, child: Child) -> None:
        super().__init__(child, lambda: " ready." in child.output())

    def resume(self) -> None:
        """Take messages; those that other tests left behind are dropped."""
        with celery_app.connection_for_write() as link:
            celery_app.control.purge(connection=link)
        if not self.child.running or not self._told("add_consumer"):
            self.kill()
            self.start()

    def pause(self) -> None:
        """Take no more messages; what runs goes on to its end. One that does not hear is ended."""
        if self.child.running and not self._told("cancel_consumer"):
            self.kill()

    def answers(self, timeout: float = 5.0) -> bool:
        """Whether the worker hears, by way of the broker."""
        with celery_app.connection_for_write() as link:  # a pooled one may be older than the broker
            return bool(celery_app.control.ping(connection=link, timeout=timeout, limit=1))

    def _told(self, command: str) -> bool:
        with celery_app.connection_for_write() as link:
            return all(
                celery_app.control.broadcast(
                    command, arguments={"queue": queue}, connection=link, reply=True, timeout=3, limit=1
                )
                for queue in QUEUES
            )


@pytest.fixture(scope="session")
def _worker() -> Iterator[Worker]:
    process = Worker(programs.worker(_environment(), _log("worker")))
    yield process
    process.kill()


@pytest.fixture
def worker(_worker: Worker, broker: Process) -> Iterator[Worker]:
    """A Celery worker over this process's database and broker, ready. Tests that use it commit."""
    _worker.resume()
    yield _worker
    broker.start()
    _worker.pause()


@pytest.fixture(scope="session")
def _live() -> Iterator[Live]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    child = programs.web(
        {**_environment(), "ASSAY_PUBLIC_URL": url, "ASSAY_DB_POOL": "4"}, _log("web"), port, workers=1
    )
    process = Live(child, url)
    yield process
    child.kill()


@pytest.fixture
def live(_live: Live, broker: Process) -> Live:
    """gunicorn over this process's database: `live.url` is its address. Tests that use it commit."""
    _live.start()
    return _live


@pytest.fixture
def broker() -> Iterator[Process]:
    """This process's own Valkey, which a test may stop; it runs again afterwards."""
    valkey, child = services.broker_child()

    def ready() -> bool:
        valkey.wait_ready()
        return True

    process = Process(child, ready)
    yield process
    process.start()


@pytest.fixture
def fresh_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of another clone of the migrated database, dropped afterwards."""
    name = f"assay_fresh_{os.getpid()}_{abs(hash(request.node.nodeid)) % 10**8}"
    with services.superuser() as session:
        services.clone(session, name)
        yield name
        session.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _environment() -> dict[str, str]:
    return programs.python_environment(
        {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_OWNER_URL")}
    )


def _log(name: str) -> Path:
    return Path(os.environ["ASSAY_HOME"]) / "logs" / f"{name}.log"


def _refuse_the_world(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in {"socket.connect", "socket.sendto"}:
        return
    address = arguments[1]
    if not isinstance(address, tuple):
        return  # a Unix socket
    try:
        local = ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        local = address[0] == "localhost"
    if not local:
        raise ConnectionRefusedError(f"Tests reach nothing but this machine, and {address[0]} is not it.")


def pytest_configure() -> None:
    sys.addaudithook(_refuse_the_world)


def pytest_sessionfinish() -> None:
    for connection in connections.all(initialized_only=True):
        connection.close()
