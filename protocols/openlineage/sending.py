"""Telling a lineage service of our runs, until it has heard it or three days have passed.

Where it is, only the operator says, by the environment: the address is dialled as it is, without the webhooks'
allowlist. Redirects are not followed. Without an address nothing is planned.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from lineage.models import LineageSending
from protocols.openlineage.telling import TOLD, body, run_event, run_of
from registry.errors import InvalidInput
from registry.journal.delivery import LONGEST_WAIT, SCHEDULE
from registry.journal.egress import parse_url, resolved
from registry.journal.enqueue import enqueue
from registry.journal.posting import Outcome, post
from registry.models import Event
from registry.models.leases import claim, free

SEND = "protocols.send_lineage"
SWEPT = 500
SHOWN = 1000
NOTHING_TO_TELL = "The run is told by events from outside, or is not there."


def plan_sending(event: Event) -> None:
    """What is to be told of an entry of the journal, once; asking again plans nothing new."""
    if not settings.OPENLINEAGE_URL or event.type not in TOLD:
        return
    rows = [LineageSending(event=event, due_at=timezone.now())]
    LineageSending.objects.bulk_create(rows, ignore_conflicts=True)
    enqueue(SEND, event_id=str(event.pk))


def send(event_id: int, *, now: datetime | None = None) -> Outcome | None:
    """Make one attempt, when it is due and nobody else makes it; None otherwise.

    A service hears an event twice when a worker dies in between: by the standard that changes nothing.
    """
    now = now or timezone.now()
    due = LineageSending.objects.filter(pk=event_id, state=LineageSending.State.PENDING, due_at__lte=now)
    if not claim(due, now=now):
        return None
    sending = LineageSending.objects.select_related("event__namespace").get(pk=event_id)
    run = run_of(sending.event)
    outcome = _post(body(run_event(sending.event, run))) if run else None
    _write_down(event_id, outcome, now)
    return outcome


def _post(content: bytes) -> Outcome:
    try:
        target = parse_url(settings.OPENLINEAGE_URL)
    except InvalidInput as refusal:
        return Outcome(error=f"ASSAY_OPENLINEAGE_URL: {refusal}")
    addresses = [str(target.literal)] if target.literal else resolved(target.host, target.port)
    if not addresses:
        return Outcome(error=f"{target.host} resolves to nothing.")
    headers = {"content-type": "application/json", "user-agent": "Assay-OpenLineage/1"}
    if settings.OPENLINEAGE_API_KEY:
        headers["authorization"] = f"Bearer {settings.OPENLINEAGE_API_KEY}"
    return post(target, addresses[0], headers=headers, body=content)


@transaction.atomic
def _write_down(event_id: int, outcome: Outcome | None, now: datetime) -> None:
    row = LineageSending.objects.select_for_update().get(pk=event_id)
    if row.state != LineageSending.State.PENDING:
        return  # another worker, taking this one for dead, has finished it
    row.claimed_at = None
    row.attempts += 1
    if outcome is None:
        row.state, row.last_error = LineageSending.State.FAILED, NOTHING_TO_TELL
    elif outcome.delivered:
        row.state, row.sent_at, row.last_error = LineageSending.State.SENT, now, ""
    else:
        row.last_error = (outcome.error or f"{outcome.status}: {outcome.answer}")[:SHOWN]
        if row.attempts >= len(SCHEDULE):
            row.state = LineageSending.State.FAILED
        else:
            asked = min(outcome.wait, LONGEST_WAIT) if outcome.wait else SCHEDULE[0]
            row.due_at = now + max(SCHEDULE[row.attempts], asked)
    row.save(update_fields=["state", "due_at", "attempts", "last_error", "sent_at", "claimed_at"])


def sweep(*, now: datetime | None = None) -> int:
    """Enqueue what is due and nobody works on: retries, and what was lost with a broker or a worker."""
    now = now or timezone.now()
    due = LineageSending.objects.filter(free(now), state=LineageSending.State.PENDING, due_at__lte=now)
    found = list(due.order_by("due_at").values_list("pk", flat=True)[:SWEPT])
    for pk in found:
        enqueue(SEND, event_id=str(pk))
    return len(found)
