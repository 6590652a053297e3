"""One event per change, in the change's own transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from registry.journal.enqueue import enqueue
from registry.models import Event, Namespace, OutboxItem, Principal

DRAIN = "registry.drain_outbox"


@dataclass(frozen=True)
class Place:
    """A subject that is no row, as the object store: its kind, and what people call it."""

    kind: str
    label: str


def record(
    type_: str,
    *,
    subject: models.Model | Place,
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
        **_named(subject),
        actor=by.user,
        actor_label=by.label,
        token_prefix=by.token.prefix if by.token else "",
        reason=reason,
        before=before,
        after=after,
        at=now,
    )
    OutboxItem.objects.create(event=event, due_at=now)
    enqueue(DRAIN)
    return event


def _named(subject: models.Model | Place) -> dict[str, str]:
    if isinstance(subject, Place):
        return {"subject_kind": subject.kind, "subject_id": "", "subject_label": subject.label}
    return {
        "subject_kind": str(subject._meta.model_name),
        "subject_id": str(subject.pk),
        "subject_label": str(getattr(subject, "reference", subject))[:300],
    }
