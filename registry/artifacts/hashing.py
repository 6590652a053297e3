"""Reading an object whole and hashing it, in order, while the ranges that follow have been asked for already.

Each block is hashed as it comes, while the processor has it at hand: with whole ranges in memory hashing takes half
as long again.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from botocore.response import StreamingBody

from registry.artifacts.storage import MIB, Bucket, Found, StoreUnavailable, told

WINDOW = 64 * MIB
BLOCK = MIB
AHEAD = 2  # windows that have been asked for besides the one that is being read
ATTEMPTS = 4
Result = TypeVar("Result")


@dataclass(frozen=True)
class Hashed:
    """What an object holds: its hex sha256, its size in bytes, and the ETag it had while it was read."""

    sha256: str
    size: int
    etag: str


def hash_object(
    bucket: Bucket, key: str, found: Found | None = None, *, pace: Callable[[int], None] | None = None
) -> Hashed:
    """Read the object (the one that was `found`) and hash it, a mebibyte at a time.

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
    """The object in order, in blocks of up to 1 MiB. Raises as `hash_object`."""
    windows = [
        _Window(bucket, key, found.etag, start, min(start + WINDOW, found.size))
        for start in range(0, found.size, WINDOW)
    ]
    if len(windows) <= 1:
        for window in windows:
            yield from window.blocks(window.ask())
        return
    with ThreadPoolExecutor(max_workers=AHEAD + 1, thread_name_prefix="hash") as pool:
        asked: deque[tuple[_Window, Future[StreamingBody]]] = deque()
        try:
            for window in windows:
                asked.append((window, pool.submit(window.ask)))
                if len(asked) > AHEAD:
                    first, answer = asked.popleft()
                    yield from first.blocks(answer.result())
            while asked:
                first, answer = asked.popleft()
                yield from first.blocks(answer.result())
        finally:
            for _, answer in asked:
                answer.add_done_callback(_leave)


@dataclass
class _Window:
    """The bytes of an object from `start` to before `end`."""

    bucket: Bucket
    key: str
    etag: str
    start: int
    end: int

    def ask(self) -> StreamingBody:
        """The body of what is left of it; only what the connection holds is in memory until it is read."""
        return again(self._ask)

    def _ask(self) -> StreamingBody:
        body, came = self.bucket.get(self.key, start=self.start, end=self.end - 1, if_match=self.etag)
        if came.size != self.end - self.start:
            body.close()
            raise self._cut_short(came.size)
        return body

    def blocks(self, body: StreamingBody) -> Iterator[bytes]:
        """Its bytes. A body that breaks off is asked for again, from there on."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with closing(body):
                    while self.start < self.end:
                        with told():
                            block: bytes = body.read(min(BLOCK, self.end - self.start))
                        if not block:
                            raise self._cut_short(0)
                        self.start += len(block)
                        yield block
            except StoreUnavailable:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(0.2 * 2**attempt)
                body = self.ask()
            else:
                return

    def _cut_short(self, size: int) -> StoreUnavailable:
        return StoreUnavailable(f"the store sent {size} of {self.end - self.start} bytes of {self.key}")


def _leave(answer: Future[StreamingBody]) -> None:
    if not answer.cancelled() and answer.exception() is None:
        answer.result().close()


def again(act: Callable[[], Result]) -> Result:
    """`act`, up to four times while the store does not answer well, waiting longer each time."""
    for attempt in range(1, ATTEMPTS):
        try:
            return act()
        except StoreUnavailable:
            time.sleep(0.2 * 2**attempt)
    return act()
