"""Several at once: numbers without gaps or doubles, one content object, one event each."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from django.db import connection, transaction

from registry.artifacts import storage
from registry.artifacts.publish import publish
from registry.artifacts.quarantine import lock_content
from registry.models import Event, ModelVersion
from tests.cast import Cast
from tests.registry.artifacts.sending import again, begin, events, register, sha256, sign, staged, stored

pytestmark = pytest.mark.django_db(transaction=True)
Item = TypeVar("Item")
Result = TypeVar("Result")


def at_once(items: Sequence[Item], act: Callable[[Item], Result]) -> list[Result]:
    """`act` on all items, let go together."""
    barrier = threading.Barrier(len(items))

    def one(item: Item) -> Result:
        try:
            barrier.wait(timeout=30)
            return act(item)
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=len(items)) as pool:
        return list(pool.map(one, items))


def test_versions_registered_at_once_are_numbered_without_gaps(cast: Cast) -> None:
    uploads = [staged(cast, {"model.bin": os.urandom(20)}) for _ in range(12)]
    versions = at_once(uploads, lambda upload: register(cast, upload, model="brand-new"))
    assert sorted(version.number for version in versions) == list(range(1, 13))
    assert len({version.model_id for version in versions}) == 1
    assert len(events(cast, "model.created")) == 1
    assert len(events(cast, "version.registered")) == 12


def test_equal_bytes_published_at_once_are_one_object(cast: Cast) -> None:
    content = os.urandom(200_000)
    versions = [register(cast, staged(cast, {"model.bin": content}), model=f"m{n}") for n in range(8)]
    at_once(versions, lambda version: publish(version.pk))
    assert {again(version).status for version in versions} == {"ready"}
    assert stored(content) == content
    assert [key for key, _ in storage.hot().keys(storage.content_key(sha256(content)))] == [
        storage.content_key(sha256(content))
    ]
    assert not events(cast, "blob.quarantined", "blob.healed")


def test_one_version_published_by_several_is_ready_once(cast: Cast) -> None:
    version = register(cast, staged(cast, {"model.bin": os.urandom(200_000)}))
    at_once([version] * 8, lambda version: publish(version.pk))
    assert again(version).status == "ready"
    assert len(events(cast, "version.ready")) == 1


def test_a_worker_that_comes_back_late_changes_nothing(cast: Cast) -> None:
    """Two at it, neither knowing of the other: as when one was stopped for longer than its lease."""
    version = register(cast, staged(cast, {"model.bin": os.urandom(200_000)}))

    def without_lease(version: ModelVersion) -> None:
        ModelVersion.objects.filter(pk=version.pk).update(claimed_at=None)
        publish(version.pk)

    at_once([version] * 4, without_lease)
    assert again(version).status == "ready"
    assert Event.objects.filter(type="version.ready", subject_id=str(version.pk)).count() == 1


def test_content_is_made_by_one_at_a_time(cast: Cast) -> None:
    """Stores are not asked to decide: whoever holds the lock on a digest writes its object."""
    content = os.urandom(1000)
    version = register(cast, staged(cast, {"model.bin": content}))
    locked, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            lock_content(sha256(content))
            locked.set()
            release.wait(timeout=30)

    def work() -> None:
        locked.wait(timeout=30)
        publish(version.pk)

    def watch() -> None:
        locked.wait(timeout=30)
        time.sleep(0.5)
        held_back = stored(content) is None and again(version).status == "verifying"
        release.set()
        assert held_back

    at_once([hold, work, watch], lambda act: act())
    assert again(version).status == "ready"


def test_addresses_asked_for_at_once_are_for_one_multipart_upload(cast: Cast) -> None:
    content = os.urandom(100)
    upload = begin(cast, {"model.bin": content})
    client = cast.client("ben")
    urls = at_once([0] * 6, lambda index: sign(client, upload, index, [content])[0]["url"])
    assert len({url.split("uploadId=")[1].split("&")[0] for url in urls}) == 1
    pending = [each.upload_id for each in storage.hot().pending(storage.staging_prefix(upload["id"]))]
    assert len(pending) == 1
