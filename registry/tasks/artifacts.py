"""Publishing, verifying and cleaning up, in workers: claimed by lease, repeated safely, swept when lost."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from celery import shared_task
from django.db.models import Q
from django.utils import timezone

from registry.artifacts import garbage, publish, reap, scrub, scrubbing
from registry.artifacts.storage import StoreUnavailable
from registry.models import ModelVersion
from registry.models.leases import free

logger = logging.getLogger(__name__)
# Six hours: what a lease protects may be terabytes. A copy of the message that the broker hands out meanwhile
# meets the lease and ends.
SOFT, HARD = 6 * 3600 - 60, 6 * 3600
# A message normally takes less than this; a row that is older and unclaimed has lost it.
LOST_AFTER = timedelta(seconds=5)


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
