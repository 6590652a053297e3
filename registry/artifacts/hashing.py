"""Reading an object whole and hashing it, by ranges fetched side by side and hashed in order."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from registry.artifacts.storage import MIB, Bucket, Found, StoreUnavailable, told

RANGE = 16 * MIB
SIDE_BY_SIDE = 3
ATTEMPTS = 4


@dataclass(frozen=True)
class Hashed:
    """What an object holds: its hex sha256, its size in bytes, and the ETag it had while it was read."""

    sha256: str
    size: int
    etag: str


def hash_object(
    bucket: Bucket, key: str, found: Found | None = None, *, pace: Callable[[int], None] | None = None
) -> Hashed:
    """Read the object (the one that was `found`) and hash it, with at most 48 MiB in memory.

    `pace` is told of bytes as they are read, and may wait before it lets more be read.
    Raises ObjectMissing, StoreUnavailable, and ObjectChanged when it is overwritten meanwhile.
    """
    found = found or bucket.found(key)
    digest = hashlib.sha256()
    for chunk in read_chunks(bucket, key, found):
        digest.update(chunk)
        if pace is not None:
            pace(len(chunk))
    return Hashed(digest.hexdigest(), found.size, found.etag)


def read_small(bucket: Bucket, key: str, most: int) -> bytes:
    """An object's bytes in one request, one more than `most` when it has more. Raises ObjectMissing."""

    def fetch() -> bytes:
        body, found = bucket.get(key)
        with closing(body), told():
            content: bytes = body.read(most + 1)
        if len(content) != min(found.size, most + 1):
            raise StoreUnavailable(f"the store sent {len(content)} of {found.size} bytes of {key}")
        return content

    return again(fetch)


def read_chunks(bucket: Bucket, key: str, found: Found) -> Iterator[bytes]:
    """The object in order, in chunks of 16 MiB that are fetched side by side. Raises as `hash_object`."""
    windows = [(start, min(start + RANGE, found.size) - 1) for start in range(0, found.size, RANGE)]
    if len(windows) <= 1:
        for window in windows:
            yield _range(bucket, key, window, found.etag)
        return
    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE, thread_name_prefix="hash") as pool:
        under_way: deque[Future[bytes]] = deque()
        try:
            for window in windows:
                if len(under_way) == SIDE_BY_SIDE:
                    yield under_way.popleft().result()
                under_way.append(pool.submit(_range, bucket, key, window, found.etag))
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()


def _range(bucket: Bucket, key: str, window: tuple[int, int], etag: str) -> bytes:
    """The bytes from first to last, inclusive. A body that breaks off is asked for again."""

    def fetch() -> bytes:
        length = window[1] - window[0] + 1
        body, _ = bucket.get(key, start=window[0], end=window[1], if_match=etag)
        with closing(body), told():
            chunk: bytes = body.read(length + 1)
        if len(chunk) != length:
            raise StoreUnavailable(f"the store sent {len(chunk)} of {length} bytes of {key}")
        return chunk

    return again(fetch)


def again(act: Callable[[], bytes]) -> bytes:
    """`act`, up to four times while the store does not answer well, waiting longer each time."""
    for attempt in range(1, ATTEMPTS):
        try:
            return act()
        except StoreUnavailable:
            time.sleep(0.2 * 2**attempt)
    return act()
