"""The two digests over a set of files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

# What model_signing leaves out of a signature unless told otherwise (its `ignore_git_paths`).
GIT_PATHS = {".git", ".gitattributes", ".github", ".gitignore"}


@dataclass(frozen=True)
class Entry:
    """One file: its path in NFC, its size in bytes, its sha256 in hex."""

    path: str
    size: int
    sha256: str


def canonical(entries: Iterable[Entry]) -> bytes:
    """The manifest as it is hashed: compact UTF-8 JSON, sorted by the bytes of the paths."""
    files = [
        {"path": entry.path, "sha256": entry.sha256, "size": entry.size}
        for entry in sorted(entries, key=lambda entry: entry.path.encode())
    ]
    text = json.dumps({"files": files, "v": 1}, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode()


def manifest_digest(entries: Iterable[Entry]) -> str:
    """The hex sha256 of the canonical manifest: of the file that anybody can download and hash again."""
    return hashlib.sha256(canonical(entries)).hexdigest()


def oms_digest(entries: Iterable[Entry]) -> str:
    """The hex subject digest that OpenSSF model_signing (1.x, defaults) gives a folder of these files.

    Read from its source: sha256 over the raw sha256 digests of the files, one after another, in the order of
    `PurePosixPath`, which compares folder by folder (`a/b` before `a.txt`), Git's own paths at the top left
    out. It does not bind names: that is what `manifest_digest` is for.
    """
    digest = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: entry.path.split("/")):
        if entry.path.split("/", 1)[0] not in GIT_PATHS:
            digest.update(bytes.fromhex(entry.sha256))
    return digest.hexdigest()
