"""Read files once to know the whole file's digest and each part's."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from assay.digest import LocalFile, ManifestEntry
from assay.errors import FileChanged, PathRefused
from assay.transfer.progress import Progress, Step

PART_SIZE = 16 * 2**20  # what servers ask for unless a file is huge; another size costs reading parts again
BLOCK = 2**20
BATCH = 4 * 2**20


@dataclass(frozen=True)
class SeenFile:
    """A file as it was when it was first looked at: what is read later must still be that."""

    path: str
    source: Path
    size: int
    modified_ns: int


@dataclass(frozen=True)
class HashedFile(SeenFile):
    """What a file held when read: digests of the whole and of its parts of `part_size` bytes."""

    sha256: str
    part_size: int
    parts: tuple[str, ...]

    @property
    def entry(self) -> ManifestEntry:
        return {"path": self.path, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True)
class Segment:
    """`length` bytes of a file from `start`."""

    file: SeenFile
    start: int
    length: int


def hash_files(
    files: Sequence[LocalFile], progress: Progress, part_size: int = PART_SIZE
) -> list[HashedFile]:
    """Hash files in parallel, in their order. Raises FileChanged, PathRefused when one cannot be read."""
    progress.begin("hash", sum(file.size for file in files))
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1), thread_name_prefix="assay-hash") as pool:
        ending = _Ending(progress)
        jobs = [pool.submit(_hash_all, batch, ending, part_size) for batch in _batches(files)]
        try:
            return [hashed for job in jobs for hashed in job.result()]
        except BaseException:
            ending.ended = True
            pool.shutdown(cancel_futures=True)
            raise


def _batches(files: Sequence[LocalFile]) -> Iterator[list[LocalFile]]:
    """Files by which a thread is busy for some milliseconds: handing each over by itself takes longer than hashing
    a small one."""
    batch, size = list[LocalFile](), 0
    for file in files:
        batch.append(file)
        size += file.size
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _hash_all(files: Sequence[LocalFile], progress: Progress, part_size: int) -> list[HashedFile]:
    return [hash_file(file, progress, part_size) for file in files]


class _Ending:
    """Passes progress on until it is told that nobody waits any more; then the file being hashed is left."""

    def __init__(self, progress: Progress) -> None:
        self.ended = False
        self._progress = progress

    def begin(self, step: Step, total: int) -> None:
        self._progress.begin(step, total)

    def advance(self, step: Step, amount: int) -> None:
        if self.ended:
            raise CancelledError
        self._progress.advance(step, amount)


def hash_file(file: LocalFile, progress: Progress, part_size: int = PART_SIZE) -> HashedFile:
    """Hash one file, reading it once. Raises FileChanged when it changes meanwhile."""
    try:
        with file.source.open("rb", buffering=0) as stream:
            before = os.fstat(stream.fileno())
            whole, parts = _digests(stream, before.st_size, part_size, progress)
            after = os.fstat(stream.fileno())
    except OSError as error:
        raise PathRefused(f"{file.path!r} cannot be read: {error.strerror}.") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise changed(file.path)
    return HashedFile(
        file.path, file.source, after.st_size, after.st_mtime_ns, whole, part_size, tuple(parts)
    )


def see(file: LocalFile) -> SeenFile:
    """The file as it is now, not read yet. Raises PathRefused."""
    try:
        state = file.source.stat()
    except OSError as error:
        raise PathRefused(f"{file.path!r} cannot be read: {error.strerror}.") from error
    return SeenFile(file.path, file.source, state.st_size, state.st_mtime_ns)


class Hashing:
    """A file being hashed part by part while it is sent; `sha256` is right when `parts` has come to its end."""

    def __init__(self, file: SeenFile, part_size: int) -> None:
        self._file = file
        self._part_size = part_size
        self._whole = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._whole.hexdigest()

    def parts(self) -> Iterator[str]:
        """The digest of each part, in order. Raises FileChanged."""
        with ThreadPoolExecutor(max_workers=1) as second:
            for segments in cut([Segment(self._file, 0, self._file.size)], self._part_size):
                part = hashlib.sha256()
                for block in read(segments):
                    job = second.submit(part.update, block)
                    self._whole.update(block)
                    job.result()
                yield part.hexdigest()


def part_digests(file: HashedFile, part_size: int) -> tuple[str, ...]:
    """The digests of parts of another size than the one hashed with."""
    if part_size == file.part_size or (len(file.parts) <= 1 and file.size <= part_size):
        return file.parts
    return tuple(digest(part) for part in cut([Segment(file, 0, file.size)], part_size))


def cut(segments: Iterable[Segment], part_size: int) -> Iterator[list[Segment]]:
    """What lies one after another, in parts of `part_size` bytes; the last may be smaller."""
    part: list[Segment] = []
    room = part_size
    for segment in segments:
        start, left = segment.start, segment.length
        while left:
            taken = min(room, left)
            part.append(Segment(segment.file, start, taken))
            start, left, room = start + taken, left - taken, room - taken
            if not room:
                yield part
                part, room = [], part_size
    if part:
        yield part


def digest(segments: Iterable[Segment]) -> str:
    """The sha256 over segments, one after another. Raises FileChanged."""
    hashed = hashlib.sha256()
    for block in read(segments):
        hashed.update(block)
    return hashed.hexdigest()


def read(segments: Iterable[Segment]) -> Iterator[bytes]:
    """The bytes of segments, block by block. Raises FileChanged."""
    for segment in segments:
        with opened(segment) as stream:
            stream.seek(segment.start)
            left = segment.length
            while left and (block := stream.read(min(BLOCK, left))):
                left -= len(block)
                yield block
            if left:
                raise changed(segment.file.path)


@contextmanager
def opened(segment: Segment) -> Iterator[io.FileIO]:
    """The file of a segment. Raises FileChanged unless it is, before and afterwards, the one that was hashed."""
    file = segment.file
    try:
        stream = io.FileIO(file.source, "rb")
    except OSError as error:
        raise changed(file.path) from error
    with stream:
        _check_same(file, stream)
        yield stream
        _check_same(file, stream)


def _check_same(file: SeenFile, stream: io.FileIO) -> None:
    state = os.fstat(stream.fileno())
    if (state.st_size, state.st_mtime_ns) != (file.size, file.modified_ns):
        raise changed(file.path)


def changed(path: str) -> FileChanged:
    return FileChanged(
        f"{path!r} changed while it was being pushed: wait until it is written, then push again."
    )


def _digests(stream: io.FileIO, size: int, part_size: int, progress: Progress) -> tuple[str, list[str]]:
    """The whole digest and the parts' digests of an unbuffered stream at its start.

    A file of one part is hashed once. A larger one is hashed twice at the same time: hashlib lets go of the
    interpreter lock, so a second core does the parts while the first does the whole.
    """
    if size <= part_size:
        whole = hashlib.sha256()
        for block in _blocks(stream, size, size):
            whole.update(block)
            progress.advance("hash", len(block))
        return whole.hexdigest(), [whole.hexdigest()] if size else []
    whole, part, parts, filled = hashlib.sha256(), hashlib.sha256(), list[str](), 0
    with ThreadPoolExecutor(max_workers=1) as second:
        for block in _blocks(stream, size, part_size):
            job = second.submit(part.update, block)
            whole.update(block)
            job.result()
            progress.advance("hash", len(block))
            filled += len(block)
            if filled == part_size:
                parts.append(part.hexdigest())
                part, filled = hashlib.sha256(), 0
    return whole.hexdigest(), [*parts, part.hexdigest()] if filled else parts


def _blocks(stream: io.FileIO, size: int, part_size: int) -> Iterator[memoryview]:
    """The stream in blocks none of which crosses the end of a part; each is good until the next is asked for."""
    buffer = bytearray(min(BLOCK, max(size, 1)))
    view, left = memoryview(buffer), part_size
    while count := stream.readinto(view[: min(len(view), left or len(view))]):
        left = left - count or part_size
        yield view[:count]
