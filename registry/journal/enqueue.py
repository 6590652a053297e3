"""Enqueueing: by name, after commit, ids only; a broker that is down only delays."""

from __future__ import annotations

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


def enqueue(task: str, **ids: str) -> None:
    """Send the task after commit. A dead broker is logged, never raised: a sweep finds the row again."""

    def send() -> None:
        try:
            current_app.send_task(task, kwargs=ids)
        except OperationalError as error:
            logger.warning("%s waits for the sweep: the broker does not answer (%s)", task, error)

    # robust: what is committed is answered as done, whatever becomes of the message.
    transaction.on_commit(send, robust=True)
