"""The sha256 of whole files, remembered between runs, so that data hashed before costs nothing again.

A remembered digest is used only for the same device, inode, size, modification and change time. The change time cannot
be set by a program: a file replaced by one of equal size with its old time put back is hashed again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat as stat_module
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

# A file changed this recently may change again within the clock's resolution and look the same: not remembered.
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
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


class DigestCache:
    """Digests by stamp, in a small SQLite file. A cache that cannot be read or written is as good as none."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def get(self, key: Stamp) -> str | None:
        with suppress(sqlite3.Error, OSError, RuntimeError), closing(self._open()) as database:
            found = database.execute(
                "SELECT sha256 FROM digest WHERE device=? AND inode=? AND size=? AND modified=? AND changed=?",
                _row(key),
            ).fetchone()
            return str(found[0]) if found else None
        return None

    def put(self, key: Stamp, sha256: str) -> None:
        if time.time_ns() - max(key.modified, key.changed) < _SETTLED_NS:
            return
        with suppress(sqlite3.Error, OSError, RuntimeError), closing(self._open()) as database, database:
            database.execute("INSERT OR REPLACE INTO digest VALUES (?,?,?,?,?,?)", (*_row(key), sha256))

    def _open(self) -> sqlite3.Connection:
        path = self._path or cache_file()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=2)
        database.execute(
            "CREATE TABLE IF NOT EXISTS digest (device TEXT, inode TEXT, size INTEGER, modified INTEGER,"
            " changed INTEGER, sha256 TEXT, PRIMARY KEY (device, inode)) WITHOUT ROWID"
        )
        return database


def _row(key: Stamp) -> tuple[str, str, int, int, int]:
    # device and inode numbers are unsigned 64 bit, SQLite's integers are signed
    return (str(key.device), str(key.inode), key.size, key.modified, key.changed)


@dataclass(frozen=True)
class HashedFile:
    """The content of a file at the time it was hashed."""

    digest: str
    stamp: Stamp


def hash_file(path: str, cache: DigestCache) -> HashedFile:
    """`sha256:<hex>` of the whole file and the stamp it had. Raises OSError, also when it changed while being read."""
    before = stamp(path)
    if before is None:
        raise FileNotFoundError(f"{path} is not a regular file")
    known = cache.get(before)
    if known is None:
        with open(path, "rb") as file:
            known = hashlib.file_digest(file, "sha256").hexdigest()
        if stamp(path) != before:
            raise OSError(f"{path} changed while it was being hashed")
        cache.put(before, known)
    return HashedFile(f"sha256:{known}", before)
