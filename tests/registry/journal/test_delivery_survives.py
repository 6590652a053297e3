"""A worker is killed in the middle of a delivery: it is made again, and a receiver can tell that it is the same."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from config.celery import app as celery_app
from config.embedded import programs
from registry.actions.models import create_model
from registry.actions.webhooks import create_webhook
from registry.models import Delivery, OutboxItem
from registry.tasks import drain_outbox, sweep_deliveries
from tests.cast import Cast, make_cast
from tests.conftest import Process
from tests.registry.journal.receiver import Receiver, plain, receiving

LEASE = 2


def eventually(holds: Callable[[], bool], *, meanwhile: Callable[[], object] | None = None) -> None:
    """Wait until it holds, doing what beat would do meanwhile; fail when it does not in half a minute."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)
        if meanwhile:
            meanwhile()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def own_worker(db: None, receiver: Receiver, broker: Process) -> Iterator[Process]:
    """A worker with a short lease that may tell this receiver. What other tests left to be done is dropped."""
    with celery_app.connection_for_write() as link:
        celery_app.control.purge(connection=link)
    OutboxItem.objects.all().delete()
    given = {name: value for name, value in os.environ.items() if name != "DATABASE_OWNER_URL"}
    given |= {"ASSAY_WEBHOOK_HOSTS": f"127.0.0.1:{receiver.port}", "ASSAY_LEASE_SECONDS": str(LEASE)}
    log = Path(os.environ["ASSAY_HOME"]) / "logs" / "deliveries.log"
    child = programs.worker(programs.python_environment(given), log)
    process = Process(child, lambda: " ready." in child.output())
    process.start()
    yield process
    process.kill()


@pytest.fixture
def hooked(db: None, receiver: Receiver, settings: Any) -> Cast:
    settings.WEBHOOK_HOSTS = [f"127.0.0.1:{receiver.port}"]
    cast = make_cast()
    create_webhook(
        namespace=cast.namespace, name="ci", url=receiver.url, events=["model.*"], by=cast.principal("ada")
    )
    return cast


@pytest.mark.django_db(transaction=True)
def test_it_works(hooked: Cast, own_worker: Process, receiver: Receiver) -> None:
    create_model(namespace=hooked.namespace, name="scorer", by=hooked.principal("ben"))
    eventually(lambda: len(receiver.heard) == 1)
    eventually(lambda: _state(hooked) == "delivered")


@pytest.mark.django_db(transaction=True)
def test_kill_nine_in_the_middle(hooked: Cast, own_worker: Process, receiver: Receiver) -> None:
    def never(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(20)

    receiver.answer = never
    create_model(namespace=hooked.namespace, name="scorer", by=hooked.principal("ben"))
    eventually(lambda: len(receiver.heard) == 1)
    own_worker.kill()
    assert _state(hooked) == "pending"
    receiver.answer = lambda handler: plain(handler, 204)
    own_worker.start()
    eventually(lambda: _state(hooked) == "delivered", meanwhile=sweep_deliveries.delay)
    assert {headers["webhook-id"] for _, headers, _ in receiver.heard} == {receiver.heard[0][1]["webhook-id"]}
    assert Delivery.objects.get(webhook__namespace=hooked.namespace).attempts.count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_happens_while_the_broker_is_down_is_told_afterwards(
    hooked: Cast, own_worker: Process, receiver: Receiver, broker: Process
) -> None:
    broker.kill()
    answers = [
        hooked.client("ben").post(f"/api/v1/namespaces/{hooked.namespace.name}/models", {"name": f"m{n}"})
        for n in range(10)
    ]
    assert {answer.status_code for answer in answers} == {201}
    broker.start()
    drain_outbox.delay()
    eventually(lambda: len(receiver.heard) >= 10, meanwhile=sweep_deliveries.delay)
    told = sorted(headers["webhook-id"] for _, headers, _ in receiver.heard)
    assert len(told) == len(set(told)) == 10


def _state(cast: Cast) -> str:
    row = Delivery.objects.filter(webhook__namespace=cast.namespace).first()
    return row.state if row else ""
