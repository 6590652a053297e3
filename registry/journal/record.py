"""One event per change, in the change's own transaction."""

from __future__ import annotations

import functools
from datetime import datetime
from typing import Any

from celery import current_app
from django.db import models, transaction
from django.utils import timezone

from registry.models import Event, Namespace, OutboxItem, Principal

DRAIN = "registry.drain_outbox"


def record(
    type_: str,
    *,
    subject: models.Model,
    by: Principal,
    namespace: Namespace | None,
    reason: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    at: datetime | None = None,
) -> Event:
    """Write what happened (`noun.past_verb`) and that it is still to be told; wake the drain after commit.

    Must run inside the transaction of the change. A broker that is down only delays: beat sweeps.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("an event is written in the transaction of its change")
    now = at or timezone.now()
    event = Event.objects.create(
        type=type_,
        namespace=namespace,
        subject_kind=subject._meta.model_name,
        subject_id=str(subject.pk),
        subject_label=str(getattr(subject, "reference", subject))[:300],
        actor=by.user,
        actor_label=by.label,
        token_prefix=by.token.prefix if by.token else "",
        reason=reason,
        before=before,
        after=after,
        at=now,
    )
    OutboxItem.objects.create(event=event, due_at=now)
    # By name: the task stands above the journal. robust: a dead broker must not turn a commit into a 500.
    transaction.on_commit(functools.partial(current_app.send_task, DRAIN), robust=True)
    return event
