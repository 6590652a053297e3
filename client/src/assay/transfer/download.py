"""Receive files: ranges in parallel into a temporary name, verified against the digest, then renamed."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

import httpx

from assay.digest import ManifestEntry, check_collisions, check_path, sha256_file
from assay.errors import DigestMismatch, FileInTheWay, StoreUnreachable, Unreachable
from assay.http import Connection
from assay.transfer.progress import Attempt, Progress
from assay.transfer.store import READ, WORKERS, Address, Store

RANGE = 16 * 2**20
BLOCK = 2**20
STREAM_ATTEMPTS = 4


def receive(
    connection: Connection,
    artifacts: str,
    entries: Sequence[ManifestEntry],
    folder: Path,
    progress: Progress,
    *,
    overwrite: bool = False,
) -> None:
    """Bring the files of a manifest into `folder`; `artifacts` is the address of the version's artifacts.

    A file that is there with the right content is kept, one with other content refused unless `overwrite`.
    Raises FileInTheWay before anything is written; DigestMismatch, Refusal, Unreachable.
    """
    for entry in entries:
        check_path(entry["path"])
    check_collisions(entry["path"] for entry in entries)
    missing = [entry for entry in entries if not _is_there(folder / entry["path"], entry, overwrite)]
    progress.begin("download", sum(entry["size"] for entry in missing))
    store = Store(progress)
    pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="assay-download")
    targets = [_Target(connection, store, f"{artifacts}/{quote(e['path'])}", e, folder) for e in missing]
    try:
        jobs = [pool.submit(piece) for target in targets for piece in target.pieces()]
        done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
        for job in done:
            job.result()
    except StoreUnreachable:
        store.abandon()
        pool.shutdown(cancel_futures=True)
        for target in targets:
            if not target.finished:
                target.stream(progress)
    finally:
        store.abandon()  # nothing is under way any more unless this is an error or an interrupt
        pool.shutdown(cancel_futures=True)
        for target in targets:
            target.abandon()
        store.close()


class _Target:
    """One file being received.

    Ranges arrive in any order and are written in place; whichever worker ends the one that is next in line
    hashes from there as far as the file is whole, reading back what was written.
    """

    def __init__(
        self, connection: Connection, store: Store, path: str, entry: ManifestEntry, folder: Path
    ) -> None:
        self.finished = False
        self._connection = connection
        self._store = store
        self._path = path
        self._entry = entry
        self._final = folder / entry["path"]
        self._temporary = self._final.with_name(f".{self._final.name[:100]}.{entry['sha256'][:12]}.part")
        self._address: Address | None = None
        self._lock = threading.Lock()
        self._opened: int | None = None
        self._starts = list(range(0, entry["size"], RANGE)) or [0]
        self._arrived: set[int] = set()
        self._hashed = 0
        self._hash = hashlib.sha256()

    def pieces(self) -> Iterator[Callable[[], None]]:
        return (partial(self._fetch, start) for start in self._starts)

    def abandon(self) -> None:
        """Leave nothing half-made behind; harmless when the file is finished."""
        with self._lock:
            if self._opened is not None:
                os.close(self._opened)
                self._opened = None
                with suppress(FileNotFoundError):
                    self._temporary.unlink()

    def stream(self, progress: Progress) -> None:
        """Receive the whole file through the server."""
        for attempt in range(1, STREAM_ATTEMPTS + 1):
            done = Attempt(progress, "download")
            try:
                self._stream_once(done)
                return
            except (Unreachable, httpx.TransportError):
                done.take_back()
                if attempt == STREAM_ATTEMPTS:
                    raise

    def _stream_once(self, done: Attempt) -> None:
        descriptor, offset = self._descriptor(), 0
        self._hash, self._hashed = hashlib.sha256(), 0
        self._arrived.clear()
        with self._connection.stream(self._path, {"as": "stream"}) as response:
            for block in response.iter_bytes(READ):
                _write(descriptor, offset, block)
                offset += len(block)
                done.advance(len(block))
        os.ftruncate(descriptor, offset)
        self._arrived.update(self._starts)
        self._advance(descriptor)

    def _fetch(self, start: int) -> None:
        size = self._entry["size"]
        descriptor = self._descriptor()
        if size:
            self._store.get(
                self._current,
                start,
                min(RANGE, size - start),
                size <= RANGE,
                lambda offset, block: _write(descriptor, offset, block),
            )
        with self._lock:
            self._arrived.add(start)
            self._advance(descriptor)

    def _advance(self, descriptor: int) -> None:
        """Hash what is whole from the start on; at the end verify and rename."""
        size = self._entry["size"]
        while self._hashed in self._arrived:
            self._arrived.remove(self._hashed)
            end = min(self._hashed + RANGE, size)
            while self._hashed < end:
                block = os.pread(descriptor, min(BLOCK, end - self._hashed), self._hashed)
                if not block:
                    raise DigestMismatch(
                        f"{self._entry['path']!r} is shorter than the {size} bytes of its manifest."
                    )
                self._hash.update(block)
                self._hashed += len(block)
            if self._hashed == size:
                self._finish(descriptor)
                return

    def _finish(self, descriptor: int) -> None:
        if (
            os.fstat(descriptor).st_size != self._entry["size"]
            or self._hash.hexdigest() != self._entry["sha256"]
        ):
            raise DigestMismatch(
                f"{self._entry['path']!r} arrived with sha256 {self._hash.hexdigest()}, "
                f"but its manifest says {self._entry['sha256']}: the object store served other bytes."
            )
        os.close(descriptor)
        self._opened = None
        self._temporary.replace(self._final)
        self.finished = True

    def _descriptor(self) -> int:
        with self._lock:
            if self._opened is None:
                self._final.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
                self._opened = os.open(self._temporary, flags, 0o666)
            return self._opened

    def _current(self, fresh: bool) -> Address:
        """The presigned URL that all ranges share; a worker that sees it expired asks for another."""
        with self._lock:
            if self._address is None or fresh:
                answer = self._connection.call("GET", self._path, params={"as": "url"})
                self._address = Address(answer["url"], answer.get("headers") or {})
            return self._address


def _is_there(path: Path, entry: ManifestEntry, overwrite: bool) -> bool:
    if not path.exists() and not path.is_symlink():
        return False
    same = path.is_file() and path.stat().st_size == entry["size"] and sha256_file(path) == entry["sha256"]
    if not same and (not overwrite or path.is_dir()):
        raise FileInTheWay(f"{path} is there and is not what the version holds: choose another folder.")
    return same


def _write(descriptor: int, offset: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        count = os.pwrite(descriptor, view, offset)
        offset += count
        view = view[count:]
