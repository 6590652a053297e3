"""Whether a version's bytes are there and proven, from what the database knows of the last reading."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry.models import Artifact, Blob, ModelVersion, Tier


@dataclass(frozen=True)
class Integrity:
    """The answer, in words. `evidence` names the manifest and what is wrong with it, and holds no clock."""

    ok: bool
    sentence: str
    evidence: dict[str, Any]


def integrity(version: ModelVersion, *, since: datetime) -> Integrity:
    """Every file is live, hot, not quarantined, and was read and hashed since then."""
    files = list(
        Artifact.objects.filter(manifest=version.manifest_id).select_related("blob").order_by("path")
    )
    manifest = {"manifest": version.manifest.digest, "files": len(files)}
    for trouble, is_wrong in (
        ("quarantined: the bytes in the store are not those that were published", _quarantined),
        ("gone from the store", _gone),
        ("in cold storage; restore it first", _cold),
    ):
        wrong = [file.path for file in files if is_wrong(file.blob)]
        if wrong:
            return Integrity(False, f"{_named(wrong)} is {trouble}.", {**manifest, "wrong": wrong[:20]})
    if not files:
        return Integrity(False, f"{version.reference} has no files.", manifest)
    unread = [f.path for f in files if f.blob.verified_at is None or f.blob.verified_at < since]
    if unread:
        sentence = f"{_named(unread)} has not been read and hashed since {since:%Y-%m-%d %H:%M} UTC."
        return Integrity(False, sentence, {**manifest, "unread": unread[:20]})
    digest = (version.manifest.digest or "")[:12]
    return Integrity(
        True, f"All {len(files)} files were read again and are what sha256:{digest}… says.", manifest
    )


def _quarantined(blob: Blob) -> bool:
    return blob.quarantined_at is not None


def _gone(blob: Blob) -> bool:
    return blob.state != Blob.State.LIVE


def _cold(blob: Blob) -> bool:
    return blob.tier != Tier.HOT


def _named(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else f"{paths[0]} (and {len(paths) - 1} more)"
