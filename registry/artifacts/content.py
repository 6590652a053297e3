"""Making the content object of a digest: decided under a lock, copied inside the store, proven, never half."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.db import transaction

from registry.artifacts import storage
from registry.artifacts.hashing import hash_object
from registry.artifacts.quarantine import found_sound, lock_content, quarantine
from registry.artifacts.storage import MIB, Bucket
from registry.artifacts.uploads import EMPTY
from registry.models import Blob, Tier

# S3 copies at most 5 GiB in one request; well below that, pieces side by side are faster and never time out.
COPIED_WHOLE = 512 * MIB
PIECE = 256 * MIB
MOST_PIECES = 9_000
SIDE_BY_SIDE = 4


class BytesDiffer(Exception):
    """What was copied is not what was read before: it is not served."""


@dataclass(frozen=True)
class Source:
    """An object whose bytes were read and hashed, with the ETag it had then."""

    bucket: Bucket
    key: str
    etag: str


def copy(source: Source, target: Bucket, key: str, size: int, *, overwrite: bool) -> None:
    """Copy inside the store. Raises ObjectMissing, ObjectChanged, StoreUnavailable."""
    where = (source.bucket, source.key)
    if size <= COPIED_WHOLE:
        target.copy_whole(key, where, if_match=source.etag, overwrite=overwrite)
        return
    piece = max(PIECE, -(-size // MOST_PIECES))
    windows = [(start, min(start + piece, size) - 1) for start in range(0, size, piece)]
    upload_id = target.begin(key, checked=False)
    try:
        with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE, thread_name_prefix="copy") as pool:
            jobs = [
                pool.submit(
                    target.copy_part, key, upload_id, number, where, window=window, if_match=source.etag
                )
                for number, window in enumerate(windows, start=1)
            ]
            parts = [job.result() for job in jobs]
        target.join(key, upload_id, parts, only_new=not overwrite)
    except BaseException:
        target.abort(key, upload_id)
        raise


def settle(sha256: str, size: int, source: Source | None) -> bool:
    """Have the content object of `sha256` in the hot bucket, proven. False: there is nothing to make it from.

    `source` is where the bytes were just hashed; None when nothing was sent because they were held already.
    An object that is there and sound is never written again. One that is missing or damaged is replaced, and
    only then. Raises StoreUnavailable, ObjectChanged (the source), BytesDiffer.
    """
    hot, key = storage.hot(), storage.content_key(sha256)
    with transaction.atomic():
        lock_content(sha256)
        blob = Blob.objects.filter(pk=sha256).first()
        there = hot.head(key)
        whole = there is not None and there.size == size
        if blob and blob.tier == Tier.HOT and blob.quarantined_at is None:
            if whole and blob.state == Blob.State.LIVE:
                return True
            if not whole:
                quarantine(blob, _told(there.size if there else None, size))
        if whole and _proven(hot, key, sha256):
            # Left by an attempt that was cut short, or the hot copy of what has just gone cold.
            _mark(blob, "its bytes were read again and are sound")
            return True
        source = source or _cold(blob)
        if source is None and sha256 != EMPTY:
            return False
        if source is None:
            hot.put(key, b"", sha256)
        else:
            copy(source, hot, key, size, overwrite=there is not None)
        made = hot.head(key)
        if made is None or made.size != size:
            raise BytesDiffer(_told(made.size if made else None, size))
        # What replaces something, or comes from another bucket, is read once more before it counts.
        if (there is not None or (source and source.bucket != hot)) and not _proven(hot, key, sha256):
            raise BytesDiffer(f"what was written to {key} is not what was read")
        _mark(blob, "good bytes were sent again")
    return True


def _cold(blob: Blob | None) -> Source | None:
    """The cold copy of a blob, if there is a sound one."""
    if blob is None or blob.tier != Tier.COLD or blob.quarantined_at is not None:
        return None
    bucket, key = storage.bucket(Tier.COLD), storage.content_key(blob.sha256)
    found = bucket.head(key)
    return Source(bucket, key, found.etag) if found else None


def _proven(bucket: Bucket, key: str, sha256: str) -> bool:
    try:
        return hash_object(bucket, key).sha256 == sha256
    except storage.ObjectMissing:
        return False


def _mark(blob: Blob | None, how: str) -> None:
    """The row of what is in the hot bucket now. New bytes get theirs when the manifest is sealed."""
    if blob is not None:
        blob.tier, blob.state = Tier.HOT, Blob.State.LIVE
        found_sound(blob, how)


def _told(found: int | None, size: int) -> str:
    if found is None:
        return "the store has no object for it"
    return f"its object has {found} bytes instead of {size}"
