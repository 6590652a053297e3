"""Whether a version's bytes can be relied on now, in a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from registry.models import Artifact, Blob, Manifest, ModelVersion, Tier

FRESH = timedelta(hours=24)


@dataclass(frozen=True)
class Integrity:
    """`ok` only when every byte is there, hot, unquarantined, and was read and hashed recently."""

    ok: bool
    sentence: str
    evidence: dict[str, Any] = field(default_factory=dict)


def integrity(version: ModelVersion, *, since: datetime | None = None) -> Integrity:
    """What is known of the version's bytes; `since`: when the oldest proof may be from (default 24 h ago)."""
    since = since or timezone.now() - FRESH
    manifest = Manifest.objects.get(pk=version.manifest_id)
    if version.status != ModelVersion.Status.READY or manifest.state != Manifest.State.SEALED:
        return Integrity(False, f"{version.reference} is {version.status}: its bytes are not published.")
    rows = Artifact.objects.filter(manifest=manifest).select_related("blob").order_by("path")
    wrong = [
        (artifact.path, artifact.blob.sha256, said)
        for artifact in rows
        if (said := _wrong(artifact.blob, since))
    ]
    # No clock in it: an approval is bound to this, and reading the bytes again must not void it.
    evidence = {
        "digest": f"sha256:{manifest.digest}",
        "files": manifest.files,
        "size": manifest.size,
        "wrong": [{"path": path, "sha256": sha256, "what": said} for path, sha256, said in wrong[:20]],
    }
    if wrong:
        path, _, said = wrong[0]
        more = f", and {len(wrong) - 1} more files are not as they should be" if wrong[1:] else ""
        return Integrity(False, f"{path} {said}{more}.", evidence)
    if manifest.files == 1:
        return Integrity(True, "Its one file was read again and is what its digest says.", evidence)
    said = f"All {manifest.files} files were read again and are what their digests say."
    return Integrity(True, said, evidence)


def _wrong(blob: Blob, since: datetime) -> str | None:
    if blob.quarantined_at is not None:
        return f"is quarantined: {blob.quarantine_reason}"
    if blob.state != Blob.State.LIVE:
        return "is no longer kept"
    if blob.tier != Tier.HOT:
        return "is in cold storage: restore the version first"
    if blob.verified_at is None or blob.verified_at < since:
        return "was not read again recently enough: verify the version first"
    return None
