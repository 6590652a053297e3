"""Removing what uploads leave in the staging area."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from registry.artifacts import storage
from registry.artifacts.uploads import remove_staging
from registry.models import ModelVersion, Upload

# What was sent stays a while after publishing: until then it is a second copy.
AFTER_PUBLISH = timedelta(hours=24)
# Keys that no upload owns are left alone this long: theirs may be about to be written down.
STRAY_AFTER = timedelta(days=2)
MOST = 500


def due(now: datetime | None = None) -> list[str]:
    """The ids of uploads whose staging is no longer needed: aborted, expired, or published a day ago."""
    at = now or timezone.now()
    expired = Q(state=Upload.State.OPEN, expires_at__lt=at)
    aborted = Q(state=Upload.State.ABORTED)
    published = Q(state=Upload.State.COMPLETED, manifest__sealed_at__lt=at - AFTER_PUBLISH)
    rows = Upload.objects.filter(expired | aborted | published, reaped_at=None).exclude(
        manifest__versions__status=ModelVersion.Status.VERIFYING
    )
    return [str(pk) for pk in rows.order_by("created_at").values_list("pk", flat=True)[:MOST]]


def reap(upload_id: str) -> None:
    """Remove one upload's staging. Done twice, it does nothing. Raises StoreUnavailable."""
    with transaction.atomic():
        upload = Upload.objects.select_for_update().filter(pk=upload_id, reaped_at=None).first()
        if upload is None:
            return
        if upload.state == Upload.State.OPEN:
            in_use = upload.manifest and upload.manifest.versions.filter(status=ModelVersion.Status.VERIFYING)
            if upload.expires_at > timezone.now() or (in_use and in_use.exists()):
                return
            upload.state = Upload.State.ABORTED
            upload.save(update_fields=["state"])
    remove_staging(upload)
    Upload.objects.filter(pk=upload_id).update(reaped_at=timezone.now())


def reap_strays() -> int:
    """Remove staging that no living upload owns: of requests that died half-way. Returns how many keys."""
    bucket, limit, removed = storage.hot(), timezone.now() - STRAY_AFTER, 0
    for pending in list(bucket.pending(storage.staging_prefix())):
        if pending.initiated < limit and not _is_owned(pending.key):
            bucket.abort(pending.key, pending.upload_id)
            removed += 1
    for key, written in bucket.keys(storage.staging_prefix()):
        if written < limit and not _is_owned(key):
            bucket.delete(key)
            removed += 1
    return removed


def _is_owned(key: str) -> bool:
    owner = key.removeprefix(storage.staging_prefix()).partition("/")[0]
    try:
        return Upload.objects.filter(pk=uuid.UUID(owner), reaped_at=None).exists()
    except ValueError:
        return False
