"""Files that were pulled once, by digest: the same bytes are not fetched again.

An entry is a second name (a hard link) of a pulled file, so keeping it costs nothing; on another file system it
is a copy. The file may be edited in place by whoever pulled it: an entry is hashed each time it is used, and
dropped when it is not what its name says. The longest unused go when the cache is larger than its limit.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from assay.errors import SettingsError

BLOCK = 2**20
GIB = 2**30
DEFAULT_GIB = 50
FICLONE = 0x40049409  # Linux: share the blocks of another file, where the file system can


@dataclass(frozen=True)
class Cache:
    """`folder` None: nothing is kept. Nothing here ever raises for the sake of the cache alone."""

    folder: Path | None
    limit: int = DEFAULT_GIB * GIB

    @classmethod
    def from_environment(cls) -> Cache:
        """`ASSAY_CACHE`: a folder, or `off`; by default `$XDG_CACHE_HOME/assay`. `ASSAY_CACHE_GIB` bounds it.

        Raises SettingsError.
        """
        given = os.environ.get("ASSAY_CACHE", "")
        if given.lower() in ("off", "0", "no", "false"):
            return cls(None)
        text = os.environ.get("ASSAY_CACHE_GIB", str(DEFAULT_GIB))
        try:
            limit = int(float(text) * GIB)
        except (ValueError, OverflowError):
            raise SettingsError(f"ASSAY_CACHE_GIB is a number of GiB, not {text!r}.") from None
        if given:
            return cls(Path(given).expanduser(), limit)
        home = os.environ.get("XDG_CACHE_HOME", "")
        try:
            folder = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
        except RuntimeError:  # nobody's home is known
            return cls(None)
        return cls(folder / "assay", limit)

    def has(self, sha256: str) -> bool:
        """Whether there is an entry; what it holds is looked at when it is used."""
        return self.folder is not None and self._entry(sha256).is_file()

    def copy(self, sha256: str, size: int, target: int) -> bool:
        """Write the bytes to the open file `target`, if they are right. False: they have to be fetched."""
        try:
            with self._entry(sha256).open("rb", buffering=0) as source:
                if os.fstat(source.fileno()).st_size == size and _copy(source.fileno(), target) == sha256:
                    self._touch(sha256)
                    return True
        except OSError:
            return False
        self.drop(sha256)
        return False

    def keep(self, sha256: str, path: Path) -> None:
        """Remember a file whose digest was just computed."""
        if self.folder is None or self.has(sha256):
            return
        entry = self._entry(sha256)
        temporary = entry.with_name(f".{sha256[:12]}.{uuid.uuid4().hex[:8]}")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            entry.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, entry)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                    return
                size = path.stat().st_size
                if shutil.disk_usage(entry.parent).free < 2 * size + GIB:
                    return
                shutil.copyfile(path, temporary)
                temporary.replace(entry)
            self._touch(sha256)
        except OSError:
            with suppress(OSError):
                temporary.unlink()

    def drop(self, sha256: str) -> None:
        with suppress(OSError):
            self._entry(sha256).unlink()
        with suppress(OSError):
            self._mark(sha256).unlink()

    def prune(self) -> None:
        """Drop the longest unused until the rest is within the limit."""
        entries = []
        for path, size in self.entries():
            try:
                used = self._mark(path.name).stat().st_mtime
            except OSError:
                used = 0.0
            entries.append((used, path.name, size))
        total = sum(size for _, _, size in entries)
        for _, sha256, size in sorted(entries):
            if total <= self.limit:
                return
            self.drop(sha256)
            total -= size

    def entries(self) -> list[tuple[Path, int]]:
        """Every entry and its size in bytes."""
        if self.folder is None:
            return []
        found = []
        for path in (self.folder / "blobs").glob("??/*"):
            with suppress(OSError):
                found.append((path, path.stat().st_size))
        return found

    def _entry(self, sha256: str) -> Path:
        return (self.folder or Path()) / "blobs" / sha256[:2] / sha256

    def _mark(self, sha256: str) -> Path:
        """Says when the entry was last used: its own times are those of the file that was pulled."""
        return (self.folder or Path()) / "used" / sha256[:2] / sha256

    def _touch(self, sha256: str) -> None:
        mark = self._mark(sha256)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def _copy(source: int, target: int) -> str:
    """Copy, sharing blocks where that can be done; the sha256 of what was copied."""
    empty(target)
    try:
        fcntl.ioctl(target, FICLONE, source)
        shared = True
    except OSError:
        shared = False
    hashed, offset = hashlib.sha256(), 0
    while block := os.pread(source, BLOCK, offset):
        hashed.update(block)
        if not shared:
            view, at = memoryview(block), offset
            while view:
                count = os.pwrite(target, view, at)
                view, at = view[count:], at + count
        offset += len(block)
    return hashed.hexdigest()


def empty(file: int) -> None:
    """Have nothing in it. A file that is truncated, even from nothing to nothing, is written to the disk by ext4
    when it is closed, which takes as long as a second for a gibibyte: so only where there is something."""
    if os.fstat(file).st_size:
        os.ftruncate(file, 0)
