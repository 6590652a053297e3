"""Signing and verifying the journal unasked; that it is not what was signed is told once."""

from __future__ import annotations

from django.db import transaction

from registry.journal import checkpoints, verifying
from registry.journal.checkpoints import JournalIsBroken, journal_name
from registry.journal.record import Place, record
from registry.models import SYSTEM, Event

BROKEN, VERIFIED = "journal.broken", "journal.verified"
# 100,000 events: a minute's, and more.
MOST_AT_ONCE = 20


def sign() -> int:
    """Checkpoints over everything that waits. Returns how many; of a broken journal none, and it is told."""
    signed = 0
    try:
        while signed < MOST_AT_ONCE and checkpoints.add_checkpoint():
            signed += 1
    except JournalIsBroken as broken:
        _tell(BROKEN, broken.sentence)
    return signed


def watch() -> bool:
    """Verify all of it, and record what came of it: every time when it is as it was, once for what is broken."""
    try:
        found = verifying.verify()
    except JournalIsBroken as broken:
        _tell(BROKEN, broken.sentence)
        return False
    _tell(
        VERIFIED,
        "Every entry is what was signed.",
        {"entries": found.entries, "checkpoints": found.checkpoints, "redacted": found.redacted},
    )
    return True


@transaction.atomic
def _tell(type_: str, reason: str, after: dict[str, int] | None = None) -> None:
    told = Event.objects.filter(subject_kind="journal").order_by("-pk").first()
    if type_ == BROKEN and told and (told.type, told.reason) == (type_, reason):
        return
    record(
        type_,
        subject=Place("journal", journal_name()),
        by=SYSTEM,
        namespace=None,
        reason=reason,
        after=after,
    )
