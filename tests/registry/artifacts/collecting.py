"""Publishing the very bytes that are being collected, many times, in two threads let go together."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from unittest import mock

from django.db import connection
from django.utils import timezone

from lifecycle.actions.deletion import delete_version
from registry.artifacts import garbage, storage
from registry.artifacts.publish import publish
from registry.models import Blob, ModelVersion, Tier, Upload
from tests.cast import Cast, make_cast
from tests.figures import print_campaign
from tests.registry.artifacts.corner import own_corner
from tests.registry.artifacts.sending import again, publish_all, register, sha256, staged, stored

RACES = 500
BEFORE = ("unknown", "astray", "live", "condemned", "gone", "being deleted")


@dataclass
class Raced:
    """How many races there were, and a sentence for each after which bytes were not where they should be."""

    races: int = 0
    lost: list[str] = field(default_factory=list)


def races(cast: Cast, count: int) -> Raced:
    """In a corner of its own: after each race the version is ready and its bytes are served, then and later."""
    told = Raced()
    kept: list[tuple[ModelVersion, bytes]] = []
    chance = random.Random(count)
    for n in range(count):
        before = BEFORE[n % len(BEFORE)]
        # What is deleted just now is condemned in the race, and kept for its grace: nothing was sent again.
        with own_grace(60 if before == "being deleted" else 0):
            version, content = _race(cast, before, chance)
        told.races += 1
        kept.append((version, content))
        if wrong := _wrong(version, content):
            told.lost.append(f"race {n}, {before}: {wrong}")
    for _ in range(2):
        garbage.collect_garbage()
    told.lost += [f"in the end: {wrong}" for version, content in kept if (wrong := _wrong(version, content))]
    return told


@contextmanager
def own_grace(seconds: int) -> Iterator[None]:
    with mock.patch("django.conf.settings.GARBAGE_GRACE_SECONDS", seconds):
        yield


def _race(cast: Cast, before: str, chance: random.Random) -> tuple[ModelVersion, bytes]:
    content = os.urandom(500)
    old = None
    if before == "astray":
        storage.hot().put(storage.content_key(sha256(content)), content, sha256(content))
    elif before != "unknown":
        old = publish_all(cast, staged(cast, {"m": content}))
    if old is not None and before != "being deleted":
        _delete(cast, old)
        for _ in range({"live": 0, "condemned": 1, "gone": 2}[before]):
            garbage.collect_garbage()
    made: list[ModelVersion] = []

    def bring() -> None:
        time.sleep(chance.random() * 0.02)
        version = register(cast, staged(cast, {"m": content}), model="raced")
        made.append(version)
        publish(version.pk)

    def take() -> None:
        time.sleep(chance.random() * 0.02)
        if old is not None and before == "being deleted":
            _delete(cast, old)
        for _ in range(2):
            garbage.collect_garbage()

    _at_once([bring, take])
    return made[0], content


def _delete(cast: Cast, version: ModelVersion) -> None:
    delete_version(version=version, reason="not needed", by=cast.principal("eve"))
    Upload.objects.filter(manifest__versions=version).update(expires_at=timezone.now())


def _wrong(version: ModelVersion, content: bytes) -> str | None:
    row = again(version)
    if row.status != "ready":
        return f"{row.reference} is {row.status}: {row.status_message}"
    held = Blob.objects.get(pk=sha256(content))
    if (held.state, held.tier) != (Blob.State.LIVE, Tier.HOT):
        return f"the blob of {row.reference} is {held.state}"
    if stored(content) != content:
        return f"the object of {row.reference} is not there"
    return None


def _at_once(acts: Sequence[Callable[[], None]]) -> None:
    barrier = threading.Barrier(len(acts))
    failed: list[BaseException] = []

    def one(act: Callable[[], None]) -> None:
        try:
            barrier.wait(timeout=30)
            act()
        except BaseException as error:  # told by the thread that waits
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    if failed:
        raise failed[0]


def careless(digests: Sequence[str], now: datetime) -> dict[str, int]:
    """The control: what was planned is removed without a lock and without asking again."""
    time.sleep(0.05)
    garbage._delete((tier, sha256) for sha256 in digests for tier in Tier.values)
    Blob.objects.filter(pk__in=digests, state=Blob.State.CONDEMNED).update(state=Blob.State.GONE)
    return dict.fromkeys(digests, 0)


def campaign(count: int = RACES) -> bool:
    """`count` races, and as many as it takes for the control to be caught, at most 60."""
    with own_corner():
        raced = races(make_cast(), count)
        for sentence in raced.lost:
            print(sentence)
        with mock.patch.object(garbage, "_collect", careless):
            caught = any(races(make_cast(), 12).lost for _ in range(5))
    return print_campaign("artifacts_races", cases=raced.races, bad=len(raced.lost), control_caught=caught)
