"""Reading objects in order: windows, breaks, changes, and nothing left open."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from registry.artifacts import hashing, storage
from registry.artifacts.hashing import hash_object, read_chunks
from registry.artifacts.storage import MIB, ObjectChanged, StoreUnavailable

CONTENT = os.urandom(5 * MIB + 17)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """An object of three windows."""
    monkeypatch.setattr(hashing, "WINDOW", 2 * MIB)
    monkeypatch.setattr("registry.artifacts.hashing.time.sleep", lambda _: None)
    key = f"staging/{uuid4()}/0"
    storage.hot().put(key, CONTENT, hashlib.sha256(CONTENT).hexdigest())
    return key


class Body:
    """A body that ends, or breaks, before its end."""

    def __init__(self, body: Any, most: int, broken: bool, closed: list[bool]) -> None:
        self.body, self.left, self.broken, self.closed = body, most, broken, closed

    def read(self, amount: int) -> bytes:
        if not self.left and self.broken:
            raise storage.StoreUnavailable("broken")
        block: bytes = self.body.read(min(amount, self.left))
        self.left -= len(block)
        return block

    def close(self) -> None:
        self.closed.append(True)
        self.body.close()


def wrapped(monkeypatch: pytest.MonkeyPatch, wrap: Callable[[Any, int], Any]) -> list[int]:
    """Have bodies wrapped; where each request began."""
    get, starts = storage.Bucket.get, list[int]()

    def other(self: storage.Bucket, key: str, **more: Any) -> Any:
        body, found = get(self, key, **more)
        starts.append(more["start"])
        return wrap(body, len(starts)), found

    monkeypatch.setattr(storage.Bucket, "get", other)
    return starts


def test_an_object_is_read_in_order(key: str) -> None:
    blocks = list(read_chunks(storage.hot(), key, storage.hot().found(key)))
    assert b"".join(blocks) == CONTENT
    assert max(map(len, blocks)) <= hashing.BLOCK
    hashed = hash_object(storage.hot(), key)
    assert (hashed.sha256, hashed.size) == (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.mark.parametrize("broken", [True, False])
def test_a_body_that_breaks_off_is_gone_on_with(
    key: str, broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []
    most = MIB + 5
    starts = wrapped(monkeypatch, lambda body, number: Body(body, most, broken, closed))
    assert hash_object(storage.hot(), key).sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert sorted(starts) == [0, most, 2 * MIB, 2 * MIB + most, 4 * MIB, 4 * MIB + most]
    assert len(closed) == 6


def test_a_store_that_goes_on_breaking_is_given_up(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    starts = wrapped(monkeypatch, lambda body, number: Body(body, 0, True, closed))
    with pytest.raises(StoreUnavailable):
        hash_object(storage.hot(), key)
    assert starts.count(0) == hashing.ATTEMPTS
    assert len(closed) == len(starts)


def test_an_answer_of_another_length_is_not_believed(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    get = storage.Bucket.get

    def whole(self: storage.Bucket, key: str, **more: Any) -> Any:
        more.pop("end")
        return get(self, key, **more | {"start": 0})

    monkeypatch.setattr(storage.Bucket, "get", whole)
    with pytest.raises(StoreUnavailable) as refused:
        hash_object(storage.hot(), key)
    assert "the store sent" in refused.value.details


def test_an_object_that_changes_meanwhile(key: str) -> None:
    found = storage.hot().found(key)
    storage.hot().put(key, CONTENT[::-1], hashlib.sha256(CONTENT[::-1]).hexdigest())
    with pytest.raises(ObjectChanged):
        hash_object(storage.hot(), key, found)
