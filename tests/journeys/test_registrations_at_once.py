"""Fifty who register a version of one model in the same moment, over HTTP; and the same request sent twice."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import httpx
import pytest

from registry.models import Event, ModelVersion
from tests.cast import Cast
from tests.conftest import Live
from tests.registry.artifacts.sending import staged

pytestmark = pytest.mark.django_db(transaction=True)
MANY = 50
Item = TypeVar("Item")


class Web:
    """Registers as ben; threads may share it."""

    def __init__(self, live: Live, cast: Cast) -> None:
        self.url = f"{live.url}/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions"
        self.token = cast.token("ben")

    def register(self, upload: str, key: str, **more: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key}
        return httpx.post(self.url, json={"upload": upload, **more}, headers=headers, timeout=60)


@pytest.fixture
def web(live: Live, cast: Cast) -> Web:
    return Web(live, cast)


def at_once(items: Sequence[Item], act: Callable[[Item], httpx.Response]) -> list[httpx.Response]:
    """`act` on all items, let go together."""
    barrier = threading.Barrier(len(items))

    def one(item: Item) -> httpx.Response:
        barrier.wait(timeout=60)
        return act(item)

    with ThreadPoolExecutor(max_workers=len(items)) as pool:
        return list(pool.map(one, items))


def uploads_of(cast: Cast, count: int) -> list[str]:
    return [str(staged(cast, {"model.bin": os.urandom(20)}).pk) for _ in range(count)]


def test_fifty_versions_at_once(web: Web, cast: Cast) -> None:
    uploads = uploads_of(cast, MANY)
    answers = at_once(uploads, lambda upload: web.register(upload, f"key-{upload}"))
    assert [answer.status_code for answer in answers] == [202] * MANY, [a.text for a in answers][:3]
    numbers = [answer.json()["number"] for answer in answers]
    assert sorted(numbers) == list(range(1, MANY + 1))
    versions = ModelVersion.objects.filter(model__namespace=cast.namespace)
    assert {str(v.manifest.upload.pk): v.number for v in versions.select_related("manifest__upload")} == dict(
        zip(uploads, numbers, strict=True)
    )
    told = Event.objects.filter(namespace=cast.namespace)
    assert told.filter(type="version.registered").count() == MANY
    assert told.filter(type="model.created").count() == 1
    # Each of them again, as a client does that never saw its answer.
    again = at_once(uploads, lambda upload: web.register(upload, f"key-{upload}"))
    assert [answer.json() for answer in again] == [answer.json() for answer in answers]
    assert all(answer.headers["Idempotency-Replayed"] == "true" for answer in again)
    others = [web.register(upload, f"key-{upload}", description="other") for upload in uploads[:5]]
    assert {(other.status_code, other.json()["code"]) for other in others} == {(422, "key-reused")}
    assert versions.count() == MANY


def test_one_request_in_flight_twice_is_one_version(web: Web, cast: Cast) -> None:
    for upload in uploads_of(cast, 8):
        answers = at_once([upload] * 4, lambda each: web.register(each, f"key-{each}"))
        done = [answer for answer in answers if answer.status_code == 202]
        assert done
        assert len({answer.json()["number"] for answer in done}) == 1
        for answer in answers:
            if answer.status_code != 202:
                assert (answer.status_code, answer.json()["code"]) == (409, "key-in-flight")
                assert answer.headers["Retry-After"]
    numbers = ModelVersion.objects.filter(model__namespace=cast.namespace).values_list("number", flat=True)
    assert sorted(numbers) == list(range(1, 9))
