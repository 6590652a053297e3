"""Reading published bytes again: what is not what its digest says is quarantined, what is sound again is healed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.db import transaction

from registry.artifacts import storage
from registry.artifacts.hashing import hash_object
from registry.artifacts.heartbeat import working_on
from registry.artifacts.quarantine import found_sound, lock_content, quarantine
from registry.models import Blob, ModelVersion

LOST = "the store has no object for it"


class Verdict(StrEnum):
    """What a reading found. `unkept`: the blob is condemned or gone, and nothing is said about it."""

    SOUND = "sound"
    HEALED = "healed"
    MISSING = "missing"
    CORRUPT = "corrupt"
    UNKEPT = "unkept"


@dataclass(frozen=True)
class Reading:
    """What came of reading a blob; `new` when it was not known before."""

    verdict: Verdict
    new: bool = False

    @property
    def bad(self) -> bool:
        return self.verdict in (Verdict.MISSING, Verdict.CORRUPT)


def verify_blob(sha256: str) -> bool:
    """Read the bytes where they lie now and hash them; whether they are what the digest says."""
    return read_again(sha256).verdict in (Verdict.SOUND, Verdict.HEALED)


def read_again(sha256: str, pace: Callable[[int], None] | None = None) -> Reading:
    """Read the bytes where they lie now, hash them, and mark the blob by what was found.

    Loss or damage is decided only on a second reading, under the lock that everybody who writes them takes,
    so that a move, a repair or a collection under way is no false alarm. `pace` is told of bytes as they are
    read, and may wait. Raises StoreUnavailable, which says nothing.
    """
    seen = Blob.objects.get(pk=sha256)
    sound = seen.state == Blob.State.LIVE and _wrong(seen, pace) is None
    with transaction.atomic():
        lock_content(sha256)
        blob = Blob.objects.select_for_update().get(pk=sha256)
        if blob.state != Blob.State.LIVE:
            return Reading(Verdict.UNKEPT)
        wrong = None if sound and blob.tier == seen.tier else _wrong(blob)
        known = blob.quarantined_at is not None
        if wrong is None:
            found_sound(blob, "its bytes were read again and are sound")
            return Reading(Verdict.HEALED if known else Verdict.SOUND, new=known)
        quarantine(blob, wrong)
        return Reading(Verdict.MISSING if wrong == LOST else Verdict.CORRUPT, new=not known)


def _wrong(blob: Blob, pace: Callable[[int], None] | None = None) -> str | None:
    """What is wrong with the object, in words; None when it is what the digest says. Raises StoreUnavailable."""
    bucket, key = storage.bucket(blob.tier), storage.content_key(blob.sha256)
    for _ in range(3):
        try:
            hashed = hash_object(bucket, key, pace=pace)
        except storage.ObjectMissing:
            return LOST
        except storage.ObjectChanged:
            continue
        if hashed.sha256 == blob.sha256:
            return None
        return f"its object holds {hashed.size} bytes with sha256 {hashed.sha256}"
    return "its object changed while it was read"


def verify_version(version_id: UUID) -> None:
    """Read every blob of a version whose verification was asked for. Raises StoreUnavailable: try again."""
    mine = ModelVersion.objects.filter(
        pk=version_id, status=ModelVersion.Status.READY, verify_requested_at__isnull=False
    )
    with working_on(mine) as claimed:
        if not claimed:
            return
        asked_at = mine.values_list("verify_requested_at", flat=True).get()
        verify_blobs_of(version_id)
        # A request that came meanwhile stands.
        mine.filter(verify_requested_at=asked_at).update(verify_requested_at=None)


def verify_blobs_of(version_id: UUID) -> bool:
    """Read every blob of the version; whether all are sound. Raises StoreUnavailable."""
    digests = (
        Blob.objects.filter(artifacts__manifest__versions=version_id).distinct().values_list("pk", flat=True)
    )
    bad = [sha256 for sha256 in digests if not verify_blob(sha256)]
    return not bad
