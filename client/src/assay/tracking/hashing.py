"""The sha256 of whole files, remembered between runs, so that data hashed before costs nothing again.

A remembered digest is used only for the same device, inode, size, modification and change time. The change time cannot
be set by a program: a file replaced by one of equal size with its old time put back is hashed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat as stat_module
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .tables import Table, counter, describe

# A file changed this recently may change again within the clock's resolution and look the same: not remembered.
_SETTLED_NS = 2_000_000_000
_BLOCK = 1 << 20
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one content of a file from another without reading it. Times in nanoseconds, size in bytes."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, information: os.stat_result) -> Stamp:
        return cls(information.st_dev, information.st_ino, information.st_size,
                   information.st_mtime_ns, information.st_ctime_ns)  # fmt: skip

    def same_content(self, other: Stamp) -> bool:
        """The change time is left out: a new link or mode is not a new content."""
        return (self.device, self.inode, self.size, self.modified) == (
            other.device, other.inode, other.size, other.modified)  # fmt: skip


def stamp(path: str) -> Stamp | None:
    """The stamp of a regular file, None for anything else or nothing there."""
    try:
        information = os.stat(path)
    except (OSError, ValueError):
        return None
    return Stamp.of(information) if stat_module.S_ISREG(information.st_mode) else None


def cache_file() -> Path:
    """`$XDG_CACHE_HOME/assay/digests.sqlite`, by default under `~/.cache`."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(home) if os.path.isabs(home) else Path.home() / ".cache"
    return folder / "assay" / "digests.sqlite"


@dataclass(frozen=True, slots=True)
class Known:
    """The digest of a content, and what it was counted to be as a table."""

    sha256: str
    table: Table | None = None


class DigestCache:
    """Digests by stamp, in a small SQLite file. A cache that cannot be read or written is as good as none.

    What is put is written by the batch, and by `flush`: a transaction for each of many small files costs more than
    hashing them.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._owner = 0
        self._pending: dict[tuple[str, str], tuple[Stamp, Known]] = {}

    def get(self, key: Stamp) -> Known | None:
        device, inode, *rest = _row(key)
        with self._lock:
            waiting = self._pending.get((str(device), str(inode)))
            if waiting is not None:
                return waiting[1] if waiting[0] == key else None
            with suppress(sqlite3.Error, OSError, RuntimeError, ValueError, TypeError):
                found = (
                    self._open()
                    .execute(
                        "SELECT sha256, facts FROM content"
                        " WHERE device=? AND inode=? AND size=? AND modified=? AND changed=?",
                        (device, inode, *rest),
                    )
                    .fetchone()
                )
                if found:
                    return Known(str(found[0]), Table(**json.loads(found[1])) if found[1] else None)
        return None

    def put(self, key: Stamp, known: Known) -> None:
        if time.time_ns() - max(key.modified, key.changed) < _SETTLED_NS:
            return
        with self._lock:
            self._pending[str(key.device), str(key.inode)] = (key, known)
            if len(self._pending) >= _BATCH:
                self._write()

    def flush(self) -> None:
        """Write what waits, and let go of the file."""
        with self._lock:
            self._write()
            if self._database is not None and self._owner == os.getpid():
                self._database.close()
            self._database = None

    def _write(self) -> None:
        rows = [
            (*_row(key), known.sha256, json.dumps(asdict(known.table)) if known.table is not None else None)
            for key, known in self._pending.values()
        ]
        self._pending.clear()
        with suppress(sqlite3.Error, OSError, RuntimeError):
            if rows:
                with self._open() as database:
                    database.executemany("INSERT OR REPLACE INTO content VALUES (?,?,?,?,?,?,?)", rows)

    def _open(self) -> sqlite3.Connection:
        # a connection must not be used by a process that was forked from its owner
        if self._database is None or self._owner != os.getpid():
            path = self._path or cache_file()
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            database = sqlite3.connect(path, timeout=2, check_same_thread=False)
            try:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS content (device TEXT, inode TEXT, size INTEGER, modified INTEGER,"
                    " changed INTEGER, sha256 TEXT, facts TEXT, PRIMARY KEY (device, inode)) WITHOUT ROWID"
                )
            except sqlite3.Error:
                database.close()
                raise
            self._database, self._owner = database, os.getpid()
        return self._database


def _row(key: Stamp) -> tuple[str, str, int, int, int]:
    # device and inode numbers are unsigned 64 bit, SQLite's integers are signed
    return (str(key.device), str(key.inode), key.size, key.modified, key.changed)


@dataclass(frozen=True, slots=True)
class HashedFile:
    """The content of a file at the time it was hashed, and what it is as a table, where that is known."""

    digest: str
    stamp: Stamp
    table: Table | None = None


def hash_file(path: str, cache: DigestCache) -> HashedFile:
    """`sha256:<hex>` of the whole file and the stamp it had. Raises OSError, also when it changed while being read."""
    before = stamp(path)
    if before is None:
        raise FileNotFoundError(f"{path} is not a regular file")
    known = cache.get(before)
    if known is None:
        known = _read_whole(path)
        if stamp(path) != before:
            raise OSError(f"{path} changed while it was being hashed")
        cache.put(before, known)
    return HashedFile(f"sha256:{known.sha256}", before, known.table or describe(path))


def _read_whole(path: str) -> Known:
    counting = counter(path)
    with open(path, "rb") as file:
        if counting is None:
            return Known(hashlib.file_digest(file, "sha256").hexdigest())
        digest = hashlib.sha256()
        while block := file.read(_BLOCK):
            digest.update(block)
            counting.feed(block)
    return Known(digest.hexdigest(), counting.table())
