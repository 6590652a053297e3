"""Endpoints that nothing reaches: since when, told to people after a day, switched off when they ask for it or when
nothing arrives for longer than the schedule."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from registry.journal.record import record
from registry.models import SYSTEM, Webhook

# After how long without an arrival people are told.
TOLD_AFTER = timedelta(hours=24)


def note_arrival(webhook: Webhook) -> None:
    """Something was delivered to the locked endpoint: its trouble, if there was any, is over."""
    if webhook.failing_since is None:
        return
    since, told = webhook.failing_since, webhook.failing_told_at
    webhook.failing_since = webhook.failing_told_at = None
    webhook.save(update_fields=["failing_since", "failing_told_at"])
    if told:
        record(
            "webhook.recovered",
            subject=webhook,
            by=SYSTEM,
            namespace=webhook.namespace,
            reason=f"It was reached again; it had failed since {since:%Y-%m-%d %H:%M} UTC.",
        )


def note_failure(webhook: Webhook, *, now: datetime) -> None:
    """An attempt at the locked endpoint failed: remember the first since the last arrival."""
    if webhook.failing_since is None:
        webhook.failing_since = now
        webhook.save(update_fields=["failing_since"])


def switch_off(webhook: Webhook, why: str) -> None:
    """By Assay itself: nothing more is sent to the locked endpoint until somebody switches it on."""
    if not webhook.active:
        return
    webhook.active, webhook.disabled_reason = False, why
    webhook.failing_since = webhook.failing_told_at = None
    webhook.save(update_fields=["active", "disabled_reason", "failing_since", "failing_told_at"])
    record(
        "webhook.disabled",
        subject=webhook,
        by=SYSTEM,
        namespace=webhook.namespace,
        reason=why,
        before={"active": True},
        after={"active": False},
    )


def failing(*, now: datetime | None = None) -> list[Webhook]:
    """The endpoints that nothing has reached for a day, the oldest trouble first."""
    long_ago = (now or timezone.now()) - TOLD_AFTER
    rows = Webhook.objects.filter(active=True, deleted_at=None, failing_since__lte=long_ago)
    return list(rows.select_related("namespace").order_by("failing_since"))


def tell_of_failing(*, now: datetime | None = None) -> int:
    """Record, once for each, that nothing has reached an endpoint for a day; how many were new."""
    now = now or timezone.now()
    told = 0
    for found in failing(now=now):
        if found.failing_told_at is None:
            told += _tell(found, now)
    return told


@transaction.atomic
def _tell(found: Webhook, now: datetime) -> bool:
    rows = Webhook.objects.select_for_update(of=("self",), no_key=True).select_related("namespace")
    webhook = rows.get(pk=found.pk)
    since = webhook.failing_since
    if webhook.failing_told_at or since is None or since > now - TOLD_AFTER or not webhook.listens:
        return False  # meanwhile it was told, or reached
    webhook.failing_told_at = now
    webhook.save(update_fields=["failing_told_at"])
    last = webhook.deliveries.filter(attempts__at__gte=since).values_list(
        "attempts__status", "attempts__error"
    )
    status, error = last.order_by("-attempts__pk").first() or (None, "")
    what = f"It answers {status}." if status else error
    record(
        "webhook.failing",
        subject=webhook,
        by=SYSTEM,
        namespace=webhook.namespace,
        reason=f"Nothing has reached it since {since:%Y-%m-%d %H:%M} UTC. {what}"[:1000].strip(),
        after={"failing_since": since.isoformat().replace("+00:00", "Z")},
    )
    return True
