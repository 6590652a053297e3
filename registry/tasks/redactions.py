"""Taking redacted documents out of the store, in a worker: repeated safely, swept when lost."""

from __future__ import annotations

import logging

from celery import shared_task

from registry.artifacts import attachments
from registry.artifacts.storage import StoreUnavailable

logger = logging.getLogger(__name__)


@shared_task(name="registry.remove_redacted_files")
def remove_redacted_files() -> None:
    """Delete the objects that only redacted attachments name. While the store is away, the sweep comes again."""
    try:
        attachments.remove_redacted()
    except StoreUnavailable as error:
        logger.warning("redacted documents wait to be removed: %s", error.details)
