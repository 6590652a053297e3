"""What a set of files is: the manifest digest, and the rules for the paths in it.

The digest binds names, sizes and contents: sha256 of compact UTF-8 JSON
`{"files":[{"path","sha256","size"},...],"v":1}`, files sorted by the bytes of their path, paths in NFC.
The server computes the same from what it stored.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict
from urllib.parse import unquote

from assay.errors import PathRefused

MOST_BYTES = 1024
MOST_PART_BYTES = 255
LOOKALIKES = frozenset("\\\u2044\u2215\u2216\u29f5\u29f8\u29f9")
DRIVE = re.compile(r"[a-z]:|[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
ESCAPED = re.compile(r"%u[0-9a-f]{4}", re.IGNORECASE)
# What Windows opens in the place of a file, whatever the folder and the extension.
DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[1-9]|lpt[1-9])\s*(?:[.:]|$)", re.IGNORECASE)
# Control, format (zero-width, bidirectional), surrogate, private and unassigned characters; line separators.
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class ManifestEntry(TypedDict):
    """One file: a path in NFC with `/`, the hexadecimal sha256 of its content, its size in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class LocalFile:
    """A regular file on disk and the logical path it has in a manifest."""

    path: str
    source: Path
    size: int


def manifest_digest(entries: Iterable[ManifestEntry]) -> str:
    """`sha256:<hex>` of the canonical manifest. Raises PathRefused when the paths cannot stand together."""
    files = [{"path": check_path(e["path"]), "sha256": e["sha256"], "size": e["size"]} for e in entries]
    check_collisions(str(file["path"]) for file in files)
    files.sort(key=lambda file: str(file["path"]).encode())
    text = json.dumps({"files": files, "v": 1}, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def check_path(path: str) -> str:
    """The path in NFC. Raises PathRefused for one that means something else on another machine.

    The server has the same rules.
    """
    normal = unicodedata.normalize("NFC", path)
    for rule in _broken_rules(normal):
        raise PathRefused(f"{path[:200]!r}: {rule}")
    return normal


def _broken_rules(normal: str) -> Iterator[str]:
    """The rules that a path breaks, as it stands or as a program reads it that decodes or folds characters."""
    decoded = unquote(normal, errors="replace")
    folded = unicodedata.normalize("NFKC", decoded)
    parts = normal.split("/")
    if any(unicodedata.category(character) in UNSEEN for character in normal + decoded):
        yield "a path may hold no control, invisible or unassigned character."
        return  # what is no text has no length in bytes either
    if not normal or len(normal.encode()) > MOST_BYTES:
        yield f"a path has 1 to {MOST_BYTES} bytes."
    if (
        not LOOKALIKES.isdisjoint(normal + decoded)
        or "\\" in folded
        or folded.count("/") != normal.count("/")
    ):
        yield "folders are separated by `/`: a path may hold no backslash, and nothing that is read as a slash."
    if DRIVE.match(normal) or DRIVE.match(folded):
        yield "a path begins with no drive letter and no scheme."
    if ESCAPED.search(normal) or (decoded != normal and not {"%", "\ufffd"}.isdisjoint(decoded)):
        yield "a path may hold no percent-encoding of a percent sign or of what is no text."
    if any(not part.partition(";")[0].strip(" .") for part in folded.split("/")):
        yield "a path is relative and has no empty, `.` or `..` part, in no encoding."
    if any(part != part.strip() or part.endswith(".") for part in parts):
        yield "a part of a path neither begins nor ends with a space, nor ends with a dot."
    if any(DEVICE.match(part.strip()) for part in folded.split("/")):
        yield "CON, PRN, AUX, NUL, COM1 and the like are devices on Windows: no part of a path is called so."
    if any(len(part.encode()) > MOST_PART_BYTES for part in parts):
        yield f"a part of a path has at most {MOST_PART_BYTES} bytes."


def check_collisions(paths: Iterable[str]) -> None:
    """Raises PathRefused when two paths are one on some file system, or one is the folder of another."""
    seen: dict[str, str] = {}
    for path in paths:
        key = _folded(path)
        if key in seen:
            raise PathRefused(
                f"{seen[key]!r} and {path!r} are one name where case and Unicode form do not count."
            )
        seen[key] = path
    for key, path in seen.items():
        parent = key.rpartition("/")[0]
        while parent:
            if parent in seen:
                raise PathRefused(f"{seen[parent]!r} is a file, and {path!r} needs a folder of that name.")
            parent = parent.rpartition("/")[0]


def scan(root: str | os.PathLike[str]) -> list[LocalFile]:
    """The regular files at `root`, a file or a folder, sorted by the bytes of their logical path.

    Nothing is left out silently: a symlink, a device, an unusable name, an absent root raise PathRefused.
    """
    top = Path(root)
    try:
        information = top.lstat()
    except OSError as error:
        raise PathRefused(f"{top} cannot be read: {error.strerror}.") from error
    if stat.S_ISREG(information.st_mode):
        return [LocalFile(check_path(top.name), top, information.st_size)]
    # the root itself may be a symlink to a folder: it has no name in the manifest
    if not top.is_dir():
        raise PathRefused(f"{top} is neither a regular file nor a folder.")
    files = sorted(_walk(top, ""), key=lambda file: file.path.encode())
    if not files:
        raise PathRefused(f"{top} holds no files.")
    check_collisions(file.path for file in files)
    return files


def sha256_file(path: str | os.PathLike[str]) -> str:
    """The hexadecimal sha256 of a file's content."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _walk(folder: Path, prefix: str) -> Iterator[LocalFile]:
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except OSError as error:
        raise PathRefused(f"{folder} cannot be read: {error.strerror}.") from error
    for entry in entries:
        logical = prefix + entry.name
        if entry.is_symlink():
            raise PathRefused(
                f"{logical!r} is a symlink: put the file itself there, so that what is pushed is plain."
            )
        if entry.is_dir():
            yield from _walk(Path(entry.path), logical + "/")
        elif entry.is_file():
            yield LocalFile(check_path(logical), Path(entry.path), entry.stat().st_size)
        else:
            raise PathRefused(f"{logical!r} is neither a regular file nor a folder.")


def _folded(path: str) -> str:
    """Equal for paths that a file system blind to case or normalisation cannot tell apart."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
