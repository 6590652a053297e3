"""Send files: only what the namespace lacks, in parallel parts, straight to the object store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from assay.answers import Upload
from assay.errors import Refusal, StoreUnreachable
from assay.http import Connection
from assay.references import API, namespace_path
from assay.transfer.hashing import HashedFile, Segment, cut, digest, part_digests, read
from assay.transfer.progress import Attempt, Progress
from assay.transfer.store import WORKERS, Address, Store

URLS_A_CALL = 200
FILES_A_COMPLETE = 100
# The upload was gone on with by somebody else, or the store has lost what was sent: begin again.
OVERTAKEN = frozenset({"upload-closed", "file-received", "parts-lost"})


@dataclass(frozen=True)
class Item:
    """What is sent as one object: a file, or a pack of small ones; `arrived` are parts the store has."""

    index: int
    size: int
    segments: tuple[Segment, ...]
    digests: tuple[str, ...]
    arrived: frozenset[int]


@dataclass(frozen=True)
class Part:
    """One part to send: part `number` (from 1) of the upload's item `index`."""

    index: int
    number: int
    size: int
    sha256: str
    segments: tuple[Segment, ...]


@dataclass
class _Arriving:
    """An item whose parts are on their way: how many are missing, and those that arrived."""

    remaining: int = 0
    parts: list[dict[str, Any]] = field(default_factory=list)


def send(connection: Connection, namespace: str, files: Sequence[HashedFile], progress: Progress) -> Upload:
    """Bring `files` to `namespace`; every one is present or received when this returns.

    What an earlier attempt to send the same files has brought is not sent again. Bytes go to the object store
    by presigned part URLs; where it cannot be reached, through the server.
    Raises Refusal, Unreachable, FileChanged.
    """
    try:
        return _send(connection, namespace, files, progress)
    except Refusal as refusal:
        if refusal.code not in OVERTAKEN:
            raise
    return _send(connection, namespace, files, progress)


def _send(connection: Connection, namespace: str, files: Sequence[HashedFile], progress: Progress) -> Upload:
    body = {"files": [file.entry for file in files], "packed": True, "resume": True}
    upload: Upload = connection.call("POST", f"{namespace_path(namespace)}/uploads", body=body)
    path = f"{API}/uploads/{upload['id']}"
    items = list(wanted(upload, files))
    parts = [part for item in items for part in plan(item, upload["part_size"])]
    progress.begin("upload", sum(part.size for part in parts))
    store = Store(progress)
    try:
        _Sender(connection, store, path, items).run(parts)
    except StoreUnreachable:
        _stream(connection, path, items, progress)
    finally:
        store.close()
    sent = {item.index for item in items}
    for entry in upload["files"]:
        if entry["index"] in sent or entry.get("pack") in sent:
            entry["status"] = "received"
    return upload


def wanted(upload: Upload, files: Sequence[HashedFile]) -> Iterator[Item]:
    """What an upload still wants: files by themselves, and packs with what travels in each, in its order."""
    by_path = {file.path: file for file in files}
    part_size = upload["part_size"]
    packed: dict[int, list[tuple[int, HashedFile]]] = {}
    for entry in upload["files"]:
        file = by_path[entry["path"]]
        if "pack" in entry:
            packed.setdefault(entry["pack"], []).append((entry["offset"], file))
        elif entry["status"] == "wanted":
            segments: tuple[Segment, ...] = (Segment(file, 0, file.size),)
            digests = part_digests(file, part_size)
            yield Item(entry["index"], file.size, segments, digests, frozenset(entry["parts"]))
    for pack in upload.get("packs", []):
        if pack["status"] == "wanted":
            inside = sorted(packed[pack["index"]], key=lambda place: place[0])
            segments = tuple(Segment(file, 0, file.size) for _, file in inside)
            digests = tuple(digest(part) for part in cut(segments, part_size))
            yield Item(pack["index"], pack["size"], segments, digests, frozenset(pack["parts"]))


def plan(item: Item, part_size: int) -> Iterator[Part]:
    """The parts of an item that are still to be sent, in order."""
    pieces = cut(item.segments, part_size)
    for number, (segments, sha256) in enumerate(zip(pieces, item.digests, strict=True), start=1):
        if number not in item.arrived:
            size = sum(segment.length for segment in segments)
            yield Part(item.index, number, size, sha256, tuple(segments))


class _Sender:
    """Keeps parts on their way, asks for URLs as they are needed, completes items in batches.

    URLs are asked for while the last parts of the batch before still travel, so the line does not fall idle.
    """

    def __init__(self, connection: Connection, store: Store, path: str, items: Sequence[Item]) -> None:
        self._connection = connection
        self._store = store
        self._path = path
        self._arriving = {item.index: _Arriving() for item in items}
        self._complete: list[int] = []
        self._travelling: dict[Future[str], Part] = {}
        self._completions: list[Future[Any]] = []

    def run(self, parts: Sequence[Part]) -> None:
        for part in parts:
            self._arriving[part.index].remaining += 1
        # all parts of these arrived before a former attempt ended: only their completion is missing
        self._complete = [index for index, item in self._arriving.items() if not item.remaining]
        pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="assay-upload")
        try:
            for first in range(0, len(parts), URLS_A_CALL):
                batch = parts[first : first + URLS_A_CALL]
                addresses = self._addresses(batch)
                for part in batch:
                    self._settle(2 * WORKERS - 1)
                    self._travelling[pool.submit(self._put, part, addresses[part.index, part.number])] = part
                    if len(self._complete) >= FILES_A_COMPLETE:
                        self._completions.append(pool.submit(self._finish, self._take_complete()))
            self._settle(0)
            while self._complete:
                self._finish(self._take_complete())
            for completion in self._completions:
                completion.result()
        except BaseException:
            self._store.abandon()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _settle(self, most: int) -> None:
        """Wait until at most `most` parts are on their way; raise what went wrong with those that ended."""
        while len(self._travelling) > most:
            ended, _ = wait(self._travelling, return_when=FIRST_COMPLETED)
            for future in ended:
                part = self._travelling.pop(future)
                item = self._arriving[part.index]
                item.parts.append({"number": part.number, "etag": future.result(), "sha256": part.sha256})
                item.remaining -= 1
                if not item.remaining:
                    self._complete.append(part.index)

    def _take_complete(self) -> list[int]:
        batch, self._complete = self._complete[:FILES_A_COMPLETE], self._complete[FILES_A_COMPLETE:]
        return batch

    def _put(self, part: Part, address: Address) -> str:
        def current(fresh: bool) -> Address:
            return self._addresses([part])[part.index, part.number] if fresh else address

        return self._store.put(current, part.segments)

    def _addresses(self, parts: Sequence[Part]) -> dict[tuple[int, int], Address]:
        wishes: dict[int, list[dict[str, Any]]] = {}
        for part in parts:
            wish = {"number": part.number, "size": part.size, "sha256": part.sha256}
            wishes.setdefault(part.index, []).append(wish)
        body = {"files": [{"index": index, "parts": wish} for index, wish in wishes.items()]}
        answer = self._connection.call("POST", f"{self._path}/parts", body=body)
        return {(url["index"], url["number"]): Address(url["url"], url["headers"]) for url in answer["urls"]}

    def _finish(self, indexes: Sequence[int]) -> None:
        files = [
            {
                "index": index,
                "parts": sorted(self._arriving[index].parts, key=lambda part: int(part["number"])),
            }
            for index in indexes
        ]
        self._connection.call("POST", f"{self._path}/complete", body={"files": files})


def _stream(connection: Connection, path: str, items: Sequence[Item], progress: Progress) -> None:
    """Send through the server what it still lacks, one item after another."""
    upload: Upload = connection.call("GET", path)
    lacking: Mapping[int, str] = {
        entry["index"]: entry["status"] for entry in [*upload["files"], *upload.get("packs", [])]
    }
    missing = [item for item in items if lacking.get(item.index) == "wanted"]
    progress.begin("upload", sum(item.size for item in missing))
    for item in missing:
        _stream_one(connection, f"{path}/files/{item.index}/content", item, progress)


def _stream_one(connection: Connection, path: str, item: Item, progress: Progress) -> None:
    done = Attempt(progress, "upload")

    def content() -> Iterator[bytes]:
        done.take_back()
        for block in read(item.segments):
            yield block
            done.advance(len(block))

    connection.upload(path, content, item.size)
