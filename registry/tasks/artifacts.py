"""Publishing, verifying and cleaning up, in workers: claimed by lease, repeated safely, swept when lost."""

from __future__ import annotations

import itertools
import logging
import time
from datetime import timedelta
from uuid import UUID

from celery import Task, shared_task
from django.db.models import Q
from django.utils import timezone

from registry.artifacts import garbage, publish, reap, scan, scrub, scrubbing
from registry.artifacts.storage import StoreUnavailable
from registry.models import ModelVersion
from registry.models.leases import free

logger = logging.getLogger(__name__)
# Six hours: what a lease protects may be terabytes. A copy of the message that the broker hands out meanwhile
# meets the lease and ends.
SOFT, HARD = 6 * 3600 - 60, 6 * 3600
# A message normally takes less than this; a row that is older and unclaimed has lost it.
LOST_AFTER = timedelta(seconds=5)
# How often a scan that met somebody else's lease tries again by itself, before it leaves that to the sweep.
BUSY_RETRIES = 3
RECENT = timedelta(days=1)
MOST_SWEPT = 100
RESCAN_SECONDS = 15 * 60
# A scan goes to the end of the line after this long: who publishes must not wait for thousands of files.
TURN_SECONDS = 10.0


@shared_task(name="registry.publish_version", soft_time_limit=SOFT, time_limit=HARD)
def publish_version(*, version_id: str) -> None:
    """Prove and seal a version. While the store is away nothing fails: the sweep comes again."""
    try:
        publish.publish(UUID(version_id))
    except StoreUnavailable as error:
        logger.warning("publishing %s waits: %s", version_id, error.details)


@shared_task(name="registry.verify_version", soft_time_limit=SOFT, time_limit=HARD)
def verify_version(*, version_id: str) -> None:
    """Read the bytes of a version again, if that was asked for."""
    try:
        scrub.verify_version(UUID(version_id))
    except StoreUnavailable as error:
        logger.warning("verifying %s waits: %s", version_id, error.details)


@shared_task(name="registry.sweep_versions")
def sweep_versions() -> None:
    """Start again what was lost: versions to publish or verify that nobody works on."""
    now = timezone.now()
    idle = ModelVersion.objects.filter(free(now))
    lost = idle.filter(
        Q(claims__gt=0) | Q(created_at__lt=now - LOST_AFTER), status=ModelVersion.Status.VERIFYING
    )
    for pk in lost.values_list("pk", flat=True):
        publish_version.delay(version_id=str(pk))
    asked = idle.filter(status=ModelVersion.Status.READY, verify_requested_at__lt=now - LOST_AFTER)
    for pk in asked.values_list("pk", flat=True):
        verify_version.delay(version_id=str(pk))


@shared_task(name="registry.scan_version", bind=True, soft_time_limit=SOFT, time_limit=HARD)
def scan_version(self: Task[..., None], *, version_id: str, swept: bool = False) -> None:
    """Look into the files of a version. The publishing that asked for it may hold the row for a moment yet.

    The message of a publishing goes back into the line until all files are done. One of the sweep does not: between
    two turns a version looks like one whose message is lost, and a second line of turns would never end.
    """
    try:
        done = scan.scan_version(UUID(version_id), seconds=TURN_SECONDS)
    except scan.TurnOver:
        if not swept:
            scan_version.delay(version_id=version_id)
        return
    except StoreUnavailable as error:
        logger.warning("scanning %s waits: %s", version_id, error.details)
        return
    if not done and self.request.retries < BUSY_RETRIES:
        raise self.retry(countdown=1 + self.request.retries)


@shared_task(name="registry.sweep_scans")
def sweep_scans() -> None:
    """Start again what was lost: recent versions that were not scanned, and that nobody works on."""
    now = timezone.now()
    recent = scan.unscanned(created_since=now - RECENT)
    idle = ModelVersion.objects.filter(free(now), ready_at__lt=now - LOST_AFTER)
    for pk in idle.filter(pk__in=list(itertools.islice(recent, MOST_SWEPT))).values_list("pk", flat=True):
        scan_version.delay(version_id=str(pk), swept=True)


@shared_task(name="registry.rescan_versions", soft_time_limit=SOFT, time_limit=HARD)
def rescan_versions() -> None:
    """Scan what no scan of this release has seen, such as everything after an upgrade; some minutes at a time."""
    ends = time.monotonic() + RESCAN_SECONDS
    try:
        for pk in scan.unscanned():
            if time.monotonic() > ends:
                break
            scan.scan_version(pk)
    except StoreUnavailable as error:
        logger.warning("scanning again ends early: %s", error.details)


@shared_task(name="registry.scrub_blobs", soft_time_limit=SOFT, time_limit=HARD)
def scrub_blobs() -> None:
    """Read again what was not read for longest."""
    try:
        scrubbing.scrub()
    except StoreUnavailable as error:
        logger.warning("the scrub ends early: %s", error.details)


@shared_task(name="registry.collect_garbage", soft_time_limit=SOFT, time_limit=HARD)
def collect_garbage() -> None:
    """Condemn what nobody needs, and remove what was condemned long enough ago."""
    try:
        garbage.collect_garbage()
    except StoreUnavailable as error:
        logger.warning("the collection of garbage ends early: %s", error.details)


@shared_task(name="registry.reap_upload")
def reap_upload(*, upload_id: str) -> None:
    """Remove the staging of one upload that was given up."""
    try:
        reap.reap(upload_id)
    except StoreUnavailable as error:
        logger.warning("the staging of %s stays for now: %s", upload_id, error.details)


@shared_task(name="registry.reap_uploads")
def reap_uploads() -> None:
    """Remove the staging of every upload that needs none any more, and what nobody owns."""
    try:
        for upload_id in reap.due():
            reap.reap(upload_id)
        reap.reap_strays()
    except StoreUnavailable as error:
        logger.warning("reaping ends early: %s", error.details)
