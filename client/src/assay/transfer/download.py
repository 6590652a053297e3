"""Receive files: ranges in parallel into a temporary name, verified against the digest, then renamed."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from urllib.parse import quote

import httpx

from assay.digest import ManifestEntry, check_collisions, check_path, sha256_file
from assay.errors import DigestMismatch, FileInTheWay, Refusal, StoreUnreachable, Unreachable
from assay.http import Connection, Parameters
from assay.transfer.cache import Cache
from assay.transfer.progress import Attempt, Progress
from assay.transfer.store import READ, WORKERS, Address, Store
from assay.transfer.target import RANGE, Target, folded, write

STREAM_ATTEMPTS = 4
SHA256 = re.compile(r"[0-9a-f]{64}")
URLS_A_CALL = 200
IN_COLD_STORAGE = "version-in-cold-storage"
# An address is good for a minute; one that was asked for ahead of its use is taken for less.
GOOD_SECONDS = 40.0


def receive(
    connection: Connection,
    artifacts: str,
    entries: Sequence[ManifestEntry],
    folder: Path,
    progress: Progress,
    *,
    overwrite: bool = False,
    cache: Cache | None = None,
) -> None:
    """Bring the files of a manifest into `folder`; `artifacts` is the address of the version's artifacts.

    A file that is there with the right content is kept, one with other content refused unless `overwrite`.
    What an interrupted call has brought is not fetched again, nor what is in the cache.
    Raises FileInTheWay before anything is written; DigestMismatch, Refusal, Unreachable.
    """
    for entry in entries:
        check_path(entry["path"])
        if not SHA256.fullmatch(entry["sha256"]):
            raise DigestMismatch(f"{entry['path']!r} is listed with {entry['sha256']!r}, which is no sha256.")
    check_collisions(entry["path"] for entry in entries)
    missing = [entry for entry in entries if not _is_there(folder / entry["path"], entry, overwrite)]
    progress.begin("download", sum(entry["size"] for entry in missing))
    cache = cache or Cache(None)
    store = Store(progress)
    pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="assay-download")
    addresses = _Addresses(connection, artifacts, missing)
    hidden = (folder / entry["path"] for entry in entries)
    taken = frozenset(folded(path) for path in hidden if path.name.startswith("."))
    targets = [
        Target(store, partial(addresses.of, entry), entry, folder, cache, progress, taken)
        for entry in missing
    ]
    try:
        if any(cache.has(entry["sha256"]) for entry in missing):
            addresses.check()
        jobs = [pool.submit(piece) for target in targets for piece in target.pieces()]
        done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
        for job in done:
            job.result()
    except StoreUnreachable:
        store.abandon()
        pool.shutdown(cancel_futures=True)
        for target in targets:
            if not target.finished:
                _stream(connection, f"{artifacts}/{quote(target.entry['path'])}", target, progress)
    finally:
        store.abandon()  # nothing is under way any more unless this is an error or an interrupt
        pool.shutdown(cancel_futures=True)
        for target in targets:
            target.abandon()
        store.close()
    if missing:
        cache.prune()


class _Addresses:
    """Presigned addresses: of a large file one that all its ranges share, of small files many with one call."""

    def __init__(self, connection: Connection, artifacts: str, entries: Sequence[ManifestEntry]) -> None:
        self._connection = connection
        self._artifacts = artifacts
        self._ahead = sorted((entry["path"] for entry in entries if entry["size"] <= RANGE), key=str.encode)
        self._next = 0
        self._known: dict[str, tuple[float, Address]] = {}
        self._lock = threading.Lock()

    def check(self) -> None:
        """What is at hand needs no address; whether it is handed out is asked all the same. Raises Refusal.

        Bytes in cold storage are not refused, only out of reach.
        """
        try:
            self._connection.call("GET", self._artifacts, params={"with": "url", "limit": 1})
        except Refusal as refusal:
            if refusal.code != IN_COLD_STORAGE:
                raise

    def of(self, entry: ManifestEntry, fresh: bool) -> Address:
        """An address of the file; `fresh`: the one given before is no longer good."""
        path = entry["path"]
        with self._lock:
            now = time.monotonic()
            asked_at, address = self._known.get(path, (0.0, None))
            large = entry["size"] > RANGE
            if address and not fresh and (large or now - asked_at < GOOD_SECONDS):
                return address
            if large or fresh or len(self._ahead) == 1:
                answer = self._connection.call(
                    "GET", f"{self._artifacts}/{quote(path)}", params={"as": "url"}
                )
                self._known[path] = (now, _address(answer))
            else:
                # From the first file that has none yet: whichever worker is first asks for all the others.
                while self._next < len(self._ahead) and self._ahead[self._next] in self._known:
                    self._next += 1
                begin = path if path in self._known else self._ahead[self._next]
                self._ask_from(begin, now)
                if path not in self._known:  # farther off: files in between come from the cache, or are there
                    self._ask_from(path, now)
            if path not in self._known:
                raise DigestMismatch(f"The server lists {path!r} and has no address of it.")
            return self._known[path][1]

    def _ask_from(self, path: str, now: float) -> None:
        """Learn the addresses of small files from this one on."""
        wanted: Parameters = {"with": "url", "from": path, "limit": URLS_A_CALL}
        answer = self._connection.call("GET", self._artifacts, params=wanted)
        self._known |= {file["path"]: (now, _address(file)) for file in answer["files"]}


def _address(answer: Mapping[str, object]) -> Address:
    return Address(str(answer["url"]), {})


def _stream(connection: Connection, path: str, target: Target, progress: Progress) -> None:
    """Receive the whole file through the server."""
    for attempt in range(1, STREAM_ATTEMPTS + 1):
        done = Attempt(progress, "download")
        try:
            file, offset = target.restart(), 0
            with connection.stream(path, {"as": "stream"}) as response:
                for block in response.iter_bytes(READ):
                    write(file, offset, block)
                    offset += len(block)
                    done.advance(len(block))
            target.whole(offset)
            return
        except (Unreachable, httpx.TransportError):
            done.take_back()
            if attempt == STREAM_ATTEMPTS:
                raise


def _is_there(path: Path, entry: ManifestEntry, overwrite: bool) -> bool:
    if not path.exists() and not path.is_symlink():
        return False
    same = path.is_file() and path.stat().st_size == entry["size"] and sha256_file(path) == entry["sha256"]
    if not same and (not overwrite or path.is_dir()):
        raise FileInTheWay(f"{path} is there and is not what the version holds: choose another folder.")
    return same
