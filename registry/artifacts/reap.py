"""Removing what uploads leave in the staging area, and what copies that were cut short leave beside content."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from registry.artifacts import storage
from registry.artifacts.uploads import remove_staging
from registry.models import ModelVersion, Tier, Upload

# What was sent stays a while after publishing: until then it is a second copy.
AFTER_PUBLISH = timedelta(hours=24)
# What nobody owns is left alone this long: it may be about to be written down, or a copy that is under way.
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
    """Remove staging that no living upload owns, and copies that were begun and never joined: of work that died
    half-way. Returns how many objects and multipart uploads."""
    limit, removed, owned = timezone.now() - STRAY_AFTER, 0, _Owners()
    for tier in Tier.values:
        bucket = storage.bucket(tier)
        for prefix in (storage.staging_prefix(), storage.content_prefix()):
            for pending in list(bucket.pending(prefix)):
                if pending.initiated < limit and not owned.of(pending.key):
                    bucket.abort(pending.key, pending.upload_id)
                    removed += 1
    bucket = storage.hot()
    for key, written in bucket.keys(storage.staging_prefix()):
        if written < limit and not owned.of(key):
            bucket.delete(key)
            removed += 1
    return removed


class _Owners:
    """Which staging keys belong to an upload that is not reaped yet. Each upload is asked for once."""

    def __init__(self) -> None:
        self._living: dict[str, bool] = {}

    def of(self, key: str) -> bool:
        owner, slash, _ = key.removeprefix(storage.staging_prefix()).partition("/")
        if not slash or not key.startswith(storage.staging_prefix()):
            return False
        if owner not in self._living:
            try:
                rows = Upload.objects.filter(pk=uuid.UUID(owner), reaped_at=None)
                self._living[owner] = rows.exists()
            except ValueError:
                self._living[owner] = False
        return self._living[owner]
