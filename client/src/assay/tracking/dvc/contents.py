"""Bytes that DVC names by MD5: found in its cache or in the work tree, proven, and named by sha256 too."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.tracking.dvc.files import Item
from assay.tracking.folders import folder_digest

# DVC replaced line ends block by block, so that one cut in two by a block's end was not replaced.
_BLOCK = 1 << 20
_MOST_LISTED = 64 << 20
_HEX = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Content:
    """`sha256:<hex>` of bytes that are the ones DVC recorded, and their number."""

    digest: str
    size: int


@dataclass
class Contents:
    """Looks for bytes. `root` is the repository's, `folder` is where its `.dvc` lies, `most` bounds what is read.

    Nothing is believed for its name: whatever is found is hashed, and is left out when it is not what DVC recorded.
    """

    root: Path
    folder: Path
    most: int | None = None
    _known: dict[str, Content] = field(default_factory=dict)
    _absent: set[tuple[str, str]] = field(default_factory=set)
    _cache: Path | None = None

    @property
    def cache(self) -> Path:
        if self._cache is None:
            self._cache = _cache_of(self.folder)
        return self._cache

    def of(self, item: Item) -> Content | None:
        """None when the bytes are not here, are others, or are more than may be read."""
        key = (item.foreign, item.path)
        if item.foreign and item.foreign not in self._known and key not in self._absent:
            if (found := self._folder(item) if item.is_folder else self._file(item)) is not None:
                self._known[item.foreign] = found
            else:
                self._absent.add(key)
        return self._known.get(item.foreign)

    def know(self, item: Item, content: Content) -> None:
        """What was proven elsewhere."""
        self._known[item.foreign] = content

    def known(self, items: Iterable[Item]) -> list[str]:
        """Which of these contents are known by a digest of ours."""
        return [item.foreign for item in items if item.foreign in self._known]

    def listing(self, item: Item) -> dict[str, str] | None:
        """The MD5 of each file in a folder, by its path in it; None when DVC's listing is not here, or is another."""
        for path in self._objects(f"{item.md5}.dir"):
            content = _small(path)
            if content is None or hashlib.md5(content, usedforsecurity=False).hexdigest() != item.md5:
                continue
            return dict(_entries(content))
        return None

    def read(self, item: Item, most: int = _MOST_LISTED) -> bytes | None:
        """The bytes of a small file; None when they are not here."""
        for path in self._places(item):
            content = _small(path, most)
            if content is not None and item.md5 in md5s(content, text=item.text):
                return content
        return None

    def _file(self, item: Item) -> Content | None:
        for path in self._places(item):
            size = _size(path)
            if size is None or (self.most is not None and size > self.most):
                continue
            if (found := prove(path, item)) is not None:
                return found
        return None

    def _folder(self, item: Item) -> Content | None:
        """What a folder's files are together: `sha256:<hex>` over their paths, sizes and digests."""
        listed = self.listing(item)
        if listed is None:
            return None
        if self.most is not None and (item.size is None or item.size > self.most):
            return None
        files: list[tuple[str, int, str]] = []
        for path, md5 in listed.items():
            found = self.of(Item(f"{item.path}/{path}", f"md5:{md5}", text=item.text))
            if found is None:
                return None
            files.append((path, found.size, found.digest))
        return Content(folder_digest(files), sum(size for _, size, _ in files))

    def _places(self, item: Item) -> Iterator[Path]:
        yield from self._objects(item.md5)
        if "://" not in item.path:
            yield self.root / item.path

    def objects(self, item: Item) -> Iterator[Path]:
        """Where the cache has a file, if it has it."""
        yield from self._objects(item.md5)

    def _objects(self, name: str) -> Iterator[Path]:
        # As DVC 3 lays its cache out, and as it did before.
        yield self.cache / "files" / "md5" / name[:2] / name[2:]
        yield self.cache / name[:2] / name[2:]


def prove(path: Path, item: Item) -> Content | None:
    """The digest of a file whose MD5 is the one recorded; None when it is another, or cannot be read."""
    whole, plain = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    lines = hashlib.md5(usedforsecurity=False) if item.text else None
    size = 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                size += len(block)
                whole.update(block)
                plain.update(block)
                if lines is not None:
                    lines.update(block.replace(b"\r\n", b"\n"))
    except OSError:
        return None
    found = {plain.hexdigest()} | ({lines.hexdigest()} if lines is not None else set())
    return Content(f"sha256:{whole.hexdigest()}", size) if item.md5 in found else None


def md5s(content: bytes, *, text: bool) -> set[str]:
    """What DVC may call these bytes."""
    forms = [content, content.replace(b"\r\n", b"\n")] if text else [content]
    return {hashlib.md5(each, usedforsecurity=False).hexdigest() for each in forms}


def _entries(content: bytes) -> Iterator[tuple[str, str]]:
    try:
        listed: Any = json.loads(content)
    except ValueError:
        return
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and _HEX.fullmatch(str(each.get("md5"))):
            yield str(each.get("relpath") or ""), str(each["md5"])


def _size(path: Path) -> int | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _small(path: Path, most: int = _MOST_LISTED) -> bytes | None:
    size = _size(path)
    if size is None or size > most:
        return None
    try:
        return path.read_bytes()
    except OSError:
        return None


def _cache_of(folder: Path) -> Path:
    """The folder of the cache: `.dvc/cache`, or what DVC's settings of this repository name."""
    chosen = ""
    for name in ("config", "config.local"):
        settings = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            settings.read(folder / name, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        chosen = settings.get("cache", "dir", fallback=chosen)
    return folder / os.path.expanduser(chosen) if chosen else folder / "cache"
