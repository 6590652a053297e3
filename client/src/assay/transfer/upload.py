"""Send files: only what the namespace lacks, in parallel parts, straight to the object store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from assay.answers import Upload, UploadedFile
from assay.errors import StoreUnreachable
from assay.http import Connection
from assay.references import API, namespace_path
from assay.transfer.hashing import HashedFile, part_digests, read_range
from assay.transfer.progress import Attempt, Progress
from assay.transfer.store import WORKERS, Address, Store

URLS_A_CALL = 200
FILES_A_COMPLETE = 100


@dataclass(frozen=True)
class Part:
    """One part to send: part `number` (from 1) of the upload's file `index`."""

    index: int
    number: int
    start: int
    size: int
    sha256: str


@dataclass
class _Arriving:
    """A file whose parts are on their way: how many are missing, and those that arrived."""

    remaining: int = 0
    parts: list[dict[str, Any]] = field(default_factory=list)


def send(connection: Connection, namespace: str, files: Sequence[HashedFile], progress: Progress) -> Upload:
    """Bring `files` into a new upload of `namespace`; every one is present or received when this returns.

    Bytes go to the object store by presigned part URLs; where it cannot be reached, through the server.
    Raises Refusal, Unreachable, FileChanged.
    """
    body = {"files": [file.entry for file in files]}
    upload: Upload = connection.call("POST", f"{namespace_path(namespace)}/uploads", body=body)
    path = f"{API}/uploads/{upload['id']}"
    by_path = {file.path: file for file in files}
    wanted = {
        entry["index"]: by_path[entry["path"]] for entry in upload["files"] if entry["status"] == "wanted"
    }
    parts = list(plan(upload["files"], wanted, upload["part_size"]))
    progress.begin("upload", sum(part.size for part in parts))
    store = Store(progress)
    try:
        _Sender(connection, store, path, wanted).run(parts)
    except StoreUnreachable:
        _stream(connection, path, wanted, progress)
    finally:
        store.close()
    answer: Upload = connection.call("GET", path)
    return answer


def plan(entries: Sequence[UploadedFile], wanted: Mapping[int, HashedFile], part_size: int) -> Iterator[Part]:
    """The parts still to be sent, in order; an upload that goes on has received some of them before."""
    for entry in entries:
        if entry["index"] not in wanted:
            continue
        file = wanted[entry["index"]]
        received = set(entry["parts"])
        for number, digest in enumerate(part_digests(file, part_size), start=1):
            start = (number - 1) * part_size
            if number not in received:
                yield Part(entry["index"], number, start, min(part_size, file.size - start), digest)


class _Sender:
    """Keeps parts on their way, asks for URLs as they are needed, completes files in batches.

    URLs are asked for while the last parts of the batch before still travel, so the line does not fall idle.
    """

    def __init__(
        self, connection: Connection, store: Store, path: str, files: Mapping[int, HashedFile]
    ) -> None:
        self._connection = connection
        self._store = store
        self._path = path
        self._files = files
        self._arriving = {index: _Arriving() for index in files}
        self._complete: list[int] = []
        self._travelling: dict[Future[str], Part] = {}
        self._completions: list[Future[Any]] = []

    def run(self, parts: Sequence[Part]) -> None:
        for part in parts:
            self._arriving[part.index].remaining += 1
        # all parts of these arrived before a former attempt ended: only their completion is missing
        self._complete = [index for index, file in self._arriving.items() if not file.remaining]
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
                file = self._arriving[part.index]
                file.parts.append({"number": part.number, "etag": future.result(), "sha256": part.sha256})
                file.remaining -= 1
                if not file.remaining:
                    self._complete.append(part.index)

    def _take_complete(self) -> list[int]:
        batch, self._complete = self._complete[:FILES_A_COMPLETE], self._complete[FILES_A_COMPLETE:]
        return batch

    def _put(self, part: Part, address: Address) -> str:
        file = self._files[part.index]

        def current(fresh: bool) -> Address:
            return self._addresses([part])[part.index, part.number] if fresh else address

        return self._store.put(current, lambda: read_range(file, part.start, part.size), part.size)

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


def _stream(connection: Connection, path: str, wanted: Mapping[int, HashedFile], progress: Progress) -> None:
    """Send through the server what it still lacks, one file after another."""
    upload: Upload = connection.call("GET", path)
    missing = [wanted[entry["index"]] for entry in upload["files"] if entry["status"] == "wanted"]
    progress.begin("upload", sum(file.size for file in missing))
    for entry in upload["files"]:
        if entry["status"] == "wanted":
            _stream_one(
                connection, f"{path}/files/{entry['index']}/content", wanted[entry["index"]], progress
            )


def _stream_one(connection: Connection, path: str, file: HashedFile, progress: Progress) -> None:
    done = Attempt(progress, "upload")

    def content() -> Iterator[bytes]:
        done.take_back()
        for block in read_range(file, 0, file.size):
            yield block
            done.advance(len(block))

    connection.upload(path, content, file.size)
