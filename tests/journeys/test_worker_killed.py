"""kill -9 of the worker in the middle of a publish, a gate evaluation, a tier move and a delivery, at once:
each is done within 90 s of the restart, and once in effect."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from config.embedded import programs
from config.embedded.process import Child
from lifecycle import promotions
from lifecycle.actions.promotions import move_version, request_promotion
from lifecycle.actions.retention import edit_retention, run_retention
from lifecycle.models import GateResult, Promotion, TierMove
from registry.actions.webhooks import create_webhook
from registry.artifacts.quarantine import lock_content
from registry.models import Delivery, Event, ModelVersion
from tests.cast import make_cast
from tests.conftest import Process
from tests.factories import evaluate, published_policy, ready_version
from tests.registry.artifacts.sending import again, published, register, send, sha256, stored

WITHIN = 90.0  # seconds from the restart; the lease is 60


class Receiver:
    """An endpoint that takes its first call and never answers it, and answers every later one."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.hang = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.heard.append(self.headers["webhook-id"])
                if len(receiver.heard) == 1:
                    receiver.hang.wait(120)
                    return
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@contextmanager
def held(take: Callable[[], object]) -> Iterator[None]:
    """Hold a lock of the database from a session beside, so that the worker stops where it wants it."""
    taken, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                take()
                taken.set()
                let_go.wait(60)
        finally:
            connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(10)
    try:
        yield
    finally:
        let_go.set()
        thread.join()


def wait(look: Callable[[], object], what: str, seconds: float) -> float:
    """Seconds until it was so."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() < began + seconds, f"{what} did not happen within {seconds:.0f} s"
        time.sleep(0.2)
    return time.monotonic() - began


@pytest.mark.timeout(300)
@pytest.mark.django_db(transaction=True)
def test_everything_is_finished_once(broker: Process, tmp_path: Path, settings: Settings) -> None:
    receiver = Receiver()
    settings.WEBHOOK_HOSTS = [f"127.0.0.1:{receiver.port}"]
    environment = {
        **os.environ,
        "ASSAY_WEBHOOK_HOSTS": f"127.0.0.1:{receiver.port}",
        "ASSAY_TIER_GRACE_SECONDS": "0",
    }
    environment = programs.python_environment(
        {name: value for name, value in environment.items() if name != "DATABASE_OWNER_URL"}
    )
    worker = programs.worker(environment, tmp_path / "worker.log", concurrency=4)
    beat = programs.beat(environment, tmp_path / "beat.log", tmp_path)
    broker.start()
    try:
        _play(worker, beat, receiver)
    finally:
        receiver.hang.set()
        for child in (worker, beat):
            child.kill()
        receiver.server.shutdown()
        receiver.server.server_close()


def _play(worker: Child, beat: Child, receiver: Receiver) -> None:
    cast = make_cast()
    ada, eve = cast.principal("ada"), cast.principal("eve")
    # Prepared without a worker: a version to publish, one to promote, one to move, an event to deliver.
    old_bytes, new_bytes = os.urandom(100_000), os.urandom(100_000)
    old = published(cast, {"old.bin": old_bytes}, model="old")
    for move in ("deprecate", "archive"):
        move_version(version=old, move=move, reason="not used", by=eve)
    promoted = ready_version(cast, model="promoted")
    evaluate(cast, promoted, 0.9)
    publishing = register(cast, send(cast, {"new.bin": new_bytes}), model="new")
    promotion = request_promotion(version=promoted, target="staging", by=eve)
    edit_retention(namespace=cast.namespace, after_days=0, keep_former=0, enabled=True, by=ada)
    run_retention(namespace=cast.namespace, by=ada)
    move_row = TierMove.objects.get(version=old)
    hook, _ = create_webhook(
        namespace=cast.namespace,
        name="ci",
        url=f"http://127.0.0.1:{receiver.port}/",
        events=["policy.published"],
        by=ada,
    )

    with (
        held(lambda: lock_content(sha256(new_bytes))),
        held(lambda: lock_content(sha256(old_bytes))),
        held(lambda: promotions.lock_model(promoted.pk)),
    ):
        _tell_something(cast)
        worker.start()
        beat.start()
        claimed = [
            ModelVersion.objects.filter(pk=publishing.pk, claimed_at__isnull=False),
            Promotion.objects.filter(pk=promotion.pk, claimed_at__isnull=False),
            TierMove.objects.filter(pk=move_row.pk, claimed_at__isnull=False),
        ]
        wait(
            lambda: all(rows.exists() for rows in claimed) and receiver.heard,
            "being in the middle of all four",
            60,
        )
        worker.kill()
    assert again(publishing).status == "verifying"
    assert Promotion.objects.get(pk=promotion.pk).state == "evaluating"
    assert TierMove.objects.get(pk=move_row.pk).state == "copying"
    assert Delivery.objects.get(webhook=hook).state == "pending"

    worker.start()
    took = wait(
        lambda: (
            again(publishing).status == "ready"
            and Promotion.objects.get(pk=promotion.pk).state == "applied"
            and TierMove.objects.get(pk=move_row.pk).state == "done"
            and Delivery.objects.get(webhook=hook).state == "delivered"
        ),
        "finishing all four",
        WITHIN,
    )

    print(f"finished {took:.0f} s after the restart")
    _once_in_effect(publishing, promotion, old, receiver)
    assert stored(new_bytes) == new_bytes
    assert (stored(old_bytes, "cold"), stored(old_bytes)) == (old_bytes, None)


def _tell_something(cast: Any) -> None:
    """An event that the webhook listens for."""
    published_policy(cast, target="staging", gates=[], approvals={"count": 0})


def _once_in_effect(
    publishing: ModelVersion, promotion: Promotion, old: ModelVersion, receiver: Receiver
) -> None:
    def told(subject: Any, type_: str) -> int:
        return Event.objects.filter(subject_id=subject.pk, type=type_).count()

    assert told(publishing, "version.ready") == 1
    assert publishing.manifest.artifacts.count() == 1
    assert told(promotion, "promotion.applied") == 1
    keys = list(GateResult.objects.filter(promotion=promotion).values_list("key", flat=True))
    assert len(keys) == len(set(keys))
    assert told(old, "version.cooled") == 1
    # Told again under the same id, by which the receiver knows it has heard it.
    assert len(set(receiver.heard)) == 1
