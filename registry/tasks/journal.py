"""Signing checkpoints of the journal and verifying it, in a worker: repeated safely, side by side too."""

from __future__ import annotations

from celery import shared_task

from registry.journal import watching

SOFT, HARD = 6 * 3600 - 60, 6 * 3600


@shared_task(name="registry.checkpoint_journal")
def checkpoint_journal() -> None:
    """Sign over what waits; with more left, go on in a task of its own."""
    if watching.sign() == watching.MOST_AT_ONCE:
        checkpoint_journal.delay()


@shared_task(name="registry.verify_journal", soft_time_limit=SOFT, time_limit=HARD)
def verify_journal() -> None:
    """Recompute all of it."""
    watching.watch()
