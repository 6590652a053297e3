"""Moving bytes between the hot and the cold bucket: copied, hashed there, committed, the old copy deleted late."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from lifecycle.models import TierMove
from lifecycle.retention import may_go_cold
from registry.artifacts import storage
from registry.artifacts.content import BytesDiffer, Staged, settle
from registry.artifacts.hashing import hash_object
from registry.artifacts.heartbeat import working_on
from registry.artifacts.quarantine import lock_content
from registry.artifacts.scrub import verify_blob
from registry.journal import record
from registry.models import SYSTEM, Artifact, Blob, ModelVersion, RegisteredModel, Tier

logger = logging.getLogger(__name__)


class _Unfit(Exception):
    """The bytes at the source are not what their digest says."""


def move(move_id: UUID) -> None:
    """Take a move as far as it goes. Raises StoreUnavailable: to be tried again."""
    mine = TierMove.objects.filter(pk=move_id, state__in=[TierMove.State.COPYING, TierMove.State.MOVED])
    with working_on(mine) as claimed:
        if not claimed:
            return
        row = mine.select_related("blob").get()
        if row.state == TierMove.State.COPYING:
            try:
                if row.to_tier == Tier.COLD:
                    _cool(row)
                else:
                    _warm(row)
            except _Unfit as unfit:
                _give_up(row, str(unfit))
                verify_blob(row.blob_id)
        row = TierMove.objects.get(pk=move_id)
        if row.state == TierMove.State.MOVED and is_over(row, timezone.now()):
            _clear(row)


def grace() -> timedelta:
    """How long the old copy stays."""
    return timedelta(seconds=settings.TIER_GRACE_SECONDS)


def is_over(row: TierMove, now: datetime) -> bool:
    """Whether the old copy may go."""
    return row.moved_at is not None and row.moved_at <= now - grace()


def _cool(row: TierMove) -> None:
    """Copy, hash what was written, and, if still nothing needs the bytes at hand, say that they lie there."""
    with transaction.atomic():
        lock_content(row.blob_id)
        blob = Blob.objects.get(pk=row.blob_id)
        if blob.tier == Tier.HOT:
            _copy_proven(blob, storage.hot(), storage.bucket(Tier.COLD))
        versions = _locked_holders(blob)
        now = timezone.now()
        current = TierMove.objects.select_for_update().get(pk=row.pk)
        blob = Blob.objects.select_for_update().get(pk=row.blob_id)
        if current.state != TierMove.State.COPYING:
            return
        if not may_go_cold(blob, now):
            current.state, current.error = TierMove.State.FAILED, "its bytes are needed at hand again"
            current.save(update_fields=["state", "error"])
            return
        blob.tier, blob.verified_at = Tier.COLD, now
        blob.save(update_fields=["tier", "verified_at"])
        _moved(current, now)
        for version in versions:
            _tell(version, "version.cooled", current)


def _warm(row: TierMove) -> None:
    """Have the hot copy, proven, and say so. The cold copy stays until the grace is over."""
    try:
        there = settle(row.blob_id, row.blob.size, None)
    except BytesDiffer as differ:
        raise _Unfit(f"the cold copy is damaged: {differ}") from differ
    if not there:
        raise _Unfit("the cold copy is damaged or gone")
    with transaction.atomic():
        versions = _locked_holders(row.blob)
        current = TierMove.objects.select_for_update().get(pk=row.pk)
        if current.state != TierMove.State.COPYING:
            return
        _moved(current, timezone.now())
        for version in versions:
            _tell(version, "version.restored", current)


def _copy_proven(blob: Blob, source: storage.Bucket, target: storage.Bucket) -> None:
    """Have the bytes in `target`, hashed there. Raises _Unfit, StoreUnavailable."""
    key = storage.content_key(blob.sha256)
    there = target.head(key)
    # What an attempt that was cut short has left is taken if it is right.
    if there and there.size == blob.size and hash_object(target, key).sha256 == blob.sha256:
        return
    try:
        found = hash_object(source, key)
        if found.sha256 != blob.sha256:
            raise _Unfit(f"its object holds {found.size} bytes with sha256 {found.sha256}")
        staged = Staged(source, key, found.etag)
        staged.write(target, key, blob.size, blob.sha256, overwrite=True)
        written = hash_object(target, key)
    except (storage.ObjectMissing, storage.ObjectChanged) as error:
        raise _Unfit("its object was removed or changed while it was copied") from error
    if written.sha256 != blob.sha256:
        raise storage.StoreUnavailable(f"the copy of {key} in {target.name} holds other bytes")


def _locked_holders(blob: Blob) -> list[ModelVersion]:
    """The published versions that hold the blob, their models locked: none changes stage meanwhile."""
    versions = ModelVersion.objects.filter(
        manifest__artifacts__blob=blob, status=ModelVersion.Status.READY
    ).distinct()
    models = RegisteredModel.objects.select_for_update(no_key=True).filter(pk__in=versions.values("model"))
    list(models.order_by("pk"))
    return list(versions.select_related("model__namespace").order_by("pk"))


def _moved(row: TierMove, now: datetime) -> None:
    row.state, row.moved_at, row.error = TierMove.State.MOVED, now, ""
    row.save(update_fields=["state", "moved_at", "error"])


def _tell(version: ModelVersion, event: str, row: TierMove) -> None:
    """Record that the version has moved, when no other of its blobs is still on the way."""
    rest = TierMove.objects.filter(
        blob__artifacts__manifest=version.manifest_id, state=TierMove.State.COPYING, to_tier=row.to_tier
    )
    if rest.exclude(pk=row.pk).exists():
        return
    blobs = Artifact.objects.filter(manifest=version.manifest_id).values_list("blob__tier", flat=True)
    tiers = set(blobs)
    record(
        event,
        subject=version,
        by=SYSTEM,
        namespace=version.model.namespace,
        after={"tier": "mixed" if len(tiers) > 1 else tiers.pop(), "stage": version.stage},
    )


def _clear(row: TierMove) -> None:
    """Delete the copy in the tier where the blob is not, and be done."""
    with transaction.atomic():
        lock_content(row.blob_id)
        current = TierMove.objects.select_for_update().get(pk=row.pk)
        blob = Blob.objects.select_for_update().get(pk=row.blob_id)
        if current.state != TierMove.State.MOVED:
            return
        old = Tier.COLD if blob.tier == Tier.HOT else Tier.HOT
        key = storage.content_key(blob.sha256)
        kept = storage.bucket(blob.tier).head(key)
        if kept is None or kept.size != blob.size or blob.quarantined_at is not None:
            current.error = f"the {old} copy is kept: the {blob.tier} one is not what it should be"
            logger.error("%s: %s", blob, current.error)
        else:
            storage.bucket(old).delete(key)
        current.state = TierMove.State.DONE
        current.save(update_fields=["state", "error"])


def _give_up(row: TierMove, why: str) -> None:
    with transaction.atomic():
        current = TierMove.objects.select_for_update().get(pk=row.pk)
        if current.state == TierMove.State.COPYING:
            current.state, current.error = TierMove.State.FAILED, why
            current.save(update_fields=["state", "error"])
    logger.error("moving %s to %s: %s", row.blob_id, row.to_tier, why)
