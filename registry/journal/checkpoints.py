"""Numbering events and signing checkpoints over them: the order of the journal, fixed once and for everybody.

Ids are not the order of commits, so nothing here asks for "id > cursor": each event stands in line from the transaction
that wrote it, and what is taken from the line is committed. What is numbered later has a higher number.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from registry.errors import DomainError
from registry.journal import notes
from registry.journal.leaves import CALLED, SALT_BYTES, is_empty, leaf_of, salted
from registry.journal.notes import Head, Key, NoteIsWrong
from registry.journal.tree import STEP, Tree, TreeIsIncomplete, node_hash
from registry.models import Checkpoint, Event, JournalEntry, JournalNode
from registry.models.checkpoints import JOURNAL_LOCK, SALTED

MOST = 5_000
COPY_ENTRIES = (
    f"COPY registry_journalentry (id, event_id, leaf, {', '.join(f'{column}_salt' for column in SALTED)},"
    f" {', '.join(f'{column}_digest' for column in SALTED)}) FROM STDIN"
)
BEYOND = """
    SELECT id FROM registry_journalentry WHERE id > (SELECT coalesce(max(size), 0) FROM registry_checkpoint)
    ORDER BY id LIMIT 1
"""
LEAVES_OF = """
    SELECT tile, leaf FROM unnest(%(tiles)s::bigint[]) AS t(tile)
    JOIN registry_journalentry e ON e.id > tile * 256 AND e.id <= tile * 256 + 256 ORDER BY e.id
"""
NODES_OF = """
    SELECT tile, hash FROM unnest(%(tiles)s::bigint[]) AS t(tile)
    JOIN registry_journalnode n ON n.level = %(level)s AND n.index >= tile * 256 AND n.index < tile * 256 + 256
    ORDER BY n.index
"""


class JournalIsBroken(DomainError):
    """The journal is not what its checkpoints were signed over. The sentence names the first thing that is wrong."""

    code = "journal-is-broken"
    status = 500


def fetch(level: int, tiles: Collection[int]) -> dict[int, list[bytes]]:
    """Kept hashes of the tree, as they stand in the database: one query."""
    found: dict[int, list[bytes]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(LEAVES_OF if level == 0 else NODES_OF, {"tiles": sorted(tiles), "level": level})
        for tile, kept in cursor:
            found[tile].append(bytes(kept))
    return found


def head() -> Checkpoint | None:
    """The newest checkpoint."""
    return Checkpoint.objects.order_by("-pk").first()


def journal_name() -> str:
    """How the journal is called in its notes: as in its first checkpoint, whatever the address is today."""
    first = Checkpoint.objects.order_by("pk").values_list("note", flat=True).first()
    return first.partition("\n")[0] if first else notes.usual_name()


def trusted_keys() -> list[Key]:
    """The server's own key, then its former ones."""
    return [notes.own_key(journal_name()), *notes.former_keys()]


def checkpoint_containing(entry: JournalEntry) -> Checkpoint | None:
    """The first checkpoint that was signed over it."""
    return Checkpoint.objects.filter(size__gte=entry.pk).order_by("pk").first()


def add_checkpoint(*, most: int = MOST, now: datetime | None = None) -> Checkpoint | None:
    """Number up to `most` events that stand in line, and sign a checkpoint over all entries; None when no event waits,
    or while somebody else does the same.

    Raises JournalIsBroken, and changes nothing, when the newest checkpoint is not what stands there: what is broken is
    not signed again.
    """
    with transaction.atomic():
        if not _alone():
            return None
        last = head()
        size = last.size if last else 0
        if last:
            check_head(last, trusted_keys())
        check_nothing_beyond()
        taken = _take(most)
        if not taken:
            return None
        leaves = _number(taken, size)
        root = _grow(size, leaves)
        found = Head(
            name=journal_name(),
            size=size + len(leaves),
            root=root,
            number=last.pk + 1 if last else 1,
            previous=notes.digest_of(last.note) if last else "0" * 64,
            at=now or timezone.now(),
        )
        return Checkpoint.objects.create(
            id=found.number,
            first=size + 1,
            size=found.size,
            root=root.hex(),
            previous=found.previous,
            note=notes.sign(found.text, found.name),
            at=found.at,
        )


def check_head(row: Checkpoint, keys: list[Key]) -> Head:
    """What the checkpoint says, when it is signed by one of the keys, its columns repeat it, and the tree has its root.
    Raises JournalIsBroken."""
    found = opened(row, keys)
    try:
        root = Tree(row.size, fetch).root()
    except TreeIsIncomplete:
        raise JournalIsBroken(f"Entries that checkpoint {row.pk} was signed over are not there.") from None
    if root != found.root:
        raise JournalIsBroken(
            f"The first {row.size} entries are not those that checkpoint {row.pk} was signed over: "
            "`manage.py journal verify` finds which."
        )
    return found


def check_nothing_beyond() -> None:
    """That every entry is in a checkpoint. Raises JournalIsBroken."""
    with connection.cursor() as cursor:
        cursor.execute(BEYOND)
        if row := cursor.fetchone():
            raise JournalIsBroken(f"Entry {row[0]} is in no checkpoint: the last ones were taken out.")


def opened(row: Checkpoint, keys: list[Key]) -> Head:
    """What the checkpoint's note says, signed by one of the keys, when the columns say the same. Raises
    JournalIsBroken."""
    try:
        text, _ = notes.opened(row.note, keys)
        found = Head.parse(text)
    except NoteIsWrong as wrong:
        raise JournalIsBroken(f"Checkpoint {row.pk} is not the server's: {wrong}.") from None
    told = (found.number, found.size, found.root.hex(), found.previous, found.at)
    if told != (row.pk, row.size, row.root, row.previous, row.at):
        raise JournalIsBroken(f"Checkpoint {row.pk} was changed: its columns are not what was signed.")
    return found


def _alone() -> bool:
    """Whether this transaction has the journal's lock, until it ends."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_xact_lock({JOURNAL_LOCK})")
        return bool(cursor.fetchone()[0])


def _take(most: int) -> list[Event]:
    """Events from the line, which they leave. What another transaction has not committed is not seen."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM registry_unnumbered WHERE event_id IN"
            " (SELECT event_id FROM registry_unnumbered ORDER BY event_id LIMIT %s) RETURNING event_id",
            [most],
        )
        ids = [pk for (pk,) in cursor.fetchall()]
    events = list(Event.objects.filter(pk__in=ids).select_related("namespace").order_by("pk"))
    if len(events) != len(ids):
        gone = min(set(ids) - {event.pk for event in events})
        raise JournalIsBroken(f"Event {gone} was deleted before it was numbered.")
    return events


def _number(events: Sequence[Event], size: int) -> list[bytes]:
    """Write their entries, from size + 1 on: copied in, as rows made one by one take three times as long. Returns their
    leaves."""
    leaves = []
    with connection.cursor() as cursor, cursor.copy(COPY_ENTRIES) as copy:
        for number, event in enumerate(events, start=size + 1):
            salts: dict[str, bytes | None] = dict.fromkeys(SALTED)
            digests: dict[str, bytes | None] = dict.fromkeys(SALTED)
            for column in SALTED:
                content = getattr(event, column)
                if not is_empty(content):
                    salts[column] = salt = secrets.token_bytes(SALT_BYTES)
                    digests[column] = salted(salt, CALLED[column], content)
            leaf = leaf_of(number, event, digests)
            copy.write_row((number, event.pk, leaf, *salts.values(), *digests.values()))
            leaves.append(leaf)
    return leaves


def _grow(size: int, leaves: list[bytes]) -> bytes:
    """Keep the nodes that are complete with these leaves. Returns the root."""
    level, first, hashes = 0, size, leaves
    while hashes:
        tile = first >> STEP
        begun = tile << STEP
        below = fetch(level, [tile])[tile][: first - begun] + hashes
        width = 1 << STEP
        complete = [below[i : i + width] for i in range(0, len(below) - width + 1, width)]
        level, first = level + STEP, tile
        hashes = [_over(each) for each in complete]
        JournalNode.objects.bulk_create(
            JournalNode(level=level, index=first + i, hash=each) for i, each in enumerate(hashes)
        )
    return Tree(size + len(leaves), fetch).root()


def _over(hashes: list[bytes]) -> bytes:
    """The hash over as many as a power of two."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]
