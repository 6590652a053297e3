"""Verifying signatures in workers: repeated safely, swept when lost."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import shared_task

from registry.artifacts import signature_checks
from registry.artifacts.storage import StoreUnavailable

logger = logging.getLogger(__name__)


@shared_task(name=signature_checks.VERIFY)
def verify_signatures(*, version_id: str) -> None:
    """Verify what is due of a version's signatures. While the store is away, the sweep comes again."""
    try:
        signature_checks.verify(UUID(version_id))
    except StoreUnavailable as error:
        logger.warning("the signatures of %s wait: %s", version_id, error.details)


@shared_task(name="registry.sweep_signatures")
def sweep_signatures() -> None:
    """Enqueue the versions with a signature that is due: lost, or waiting for a key that was added since."""
    for version_id in set(signature_checks.due().values_list("version_id", flat=True)):
        verify_signatures.delay(version_id=str(version_id))
