"""What still has to be done for events: each is handed to every consumer, once, in one transaction."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from registry.models import Event, OutboxItem

logger = logging.getLogger(__name__)
Consumer = Callable[[Event], None]
LONGEST_WAIT = timedelta(minutes=10)


@functools.cache
def consumers() -> tuple[Consumer, ...]:
    """The consumers that the configuration names, lower apps knowing nothing of higher ones."""
    return tuple(import_string(path) for path in settings.EVENT_CONSUMERS)


def drain(*, most: int = 200) -> int:
    """Hand up to `most` due events to the consumers. Returns how many were done.

    Each item is taken with SKIP LOCKED, so drains run side by side; an item whose consumer fails stays, with
    the error and a growing delay, and holds up nothing else. Never by "id > cursor": ids are not commit order.
    """
    done = 0
    while done < most:
        with transaction.atomic():
            item = (
                OutboxItem.objects.select_for_update(skip_locked=True)
                .filter(due_at__lte=timezone.now())
                .order_by("due_at", "pk")
                .first()
            )
            if item is None:
                return done
            try:
                with transaction.atomic():
                    for consume in consumers():
                        consume(item.event)
                    item.delete()
            except Exception as error:
                logger.exception("event %s could not be handed on", item.pk)
                item.attempts += 1
                item.last_error = repr(error)[:1000]
                item.due_at = timezone.now() + min(
                    timedelta(seconds=2 ** min(item.attempts, 20)), LONGEST_WAIT
                )
                item.save(update_fields=["attempts", "last_error", "due_at"])
        done += 1
    return done
