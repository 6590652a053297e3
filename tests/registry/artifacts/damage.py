"""Objects altered and deleted behind the registry's back: how many the scrub finds, and what is blocked for it."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from unittest import mock

from django.utils import timezone

from registry.artifacts import download, scrubbing, storage
from registry.models import Blob, ModelVersion
from tests.cast import Cast, make_cast
from tests.figures import print_campaign
from tests.registry.artifacts.corner import own_corner, packed
from tests.registry.artifacts.sending import publish_all, sha256

FILES = 20
Item = TypeVar("Item")


@dataclass
class Damage:
    """What was done to the store, and what came of a scrub."""

    done: set[str]
    found: set[str]
    # Versions that were blocked and should not have been, and the other way round.
    misjudged: list[str]
    blobs: int
    seconds: float

    @property
    def bad(self) -> int:
        """Damage that was not found, alarms that were false, versions that were misjudged."""
        return len(self.done ^ self.found) + len(self.misjudged)


def damaged(cast: Cast, blobs: int, altered: int, deleted: int) -> Damage:
    """Publish `blobs` small files, twenty a version, damage some, and scrub once. In a corner of its own."""
    contents = [os.urandom(64) for _ in range(blobs)]
    versions: dict[ModelVersion, set[str]] = {}
    for start in range(0, blobs, FILES):
        files = {f"{n}.bin": content for n, content in enumerate(contents[start : start + FILES])}
        versions[publish_all(cast, packed(cast, files))] = {sha256(content) for content in files.values()}
    digests = [sha256(content) for content in contents]
    victims = random.Random(blobs).sample(digests, altered + deleted)
    side_by_side(victims[:altered], _alter)
    side_by_side(victims[altered:], lambda digest: storage.hot().delete(storage.content_key(digest)))
    # Their turn, and nobody else's.
    Blob.objects.update(verified_at=timezone.now())
    Blob.objects.filter(pk__in=digests).update(verified_at=timezone.now() - timedelta(days=30))
    began = time.monotonic()
    told = scrubbing.scrub()
    seconds = time.monotonic() - began
    assert told is not None
    assert told.read == blobs, told
    found = Blob.objects.filter(quarantined_at__isnull=False, pk__in=digests).values_list("pk", flat=True)
    misjudged = [
        version.reference
        for version, held in versions.items()
        if _is_blocked(version) != bool(held & set(victims))
    ]
    return Damage(set(victims), set(found), misjudged, blobs, seconds)


def _alter(digest: str) -> None:
    """Other bytes, of the same size."""
    other = os.urandom(64)
    storage.hot().put(storage.content_key(digest), other, sha256(other))


def _is_blocked(version: ModelVersion) -> bool:
    try:
        download.artifact_of(version, "0.bin")
    except download.VersionQuarantined:
        return True
    return False


def side_by_side(items: list[Item], act: Callable[[Item], None]) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(act, items))


def careless(blob: tuple[str, str, int], pace: object) -> bool:
    """The control: a scrub that asks for sizes and reads nothing."""
    found = storage.bucket(blob[1]).head(storage.content_key(blob[0]))
    return found is not None and found.size == blob[2]


def campaign() -> bool:
    """2,000 blobs, of which 100 are altered and 50 deleted."""
    with own_corner():
        damage = damaged(make_cast(), 2_000, 100, 50)
        print(
            f"{len(damage.found & damage.done)} of {len(damage.done)} found, "
            f"{len(damage.found - damage.done)} false alarms, {len(damage.misjudged)} versions misjudged, "
            f"{damage.blobs} blobs read in {damage.seconds:.1f} s"
        )
        with mock.patch.object(scrubbing, "_is_sound", careless):
            control = damaged(make_cast(), 200, 10, 5)
    return print_campaign(
        "artifacts_scrub", cases=len(damage.done), bad=damage.bad, control_caught=control.bad >= 10
    )
