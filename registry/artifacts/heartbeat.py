"""Keeping a lease while long work is done."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connection, models
from django.utils import timezone

from registry.models.leases import claim, lease, release, renew

logger = logging.getLogger(__name__)


@contextmanager
def working_on(rows: models.QuerySet[Any]) -> Iterator[bool]:
    """Claim the one row, renew the claim from a thread while the block runs, give it back at the end.

    Yields False, and does nothing more, when somebody else works on it or its state has moved on.
    """
    if not claim(rows, now=timezone.now()):
        yield False
        return
    ended = threading.Event()
    # By key alone: `rows` may be filtered by a state that the block changes.
    same = rows.model._base_manager.filter(pk__in=list(rows.values_list("pk", flat=True)))
    thread = threading.Thread(target=_beat, args=(same, ended), name="lease", daemon=True)
    thread.start()
    try:
        yield True
    finally:
        ended.set()
        thread.join()
        release(same)


def _beat(rows: models.QuerySet[Any], ended: threading.Event) -> None:
    try:
        while not ended.wait(lease().total_seconds() / 4):
            try:
                renew(rows, now=timezone.now())
            except DatabaseError:
                logger.warning("a lease could not be renewed", exc_info=True)
                connection.close()
    finally:
        connection.close()
