"""Send files: only what the namespace lacks, in parallel parts, straight to the object store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from assay.digest import LocalFile
from assay.errors import DigestMismatch, Refusal, StoreUnreachable
from assay.http import Connection
from assay.references import API, namespace_path
from assay.transfer.announced import Upload, UploadedFile
from assay.transfer.hashing import (
    HashedFile,
    Hashing,
    SeenFile,
    Segment,
    cut,
    digest,
    hash_files,
    part_digests,
    read,
    see,
)
from assay.transfer.progress import Attempt, Progress
from assay.transfer.store import WORKERS, Address, Store, StoreRefused

# A larger file is hashed while it is sent, unless the namespace holds bytes of its size.
HASHED_FIRST = 64 * 2**20
# The first call for addresses is for few parts, so that the line does not wait for hashing; each next for more.
FIRST_URLS, MOST_URLS = 4, 200
FILES_A_COMPLETE = 100
# Two sessions that send other files of the same names and sizes may overtake each other more than once.
TRIES = 4
# The upload was gone on with by somebody else, or the store has lost what was sent: begin again.
OVERTAKEN = frozenset({"upload-closed", "file-received", "parts-lost"})


@dataclass(frozen=True)
class Item:
    """What is sent as one object: a file, or a pack of small ones.

    `digests` are those of its parts; without, they are computed while it is sent. `arrived` are parts the store
    has, with their digests where those are not known otherwise; `hashing` is for a file that is hashed whole
    while it is sent.
    """

    index: int
    size: int
    segments: tuple[Segment, ...]
    digests: tuple[str, ...] | None = None
    arrived: Mapping[int, str] = field(default_factory=dict)
    hashing: Hashing | None = None


@dataclass(frozen=True)
class Part:
    """One part: part `number` (from 1) of the upload's item `index`; `there`: the store has it."""

    index: int
    number: int
    size: int
    sha256: str
    segments: tuple[Segment, ...]
    there: bool = False


@dataclass
class _Arriving:
    """An item whose parts are on their way: how many are missing, and those that arrived."""

    remaining: int
    parts: list[dict[str, Any]] = field(default_factory=list)


def send(
    connection: Connection, namespace: str, files: Sequence[LocalFile | HashedFile], progress: Progress
) -> Upload:
    """Bring `files` to `namespace`; every one is present or received when this returns.

    Files are hashed first, so that what the namespace holds is not sent; a large one is hashed while it is
    sent, when the namespace holds nothing of its size. What an earlier attempt to send the same files has
    brought is not sent again. Bytes go to the object store by presigned part URLs; where it cannot be reached,
    through the server. Raises Refusal, Unreachable, FileChanged, PathRefused.
    """
    for _ in range(TRIES - 1):
        try:
            return _send(connection, namespace, files, progress)
        except Refusal as refusal:
            if refusal.code not in OVERTAKEN:
                raise
        except StoreRefused as refused:
            # The parts were joined, or given up, by another session that sends the same files.
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
    return _send(connection, namespace, files, progress)


def _send(
    connection: Connection, namespace: str, files: Sequence[LocalFile | HashedFile], progress: Progress
) -> Upload:
    upload, known = _announce(connection, namespace, files, progress)
    path = f"{API}/uploads/{upload['id']}"
    items = list(wanted(upload, known))
    progress.begin("upload", sum(_missing(item, upload["part_size"]) for item in items))
    store = Store(progress)
    try:
        _Sender(connection, store, path, items, upload["part_size"], progress).run()
    except StoreUnreachable:
        _stream(connection, path, items, progress)
    finally:
        store.close()
    sent = {item.index for item in items}
    for entry in upload["files"]:
        if entry["index"] in sent or entry.get("pack") in sent:
            entry["status"] = "received"
    return upload


def _announce(
    connection: Connection, namespace: str, files: Sequence[LocalFile | HashedFile], progress: Progress
) -> tuple[Upload, list[SeenFile]]:
    """The upload, and the files with what is known of them."""
    first = [f for f in files if isinstance(f, LocalFile) and f.size <= HASHED_FIRST]
    hashed = {file.path: file for file in hash_files(first, progress)} if first else {}
    known: list[SeenFile] = [
        file if isinstance(file, HashedFile) else hashed.get(file.path) or see(file) for file in files
    ]
    while True:
        body = {"files": [_entry(file) for file in known], "packed": True, "resume": True}
        upload: Upload = connection.call("POST", f"{namespace_path(namespace)}/uploads", body=body)
        # What is announced without its digest is not hashed: sent for nothing, if it is there already.
        same = {upload["files"][index]["path"] for index in upload.get("same_size", [])}
        # And what was sent of it before may be another file of its size: the one before it was trained again.
        came = {entry["path"]: entry["sha256"] for entry in upload["files"] if entry["status"] == "received"}
        again = [
            file for file in known if not isinstance(file, HashedFile) and file.path in same | came.keys()
        ]
        if not again:
            return upload, known
        now = hash_files([LocalFile(file.path, file.source, file.size) for file in again], progress)
        hashed = {file.path: file for file in now}
        known = [hashed.get(file.path, file) for file in known]
        if not same:
            if all(came[file.path] == file.sha256 for file in now):
                return upload, known
            continue  # that upload may be going on elsewhere: it is left alone
        connection.call("POST", f"{API}/uploads/{upload['id']}/abort")


def _entry(file: SeenFile) -> dict[str, Any]:
    if isinstance(file, HashedFile):
        return dict(file.entry)
    return {"path": file.path, "size": file.size}


def wanted(upload: Upload, files: Sequence[SeenFile]) -> Iterator[Item]:
    """What an upload still wants: files by themselves, and packs with what travels in each, in its order."""
    by_path = {file.path: file for file in files}
    part_size = upload["part_size"]
    packed: dict[int, list[tuple[int, SeenFile]]] = {}
    for entry in upload["files"]:
        file = by_path[entry["path"]]
        if "pack" in entry:
            packed.setdefault(entry["pack"], []).append((entry["offset"], file))
        elif entry["status"] == "wanted":
            yield _item(entry, file, part_size)
    for pack in upload.get("packs", []):
        if pack["status"] == "wanted":
            inside = sorted(packed[pack["index"]], key=lambda place: place[0])
            segments = tuple(Segment(file, 0, file.size) for _, file in inside)
            yield Item(pack["index"], pack["size"], segments, None, dict.fromkeys(pack["parts"], ""))


def _item(entry: UploadedFile, file: SeenFile, part_size: int) -> Item:
    segments = (Segment(file, 0, file.size),)
    if isinstance(file, HashedFile):
        arrived = dict.fromkeys(entry["parts"], "")
        return Item(entry["index"], file.size, segments, part_digests(file, part_size), arrived)
    digests = entry.get("digests", {})
    arrived = {number: digests.get(str(number), "") for number in entry["parts"]}
    return Item(entry["index"], file.size, segments, None, arrived, Hashing(file, part_size))


def plan(item: Item, part_size: int) -> Iterator[Part]:
    """The parts of an item, in order; of one that is hashed meanwhile, each as soon as it is hashed."""
    if item.hashing:
        digests = item.hashing.parts()
    elif item.digests is None:
        digests = (digest(part) for part in cut(item.segments, part_size))
    else:
        digests = iter(item.digests)
    for number, segments in enumerate(cut(item.segments, part_size), start=1):
        sha256 = next(digests)
        size = sum(segment.length for segment in segments)
        # A file hashed before is the one that was announced; of another the digests say whether it still is.
        there = number in item.arrived and (not item.hashing or item.arrived[number] == sha256)
        yield Part(item.index, number, size, sha256, tuple(segments), there)
    next(digests, None)  # to its end: the whole is hashed


def _missing(item: Item, part_size: int) -> int:
    """The bytes still to be sent, as far as that is known before all is hashed."""
    last = -(-item.size // part_size)
    return item.size - sum(
        part_size if number < last else item.size - (last - 1) * part_size for number in item.arrived
    )


class _Sender:
    """Keeps parts on their way, asks for URLs as they are needed, completes items in batches.

    URLs are asked for while the last parts of the batch before still travel, so the line does not fall idle.
    """

    def __init__(
        self,
        connection: Connection,
        store: Store,
        path: str,
        items: Sequence[Item],
        part_size: int,
        progress: Progress,
    ) -> None:
        self._connection = connection
        self._store = store
        self._path = path
        self._items = {item.index: item for item in items}
        self._part_size = part_size
        self._progress = progress
        self._arriving = {item.index: _Arriving(-(-item.size // part_size)) for item in items}
        self._complete: list[int] = []
        self._travelling: dict[Future[str], Part] = {}
        self._completions: list[Future[Any]] = []

    def run(self) -> None:
        pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="assay-upload")
        try:
            for batch in self._batches():
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

    def _batches(self) -> Iterator[list[Part]]:
        """The parts to send, as soon as they are hashed: few at first, then more and more."""
        batch: list[Part] = []
        most = FIRST_URLS
        for item in self._items.values():
            for part in plan(item, self._part_size):
                if part.there:
                    self._count(part)
                    continue
                if part.number in item.arrived:  # other bytes than these had arrived: all of the part anew
                    self._progress.advance("upload", -part.size)
                batch.append(part)
                if len(batch) >= most:
                    yield batch
                    batch, most = [], min(2 * most, MOST_URLS)
        if batch:
            yield batch

    def _count(self, part: Part, etag: str = "") -> None:
        """A part has arrived; without an ETag, in an attempt before."""
        item = self._arriving[part.index]
        if etag:
            item.parts.append({"number": part.number, "etag": etag, "sha256": part.sha256})
        item.remaining -= 1
        if not item.remaining:
            self._complete.append(part.index)

    def _settle(self, most: int) -> None:
        """Wait until at most `most` parts are on their way; raise what went wrong with those that ended."""
        while len(self._travelling) > most:
            ended, _ = wait(self._travelling, return_when=FIRST_COMPLETED)
            for future in ended:
                self._count(self._travelling.pop(future), future.result() or "-")

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
        files = []
        for index in indexes:
            parts = sorted(self._arriving[index].parts, key=lambda part: int(part["number"]))
            file: dict[str, Any] = {"index": index, "parts": parts}
            if hashing := self._items[index].hashing:
                file["sha256"] = hashing.sha256
            files.append(file)
        self._connection.call("POST", f"{self._path}/complete", body={"files": files})


def _stream(connection: Connection, path: str, items: Sequence[Item], progress: Progress) -> None:
    """Send through the server what it still lacks, one item after another."""
    upload: Upload = connection.call("GET", path)
    lacking: Mapping[int, str] = {
        entry["index"]: entry["status"] for entry in [*upload["files"], *upload.get("packs", [])]
    }
    missing = [item for item in items if lacking.get(item.index) == "wanted"]
    came = {entry["index"]: entry["sha256"] for entry in upload["files"]}
    for item in items:
        if item.hashing and item not in missing and came[item.index] != digest(item.segments):
            raise _did_not_arrive(item)
    progress.begin("upload", sum(item.size for item in missing))
    for item in missing:
        _stream_one(connection, f"{path}/files/{item.index}/content", item, progress)


def _stream_one(connection: Connection, path: str, item: Item, progress: Progress) -> None:
    done = Attempt(progress, "upload")
    hashed = hashlib.sha256()

    def content() -> Iterator[bytes]:
        nonlocal hashed
        done.take_back()
        hashed = hashlib.sha256()
        for block in read(item.segments):
            hashed.update(block)
            yield block
            done.advance(len(block))

    answer: Upload = connection.upload(path, content, item.size)
    # The server hashed what came of a file that was announced without a digest: it must be what was sent.
    came = {file["index"]: file["sha256"] for file in answer["files"]}
    if item.hashing and came.get(item.index) != hashed.hexdigest():
        raise _did_not_arrive(item)


def _did_not_arrive(item: Item) -> DigestMismatch:
    return DigestMismatch(f"{item.segments[0].file.path!r} did not arrive as it was sent: push again.")
