"""Reading published bytes again: what is not what its digest says is quarantined, what is sound again is healed."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from registry.artifacts import storage
from registry.artifacts.hashing import hash_object
from registry.artifacts.heartbeat import working_on
from registry.artifacts.quarantine import found_sound, lock_content, quarantine
from registry.models import Blob, ModelVersion

logger = logging.getLogger(__name__)
# Every blob is read again within this time; a run ends after so many blobs, bytes or seconds.
PERIOD = timedelta(days=7)
MOST_BLOBS = 5_000
MOST_BYTES = 200 * 1024**3
MOST_SECONDS = 20 * 60


def verify_blob(sha256: str) -> bool:
    """Read the bytes where they lie now and hash them; whether they are what the digest says.

    Loss or damage is decided only on a second reading, under the lock that everybody who writes them takes,
    so that a move or a repair under way is no false alarm. Raises StoreUnavailable, which says nothing.
    """
    seen = Blob.objects.get(pk=sha256)
    if _wrong(seen) is None:
        with transaction.atomic():
            lock_content(sha256)
            blob = Blob.objects.select_for_update().get(pk=sha256)
            if blob.tier == seen.tier:
                found_sound(blob, "its bytes were read again and are sound")
                return True
    with transaction.atomic():
        lock_content(sha256)
        blob = Blob.objects.select_for_update().get(pk=sha256)
        wrong = _wrong(blob)
        if wrong is None:
            found_sound(blob, "its bytes were read again and are sound")
        else:
            quarantine(blob, wrong)
    return wrong is None


def _wrong(blob: Blob) -> str | None:
    """What is wrong with the object, in words; None when it is what the digest says. Raises StoreUnavailable."""
    bucket, key = storage.bucket(blob.tier), storage.content_key(blob.sha256)
    for _ in range(3):
        try:
            hashed = hash_object(bucket, key)
        except storage.ObjectMissing:
            return "the store has no object for it"
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


def scrub(*, most: int = MOST_BLOBS, older_than: timedelta = PERIOD) -> dict[str, int]:
    """Read again what was not read for longest. Returns {"read", "bytes", "bad"}. Raises StoreUnavailable."""
    ends = time.monotonic() + MOST_SECONDS
    due = Blob.objects.filter(
        Q(verified_at=None) | Q(verified_at__lt=timezone.now() - older_than), state=Blob.State.LIVE
    ).order_by(F("verified_at").asc(nulls_first=True), "pk")
    told = {"read": 0, "bytes": 0, "bad": 0}
    for sha256, size in due.values_list("pk", "size")[:most]:
        told["bad"] += not verify_blob(sha256)
        told["read"] += 1
        told["bytes"] += size
        if told["bytes"] >= MOST_BYTES or time.monotonic() > ends:
            break
    if told["bad"]:
        logger.error("scrub: %(bad)s of %(read)s blobs are damaged or gone", told)
    return told
