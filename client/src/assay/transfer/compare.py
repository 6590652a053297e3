"""Is a folder on disk what a manifest says? With a server, or years later with nothing but the saved manifest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from assay.answers import Verification
from assay.digest import ManifestEntry, manifest_digest, scan
from assay.errors import DigestMismatch, PathRefused
from assay.transfer.hashing import hash_files
from assay.transfer.progress import Progress, Silence


def compare(
    folder: str | os.PathLike[str],
    reference: str,
    digest: str,
    files: Iterable[ManifestEntry],
    progress: Progress | None = None,
) -> Verification:
    """Which files of a folder or file on disk differ from the manifest's, are missing, are extra."""
    expected = {entry["path"]: entry for entry in files}
    local = {file.path: file for file in hash_files(scan(folder), progress or Silence())}
    differs = [path for path in expected if path in local and local[path].sha256 != expected[path]["sha256"]]
    missing = [path for path in expected if path not in local]
    extra = [path for path in local if path not in expected]
    return {
        "ok": not (differs or missing or extra),
        "reference": reference,
        "digest": digest,
        "differs": sorted(differs),
        "missing": sorted(missing),
        "extra": sorted(extra),
    }


def verify_saved(
    folder: str | os.PathLike[str],
    manifest: str | os.PathLike[str],
    *,
    digest: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Compare a folder with a manifest that `assay manifest` saved. Asks no server.

    The sha256 of the file is the digest of the version; give the one you trust as `digest`. Raises
    DigestMismatch when the file has another, or is no manifest; PathRefused when it cannot be read.
    """
    try:
        text = Path(manifest).read_bytes()
    except OSError as error:
        raise PathRefused(f"{manifest} cannot be read: {error.strerror}.") from error
    found = "sha256:" + hashlib.sha256(text).hexdigest()
    if digest is not None and digest != found:
        raise DigestMismatch(f"{manifest} is the manifest of {found}, not of {digest}.")
    try:
        files: list[ManifestEntry] = [
            {"path": str(each["path"]), "size": int(each["size"]), "sha256": str(each["sha256"])}
            for each in json.loads(text)["files"]
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        files = []
    if not files or manifest_digest(files) != found:
        raise DigestMismatch(f"{manifest} is not a manifest as `assay manifest` saves it: it was changed.")
    return compare(folder, Path(manifest).name, found, files, progress)
