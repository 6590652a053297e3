"""One file being received: ranges in any order into a temporary name, hashed in order, renamed when it is right.

Which ranges have arrived is kept beside the temporary file, so that a download that was killed goes on where it
stopped. Two downloads of one file into one folder do not meet: the second takes a temporary name of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from assay.digest import ManifestEntry
from assay.errors import DigestMismatch
from assay.transfer.cache import Cache, empty
from assay.transfer.progress import Progress
from assay.transfer.store import Address, Store

RANGE = 16 * 2**20
BLOCK = 2**20
# Ranges that may be fetched before those in front of them are hashed. Hashing is done by one, so whoever fetches
# further ahead only takes its processor from it.
AHEAD = 6


class Target:
    """Whichever worker ends the range that is next in line hashes from there as far as the file is whole,
    reading back what was written; the others go on meanwhile."""

    def __init__(
        self,
        store: Store,
        address: Callable[[bool], Address],
        entry: ManifestEntry,
        folder: Path,
        cache: Cache,
        progress: Progress,
        taken: frozenset[str] = frozenset(),
    ) -> None:
        """`taken` are the folded paths of other files, whose names a temporary file must not have."""
        self.finished = False
        self.entry = entry
        self._store = store
        self._address = address
        self._cache = cache
        self._progress = progress
        self._final = folder / entry["path"]
        self._taken = taken
        self._name_temporary(entry["sha256"][:12])
        self._lock = threading.Lock()
        self._hashed_more = threading.Condition(self._lock)
        self._file: int | None = None
        self._starts = list(range(0, entry["size"], RANGE)) or [0]
        self._arrived: set[int] = set()
        self._counted = 0  # bytes told to the progress
        self._resumed = False
        self._second = False  # somebody else receives the file under its usual temporary name
        self._keeps = len(self._starts) > 1
        self._hashing = False
        self._hashed = 0
        self._hash = hashlib.sha256()

    def pieces(self) -> Iterator[Callable[[], None]]:
        """The work there is, to be done side by side."""
        if self._cache.has(self.entry["sha256"]):
            return iter([self._from_cache])
        if self._keeps and self._record.exists():
            self._opened()
        ranges = [start for start in self._starts if start not in self._arrived]
        first = [self._catch_up] if self._arrived else []
        return iter([*first, *(partial(self._fetch, start) for start in ranges)])

    def abandon(self) -> None:
        """Leave nothing half-made behind but what another attempt can go on with; harmless when it is finished."""
        with self._lock:
            if self._file is None:
                return
            os.close(self._file)
            self._file = None
            if not self._counted or self._second or not self._record.exists():
                self._remove()

    def restart(self) -> int:
        """Forget what has arrived, for one who writes the file from its beginning; the file to write to."""
        file = self._opened()
        with self._lock:
            self._forget(file)
            counted, self._counted = self._counted, 0
        if counted:
            self._progress.advance("download", -counted)
        return file

    def whole(self, size: int) -> None:
        """The file was written to its end by one, `size` bytes. Raises DigestMismatch."""
        file = self._opened()
        os.ftruncate(file, size)
        with self._lock:
            self._arrived.update(self._starts)
        self._advance(file)

    # ---- the ways in

    def _from_cache(self) -> None:
        file = self._opened()
        if self._cache.copy(self.entry["sha256"], self.entry["size"], file):
            self._progress.advance("download", self.entry["size"])
            with self._lock:
                self._hashed = self.entry["size"]
            self._rename(file)
            return
        self.restart()
        for start in self._starts:
            self._fetch(start)

    def _catch_up(self) -> None:
        """Count and hash what an earlier attempt has brought."""
        with self._lock:
            self._counted = sum(self._length(start) for start in self._arrived)
        self._progress.advance("download", self._counted)
        self._advance(self._opened())

    def _fetch(self, start: int) -> None:
        size = self.entry["size"]
        file = self._opened()
        self._wait_for_hashing(start)
        if size:
            self._store.get(
                self._address,
                start,
                self._length(start),
                size <= RANGE,
                lambda offset, block: write(file, offset, block),
            )
        with self._lock:
            if self.finished or self._file is None:
                return
            if self._keeps:
                with self._record.open("a") as record:
                    record.write(f"{start}\n")
            self._arrived.add(start)
            self._counted += self._length(start)
        self._advance(file)

    def _wait_for_hashing(self, start: int) -> None:
        """Not too far ahead. The first range that has not arrived never waits, so it is always being fetched."""
        with self._hashed_more:
            while start - self._hashed > AHEAD * RANGE and not self._store.abandoned:
                self._hashed_more.wait(timeout=1.0)

    def _length(self, start: int) -> int:
        return min(RANGE, self.entry["size"] - start)

    # ---- hashing in order

    def _advance(self, file: int) -> None:
        """Hash what is whole from the start on, unless another worker does; at the end verify and rename."""
        while True:
            with self._lock:
                if self._hashing or self.finished or self._file is None or self._hashed not in self._arrived:
                    return
                self._arrived.remove(self._hashed)
                self._hashing = True
            try:
                end = min(self._hashed + RANGE, self.entry["size"])
                self._hash_to(file, end)
                if end == self.entry["size"]:
                    self._finish(file)
            finally:
                with self._hashed_more:
                    self._hashing = False
                    self._hashed_more.notify_all()

    def _hash_to(self, file: int, end: int) -> None:
        while self._hashed < end:
            block = os.pread(file, min(BLOCK, end - self._hashed), self._hashed)
            if not block:
                raise DigestMismatch(
                    f"{self.entry['path']!r} is shorter than the {self.entry['size']} bytes of its manifest."
                )
            self._hash.update(block)
            self._hashed += len(block)

    def _finish(self, file: int) -> None:
        right = self._hash.hexdigest() == self.entry["sha256"]
        if right and os.fstat(file).st_size == self.entry["size"]:
            self._rename(file)
            return
        if self._resumed:
            # What was kept may have been lost with the machine's power: once more, from the beginning.
            self.restart()
            for start in self._starts:
                self._fetch(start)
            return
        self._record.unlink(missing_ok=True)
        raise DigestMismatch(
            f"{self.entry['path']!r} arrived with sha256 {self._hash.hexdigest()}, "
            f"but its manifest says {self.entry['sha256']}: the object store served other bytes."
        )

    def _rename(self, file: int) -> None:
        self._cache.keep(self.entry["sha256"], self._temporary)
        self._temporary.replace(self._final)
        with self._lock:
            os.close(file)
            self._file = None
            self.finished = True
        self._record.unlink(missing_ok=True)

    # ---- the temporary file

    def _name_temporary(self, mark: str) -> None:
        """Beside the final name, no longer than a name may be, and the name of no other file of the version."""
        name = self._final.name.encode()[:100].decode(errors="ignore")
        self._temporary = self._final.with_name(f".{name}.{mark}.part")
        self._record = self._temporary.with_suffix(".ranges")
        if not self._taken.isdisjoint({folded(self._temporary), folded(self._record)}):
            self._name_temporary(f"{mark}_")

    def _opened(self) -> int:
        with self._lock:
            if self._file is None:
                self._final.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._open_alone()
                if self._keeps:
                    self._resume(self._file)
                else:
                    empty(self._file)
            return self._file

    def _open_alone(self) -> int:
        """The temporary file, ours as long as it is open; another name when somebody else is writing it."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        file = os.open(self._temporary, flags, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file), self._temporary.stat()):
                return file
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(file)
        self._second = True
        self._name_temporary(f"{self.entry['sha256'][:12]}.{uuid.uuid4().hex[:8]}")
        return os.open(self._temporary, flags | os.O_EXCL, 0o666)

    def _resume(self, file: int) -> None:
        """Take up what an earlier attempt has left, if it was of the same file in the same ranges."""
        header = f"{self.entry['sha256']} {RANGE}"
        try:
            told, *lines = self._record.read_text().splitlines()
        except (FileNotFoundError, ValueError, UnicodeDecodeError):
            told, lines = "", []
        if told == header:
            held = os.fstat(file).st_size
            starts = {int(line) for line in lines if line.isdigit()} & set(self._starts)
            self._arrived = {start for start in starts if start + self._length(start) <= held}
            self._resumed = bool(self._arrived)
        if not self._resumed:
            self._forget(file)

    def _forget(self, file: int) -> None:
        empty(file)
        self._arrived.clear()
        self._resumed, self._hashed, self._hash = False, 0, hashlib.sha256()
        self._hashing = False
        if self._keeps:
            self._record.unlink(missing_ok=True)
            self._record.write_text(f"{self.entry['sha256']} {RANGE}\n")

    def _remove(self) -> None:
        for path in (self._temporary, self._record):
            with suppress(FileNotFoundError):
                path.unlink()


def folded(path: Path) -> str:
    """Equal for paths that are one file where upper and lower case are the same."""
    return str(path).casefold()


def write(file: int, offset: int, block: bytes | memoryview) -> None:
    """All of the block, at its place."""
    view = memoryview(block)
    while view:
        count = os.pwrite(file, view, offset)
        offset += count
        view = view[count:]
