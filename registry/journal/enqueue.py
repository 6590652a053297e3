"""Enqueueing from below a task: by name, after commit, ids only."""

from __future__ import annotations

import functools

from celery import current_app
from django.db import transaction


def enqueue(task: str, **ids: str) -> None:
    """Send the task after commit. A dead broker is logged, never raised: a sweep finds the work again."""
    transaction.on_commit(functools.partial(current_app.send_task, task, kwargs=ids), robust=True)
