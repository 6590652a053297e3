"""Alive and ready: what is told, and what makes it 503."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.migrations.executor import MigrationExecutor
from django.test import Client

from tests.conftest import Process


def test_alive_asks_nothing() -> None:
    answer = Client().get("/healthz")  # without the database: this test has none
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_ready(broker: Process) -> None:
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok", "database": "ok", "migrations": "ok", "store": "ok", "broker": "ok"
    }  # fmt: skip


@pytest.mark.django_db
def test_without_the_broker_it_is_ready_and_says_so(broker: Process) -> None:
    broker.kill()
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["broker"]) == (200, "failing")


@pytest.mark.django_db
def test_without_the_store_it_is_not_ready(broker: Process, settings: Any) -> None:
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:1"
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["store"]) == (503, "failing")
    assert "127.0.0.1" not in answer.content.decode()


@pytest.mark.django_db
def test_with_a_migration_missing_it_is_not_ready(broker: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: [(("registry", "0099"), False)])
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["migrations"]) == (503, "failing")
