"""Having the content object of every file of an upload: read whole, hashed, and only then put in its place."""

from __future__ import annotations

import hashlib
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connection

from registry.artifacts import packs, storage
from registry.artifacts.content import (
    COPIED_WHOLE,
    BytesDiffer,
    Content,
    Copying,
    Source,
    Staged,
    settle,
    settle_small,
)
from registry.artifacts.hashing import hash_object, read_chunks, read_small
from registry.artifacts.storage import MIB
from registry.models import UploadFile

SIDE_BY_SIDE = 4
ATTEMPTS = 3
# What is settled at once, under as many locks.
MOST_FILES, MOST_BYTES = 200, 16 * MIB


class FileUnfit(Exception):
    """A file is not what was announced; the sentence says how."""

    def __init__(self, file: UploadFile, sentence: str) -> None:
        super().__init__(sentence)
        self.file = file
        self.sentence = sentence


def place(files: Iterable[UploadFile]) -> list[FileUnfit]:
    """Have the content object of every file; what is wrong with what was sent, by index. Raises StoreUnavailable.

    `files` are all of an upload, packs included. Packs and files beyond 1 MiB go one after another, each of
    them read and copied in several places at once; small files side by side.
    """
    small: list[UploadFile] = []
    large: list[UploadFile] = []
    packed: dict[int, list[UploadFile]] = {}
    carriers: list[UploadFile] = []
    seen: set[str] = set()
    for file in files:
        if packs.is_pack(file):
            carriers.append(file)
        elif file.pack_id is not None:
            packed.setdefault(file.pack_id, []).append(file)
        # Bytes that are held already are looked at once; what was sent is hashed, each time it was.
        elif file.sha256 not in seen or file.status != UploadFile.Status.PRESENT:
            (large if file.size > packs.SMALL and file.staging_key else small).append(file)
            seen.add(file.sha256)
    unfit = _side_by_side(small)
    for carrier in carriers:
        unfit += _place_pack(carrier, packed.get(carrier.pk, []))
    unfit += [problem for file in large if (problem := _place_one(file))]
    return sorted(unfit, key=lambda problem: problem.file.index)


def _side_by_side(files: Sequence[UploadFile]) -> list[FileUnfit]:
    waiting: queue.SimpleQueue[UploadFile] = queue.SimpleQueue()
    for file in files:
        waiting.put(file)

    def work() -> list[FileUnfit]:
        found = []
        try:
            while True:
                if problem := _place_one(waiting.get_nowait()):
                    found.append(problem)
        except queue.Empty:
            return found
        finally:
            connection.close()

    if len(files) == 1:
        problem = _place_one(files[0])
        return [problem] if problem else []
    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE, thread_name_prefix="publish") as pool:
        jobs = [pool.submit(work) for _ in range(min(SIDE_BY_SIDE, len(files)))]
        return [problem for job in jobs for problem in job.result()]


def _place_one(file: UploadFile) -> FileUnfit | None:
    """One file's content object. Returns what is wrong with what was sent."""
    for _ in range(ATTEMPTS):
        try:
            with _source(file) as source:
                if settle(file.sha256, file.size, source):
                    return None
        except FileUnfit as unfit:
            return unfit
        except (storage.ObjectChanged, BytesDiffer):
            continue
        except storage.ObjectMissing:
            return FileUnfit(file, f"{file.path} is not in the staging area any more: send it again.")
        else:
            return FileUnfit(
                file,
                f"{file.path} was held by this namespace, but its bytes are damaged or gone: send it again.",
            )
    return FileUnfit(file, f"{file.path} changed while it was being verified: send it again.")


@contextmanager
def _source(file: UploadFile) -> Iterator[Source | None]:
    """Where the sent bytes are, hashed now; None for what was not sent. Raises FileUnfit, ObjectMissing.

    A large file is being copied while it is read. What is copied is no object before both have ended well.
    """
    if not file.staging_key:
        yield None
        return
    bucket = storage.hot()
    if file.size <= packs.SMALL:
        content = read_small(bucket, file.staging_key, file.size)
        _check(file, len(content), hashlib.sha256(content).hexdigest())
        yield Content(content)
        return
    found = bucket.found(file.staging_key)
    _check(file, found.size, None)
    staged = Staged(bucket, file.staging_key, found.etag)
    target = storage.content_key(file.sha256)
    if file.size <= COPIED_WHOLE or bucket.head(target) is not None:
        _check(file, found.size, hash_object(bucket, file.staging_key, found).sha256)
        yield staged
        return
    with Copying(staged, bucket, target, file.size) as copying:
        _check(file, found.size, hash_object(bucket, file.staging_key, found).sha256)
        yield copying


def _check(file: UploadFile, size: int, sha256: str | None) -> None:
    """Raises FileUnfit when what arrived is not what was announced."""
    if size != file.size:
        raise FileUnfit(file, f"{file.path} has {size} bytes, but {file.size} were announced: send it again.")
    if sha256 is not None and sha256 != file.sha256:
        raise FileUnfit(
            file,
            f"The bytes of {file.path} have sha256 {sha256}, but {file.sha256} was announced: send it again.",
        )


def _place_pack(pack: UploadFile, files: Sequence[UploadFile]) -> list[FileUnfit]:
    """The content objects of what travelled in a pack, which is read once."""

    def all_unfit(why: str) -> list[FileUnfit]:
        return [FileUnfit(file, f"{file.path} {why}: send it again.") for file in files]

    bucket = storage.hot()
    for _ in range(ATTEMPTS):
        try:
            found = bucket.found(pack.staging_key)
            if found.size != pack.size:
                return all_unfit(f"came in a pack of {found.size} bytes instead of {pack.size}")
            return _place_packed(files, lambda found=found: read_chunks(bucket, pack.staging_key, found))  # type: ignore[misc]
        except storage.ObjectChanged:
            continue
        except storage.ObjectMissing:
            return all_unfit("is not in the staging area any more")
    return all_unfit("changed while it was being verified")


def _place_packed(files: Sequence[UploadFile], chunks: Callable[[], Iterator[bytes]]) -> list[FileUnfit]:
    unfit: list[FileUnfit] = []
    batch: dict[str, bytes] = {}
    held = 0
    ordered = sorted(files, key=lambda file: file.offset or 0)
    for file, content in packs.carve(ordered, chunks()):
        try:
            _check(file, len(content), hashlib.sha256(content).hexdigest())
        except FileUnfit as problem:
            unfit.append(problem)
            continue
        batch[file.sha256] = content
        held += len(content)
        if len(batch) >= MOST_FILES or held >= MOST_BYTES:
            settle_small(batch, SIDE_BY_SIDE)
            batch, held = {}, 0
    settle_small(batch, SIDE_BY_SIDE)
    return unfit
