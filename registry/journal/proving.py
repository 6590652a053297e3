"""What shows somebody without access that events stand in the journal, and where: taken out beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from registry.journal import notes
from registry.journal.checkpoints import fetch, head, journal_name, trusted_keys
from registry.journal.leaves import CALLED
from registry.journal.tree import Tree, siblings
from registry.models import Event, JournalEntry
from registry.models.checkpoints import SALTED


def proof_of(events: Sequence[Event], *, digest: str) -> dict[str, Any]:
    """The newest checkpoint; of each event that it was signed over the number and what its leaf is made from beside the
    event itself; the hashes between; and the digest of the document they are in, signed. Its queries do not grow with
    the events, but with the logarithm of the journal.

    `hashes` are named by the range of entries that they are over: `257:512` covers those numbers.
    """
    last, name = head(), journal_name()
    size = last.size if last else 0
    entries = {row.event_id: row for row in JournalEntry.objects.filter(event__in=events, pk__lte=size)}
    return {
        "signed": notes.sign(signed_text(name, digest), name),
        "checkpoint": last.note if last else None,
        "keys": [str(key) for key in trusted_keys()],
        "entries": {str(event): _entry(row) for event, row in sorted(entries.items())},
        "hashes": _hashes([row.pk for row in entries.values()], size),
    }


def signed_text(name: str, digest: str) -> str:
    """What is signed of a document."""
    return f"{name}\nevidence {digest}\n"


def _entry(row: JournalEntry) -> dict[str, Any]:
    """Salts by what readers call the columns; of what was redacted, the digest that is left."""
    salts, digests = {}, {}
    for column in SALTED:
        salt, digest = getattr(row, f"{column}_salt"), getattr(row, f"{column}_digest")
        if salt is not None:
            salts[CALLED[column]] = bytes(salt).hex()
        elif digest is not None:
            digests[CALLED[column]] = bytes(digest).hex()
    return {"number": row.pk, "salts": salts, **({"redacted": digests} if digests else {})}


def _hashes(numbers: list[int], size: int) -> dict[str, str]:
    tree = Tree(size, fetch)
    tree.read_ahead([number - 1 for number in numbers])
    ranges = {each for number in numbers for each in siblings(number - 1, size)}
    return {f"{low + 1}:{high}": tree.over(low, high).hex() for low, high in sorted(ranges)}
