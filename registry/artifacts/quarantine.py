"""Bytes that are not what their digest says: marked, told to everybody who holds them, and cleared again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from django.db import connection
from django.utils import timezone

from registry.journal import record
from registry.models import SYSTEM, Blob, ModelVersion, Namespace


def lock_content(sha256: str) -> None:
    """Hold everybody else off these bytes until the transaction ends: what is decided here is done once."""
    lock_contents([sha256])


def lock_contents(digests: Iterable[str]) -> None:
    """The same for several, in one order for everybody, so that two never wait for each other."""
    numbers = sorted(_lock_number(sha256) for sha256 in digests)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) WITH ORDINALITY AS n(number, nth)"
            " ORDER BY nth",
            [numbers],
        )


def try_lock_contents(digests: Iterable[str]) -> list[str]:
    """Those of the digests that nobody else is at, locked until the transaction ends. Waits for none."""
    numbers = {_lock_number(sha256): sha256 for sha256 in digests}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT number FROM unnest(%s::bigint[]) AS n(number) WHERE pg_try_advisory_xact_lock(number)",
            [list(numbers)],
        )
        return sorted(numbers[number] for (number,) in cursor.fetchall())


def _lock_number(sha256: str) -> int:
    return int.from_bytes(hashlib.sha256(f"blob:{sha256}".encode()).digest()[:8], "big", signed=True)


def holders(blob: Blob) -> dict[Namespace, list[str]]:
    """The references of the versions that hold the blob and can be fetched, by namespace."""
    versions = (
        ModelVersion.objects.filter(manifest__artifacts__blob=blob, status=ModelVersion.Status.READY)
        .select_related("model__namespace")
        .order_by("model__name", "number")
        .distinct()
    )
    found: dict[Namespace, list[str]] = {}
    for version in versions:
        found.setdefault(version.model.namespace, []).append(version.reference)
    return found


def quarantine(blob: Blob, reason: str) -> None:
    """Mark the blob, once; downloads and gates of what holds it stop. Within the caller's transaction."""
    if blob.quarantined_at is not None:
        return
    blob.quarantined_at = timezone.now()
    blob.quarantine_reason = reason
    blob.save(update_fields=["quarantined_at", "quarantine_reason"])
    for namespace, references in holders(blob).items():
        record(
            "blob.quarantined",
            subject=blob,
            by=SYSTEM,
            namespace=namespace,
            reason=reason,
            after={"sha256": blob.sha256, "size": blob.size, "tier": blob.tier, "versions": references},
        )


def found_sound(blob: Blob, how: str) -> None:
    """The bytes were proven now; if the blob was in quarantine, it is out of it. Within the caller's transaction."""
    reason, was = blob.quarantine_reason, blob.quarantined_at
    blob.verified_at = timezone.now()
    blob.quarantined_at, blob.quarantine_reason = None, ""
    blob.save(
        update_fields=[
            "tier", "state", "condemned_at", "verified_at", "quarantined_at", "quarantine_reason",
        ]
    )  # fmt: skip
    if was is None:
        return
    for namespace, references in holders(blob).items():
        record(
            "blob.healed",
            subject=blob,
            by=SYSTEM,
            namespace=namespace,
            reason=how,
            before={"quarantined": reason},
            after={"sha256": blob.sha256, "size": blob.size, "versions": references},
        )
