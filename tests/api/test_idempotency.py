"""The same key and request get the same answer, once in effect; and what is not stored."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connections

from registry.http.idempotency import lock_number
from registry.models import Event, IdempotencyKey, RegisteredModel
from tests.cast import Cast, make_cast


def models(cast: Cast) -> str:
    return f"/api/v1/namespaces/{cast.namespace.name}/models"


def post(cast: Cast, body: Any, key: str = "k1", who: str = "ben") -> Any:
    return cast.client(who).post(models(cast), body, headers={"Idempotency-Key": key})


def test_a_repeated_request_gets_the_same_answer(cast: Cast) -> None:
    first, second = post(cast, {"name": "scorer"}), post(cast, {"name": "scorer"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert (first.headers.get("Idempotency-Replayed"), second["Idempotency-Replayed"]) == (None, "true")
    assert Event.objects.filter(namespace=cast.namespace, type="model.created").count() == 1


def test_an_answer_without_content_is_repeated_too(cast: Cast) -> None:
    made = cast.client("ben").post("/api/v1/tokens", {"name": "to end"}).json()
    client, headers = cast.client("ben"), {"Idempotency-Key": "end-1"}
    for _ in range(2):
        ended = client.delete(f"/api/v1/tokens/{made['id']}", headers=headers)
        assert (ended.status_code, ended.content) == (204, b"")


def test_another_body_under_the_key_is_refused(cast: Cast) -> None:
    post(cast, {"name": "scorer"})
    other = post(cast, {"name": "other"})
    assert (other.status_code, other.json()["code"]) == (422, "key-reused")
    assert not RegisteredModel.objects.filter(name="other", namespace=cast.namespace).exists()


def test_another_address_or_method_is_another_request(cast: Cast) -> None:
    post(cast, {"name": "scorer"})
    headers = {"Idempotency-Key": "k1"}
    assert cast.client("ben").put(f"{models(cast)}/x", {"name": "scorer"}, headers=headers).status_code == 422


def test_keys_are_each_callers_own(cast: Cast) -> None:
    post(cast, {"name": "scorer"})
    assert post(cast, {"name": "other"}, who="eve").status_code == 201


def test_a_refusal_is_not_stored(cast: Cast) -> None:
    assert post(cast, {"name": "Not a name"}).status_code == 422
    assert post(cast, {"name": "scorer"}).status_code == 201


def test_a_right_that_was_lost_is_not_replayed(cast: Cast) -> None:
    post(cast, {"name": "scorer"})
    cast.client("ada").delete(
        f"/api/v1/namespaces/{cast.namespace.name}/members/{cast.user('ben').username}/data_scientist"
    )
    assert post(cast, {"name": "scorer"}).status_code == 404


def test_secrets_are_not_stored(cast: Cast) -> None:
    ben, headers = cast.client("ben"), {"Idempotency-Key": "t1"}
    first = ben.post("/api/v1/tokens", {"name": "laptop"}, headers=headers)
    again = ben.post("/api/v1/tokens", {"name": "laptop"}, headers=headers)
    assert first.json()["token"].startswith("assay_")
    assert "token" not in again.json()
    assert again.json()["id"] == first.json()["id"]
    assert first.json()["token"] not in str(list(IdempotencyKey.objects.values_list("body", flat=True)))


@pytest.mark.parametrize("key", ["k" * 256, "a\tb", "\x7f"])
def test_a_key_is_short_and_printable(cast: Cast, key: str) -> None:
    assert post(cast, {"name": "scorer"}, key=key).status_code == 422


@contextmanager
def in_flight(cast: Cast, key: str) -> Iterator[None]:
    """Another process is answering a request with this key."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [lock_number(cast.user("ben"), key)])
        yield
        other.rollback()


def test_a_key_in_flight_is_409_and_says_when(cast: Cast) -> None:
    with in_flight(cast, "k1"):
        busy = post(cast, {"name": "scorer"})
        assert (busy.status_code, busy.json()["code"], busy["Retry-After"]) == (409, "key-in-flight", "1")
        assert post(cast, {"name": "other"}, key="k2").status_code == 201
    assert post(cast, {"name": "scorer"}).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_twelve_at_once_have_one_effect() -> None:
    cast = make_cast()
    cast.token("ben")
    barrier, answers = threading.Barrier(12), []

    def one() -> None:
        try:
            barrier.wait()
            answers.append(post(cast, {"name": "scorer"}).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {201, 409}
    assert 201 in answers
    assert Event.objects.filter(namespace=cast.namespace, type="model.created").count() == 1
