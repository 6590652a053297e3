"""Making the content object of a digest: decided under a lock, copied inside the store, proven, never half."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, Self

from django.db import transaction

from registry.artifacts import storage
from registry.artifacts.hashing import hash_object
from registry.artifacts.quarantine import found_sound, lock_content, lock_contents, quarantine
from registry.artifacts.storage import MIB, Bucket, Part
from registry.artifacts.uploads import EMPTY
from registry.models import Blob, Tier

# S3 copies at most 5 GiB in one request; well below that, pieces side by side are faster and never time out.
COPIED_WHOLE = 256 * MIB
PIECE = 256 * MIB
MOST_PIECES = 9_000
SIDE_BY_SIDE = 4


class BytesDiffer(Exception):
    """What was copied is not what was read before: it is not served."""


class Source(Protocol):
    """Bytes that were read and hashed, and can be put somewhere. `bucket`: where they lie, if anywhere."""

    @property
    def bucket(self) -> Bucket | None: ...

    def write(self, target: Bucket, key: str, size: int, sha256: str, *, overwrite: bool) -> None:
        """Raises ObjectMissing, ObjectChanged, StoreUnavailable."""


@dataclass(frozen=True)
class Content:
    """A few bytes at hand."""

    content: bytes
    bucket = None

    def write(self, target: Bucket, key: str, size: int, sha256: str, *, overwrite: bool) -> None:
        target.put(key, self.content, sha256, only_new=not overwrite)


@dataclass(frozen=True)
class Staged:
    """An object whose bytes were read and hashed, with the ETag it had then."""

    bucket: Bucket
    key: str
    etag: str

    def write(self, target: Bucket, key: str, size: int, sha256: str, *, overwrite: bool) -> None:
        """Copy it inside the store."""
        if size <= COPIED_WHOLE:
            target.copy_whole(key, (self.bucket, self.key), if_match=self.etag, overwrite=overwrite)
            return
        with Copying(self, target, key, size) as copying:
            copying.write(target, key, size, sha256, overwrite=overwrite)


class Copying:
    """A copy inside the store, under way in pieces from the moment it is entered; left without `write`, it is
    given up. The pieces are no object before that joins them, so what is copied may be read meanwhile."""

    def __init__(self, source: Staged, target: Bucket, key: str, size: int) -> None:
        self.bucket = source.bucket
        self._source, self._target, self._key, self._size = source, target, key, size
        self._upload_id = ""
        self._joined = False
        self._pool = ThreadPoolExecutor(max_workers=SIDE_BY_SIDE, thread_name_prefix="copy")
        self._pieces: list[Future[Part]] = []

    def __enter__(self) -> Self:
        self._upload_id = self._target.begin(self._key, checked=False)
        piece = max(PIECE, -(-self._size // MOST_PIECES))
        for number, start in enumerate(range(0, self._size, piece), start=1):
            window = (start, min(start + piece, self._size) - 1)
            self._pieces.append(self._pool.submit(self._copy, number, window))
        return self

    def _copy(self, number: int, window: tuple[int, int]) -> Part:
        return self._target.copy_part(
            self._key,
            self._upload_id,
            number,
            (self._source.bucket, self._source.key),
            window=window,
            if_match=self._source.etag,
        )

    def write(self, target: Bucket, key: str, size: int, sha256: str, *, overwrite: bool) -> None:
        """Make the pieces an object."""
        parts = [piece.result() for piece in self._pieces]
        try:
            self._target.join(self._key, self._upload_id, parts, only_new=not overwrite)
        except storage.UploadMissing:
            pass  # joined, and the answer was lost: whoever holds the lock looks at what is there now
        except (storage.StoreRefused, storage.ObjectMissing) as error:
            raise storage.StoreUnavailable(f"the store does not join what it copied: {error}") from error
        self._joined = True

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        if not self._joined:
            self._target.abort(self._key, self._upload_id)


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
        if blob and blob.size != size:
            # What was announced is wrong, whoever holds the bytes: no reason to doubt the object.
            return False
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
            source.write(hot, key, size, sha256, overwrite=there is not None)
        made = hot.head(key)
        if made is None or made.size != size:
            raise BytesDiffer(_told(made.size if made else None, size))
        # What replaces something, or comes from another bucket, is read once more before it counts.
        if (there is not None or (source and source.bucket not in (None, hot))) and not _proven(
            hot, key, sha256
        ):
            raise BytesDiffer(f"what was written to {key} is not what was read")
        _mark(blob, "good bytes were sent again")
    return True


def settle_small(contents: Mapping[str, bytes], side_by_side: int) -> None:
    """Have the content objects of small contents, by their digests, which were computed just now.

    Those that nobody has known yet are written side by side, with one request each; the store is asked to write
    nothing that is there. Raises StoreUnavailable, BytesDiffer, ObjectChanged.
    """
    rest = set(contents)
    with transaction.atomic():
        lock_contents(contents)
        known = set(Blob.objects.filter(pk__in=contents).values_list("pk", flat=True))
        fresh = sorted(rest - known)
        with ThreadPoolExecutor(max_workers=side_by_side, thread_name_prefix="small") as pool:
            written = pool.map(lambda sha256: _write_new(sha256, contents[sha256]), fresh)
            rest -= {sha256 for sha256, done in zip(fresh, written, strict=True) if done}
    for sha256 in sorted(rest):
        settle(sha256, len(contents[sha256]), Content(contents[sha256]))


def _write_new(sha256: str, content: bytes) -> bool:
    """False when there is an object already."""
    try:
        storage.hot().put(storage.content_key(sha256), content, sha256, only_new=True)
    except storage.ObjectChanged:
        return False
    return True


def _cold(blob: Blob | None) -> Source | None:
    """The cold copy of a blob, if there is a sound one."""
    if blob is None or blob.tier != Tier.COLD or blob.quarantined_at is not None:
        return None
    bucket, key = storage.bucket(Tier.COLD), storage.content_key(blob.sha256)
    found = bucket.head(key)
    return Staged(bucket, key, found.etag) if found else None


def _proven(bucket: Bucket, key: str, sha256: str) -> bool:
    try:
        return hash_object(bucket, key).sha256 == sha256
    except storage.ObjectMissing:
        return False


def _mark(blob: Blob | None, how: str) -> None:
    """The row of what is in the hot bucket now. New bytes get theirs when the manifest is sealed."""
    if blob is not None:
        # Condemned or gone before, it is needed again.
        blob.tier, blob.state, blob.condemned_at = Tier.HOT, Blob.State.LIVE, None
        found_sound(blob, how)


def _told(found: int | None, size: int) -> str:
    if found is None:
        return "the store has no object for it"
    return f"its object has {found} bytes instead of {size}"
