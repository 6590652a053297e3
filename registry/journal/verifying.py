"""Recomputing the journal from what stands in the database, a piece at a time: whether it is still what was signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from django.db import connection

from registry.journal import notes
from registry.journal.checkpoints import (
    JournalIsBroken,
    check_nothing_beyond,
    head,
    opened,
    trusted_keys,
)
from registry.journal.leaves import CALLED, is_empty, leaf_of, salted
from registry.journal.notes import Head, Key, NoteIsWrong
from registry.journal.tree import Growing
from registry.models import Checkpoint, Event, JournalEntry, JournalNode, RedactionPlace, Unnumbered
from registry.models.checkpoints import SALTED

AT_ONCE = 2_000
NO_NUMBER = """
    SELECT e.id FROM registry_event e
    LEFT JOIN registry_journalentry j ON j.event_id = e.id
    LEFT JOIN registry_unnumbered u ON u.event_id = e.id
    WHERE j.id IS NULL AND u.event_id IS NULL ORDER BY e.id LIMIT 1
"""
NO_EVENT = """
    SELECT u.event_id FROM registry_unnumbered u LEFT JOIN registry_event e ON e.id = u.event_id
    WHERE e.id IS NULL ORDER BY u.event_id LIMIT 1
"""


@dataclass
class Verified:
    """What was found in order: entries and checkpoints, entries out of which something was redacted, events that wait
    for their number, the newest checkpoint's note, and the length of the checkpoint that was kept elsewhere."""

    entries: int = 0
    checkpoints: int = 0
    redacted: int = 0
    waiting: int = 0
    head: str = ""
    since: int = 0


def verify(*, kept: str = "") -> Verified:
    """Recompute everything that the newest checkpoint was signed over. `kept` is the note of an older one, from
    elsewhere: that the journal still begins with it is what somebody who has the server's key too cannot forge.

    Raises JournalIsBroken, with the first thing that is wrong.
    """
    keys = trusted_keys()
    older = _kept(kept, keys) if kept else None
    last, found = head(), Verified()
    if older and (last is None or last.size < older.size):
        raise JournalIsBroken(
            f"The journal has {last.size if last else 0} entries; the checkpoint that was kept has {older.size}: "
            "some were taken out."
        )
    if last:
        _walk(last, older, keys, found)
        found.head = last.note
    check_nothing_beyond()
    _nothing_beside()
    found.waiting = Unnumbered.objects.count()
    return found


def _kept(note: str, keys: list[Key]) -> Head:
    try:
        return Head.parse(notes.opened(note, keys)[0])
    except NoteIsWrong as wrong:
        raise JournalIsBroken(f"What was kept cannot be compared: {wrong}.") from None


def _nothing_beside() -> None:
    for query, sentence in (
        (
            NO_NUMBER,
            "Event {} has no number, and does not wait for one: it was put in behind the journal's back.",
        ),
        (NO_EVENT, "Event {} was deleted before it was numbered."),
    ):
        with connection.cursor() as cursor:
            cursor.execute(query)
            if row := cursor.fetchone():
                raise JournalIsBroken(sentence.format(row[0]))


def _walk(last: Checkpoint, older: Head | None, keys: list[Key], found: Verified) -> None:
    tree, before = Growing(), "0" * 64
    entries = _entries(last.size, found)
    if older:
        found.since = older.size
    for row in _checkpoints(last):
        if row.pk != found.checkpoints + 1:
            raise JournalIsBroken(f"Checkpoint {found.checkpoints + 1} was taken out.")
        said = opened(row, keys)
        if row.first != tree.size + 1 or row.previous != before:
            raise JournalIsBroken(f"Checkpoint {row.pk} does not follow the one before it.")
        before = notes.digest_of(row.note)
        complete: list[tuple[int, int, bytes]] = []
        for leaf in islice(entries, row.size - tree.size):
            complete += tree.add(leaf)
            if older and tree.size == older.size and tree.root() != older.root:
                raise JournalIsBroken(
                    f"The first {older.size} entries are not those of the checkpoint that was kept: history was "
                    "written anew since."
                )
        if tree.root() != said.root:
            raise JournalIsBroken(
                f"The entries {row.first} to {row.size} are not those that checkpoint {row.pk} was signed over: one of "
                "them was put in, or written anew together with its digests."
            )
        _nodes(complete)
        found.checkpoints += 1


def _checkpoints(last: Checkpoint) -> Iterator[Checkpoint]:
    done = 0
    while rows := list(Checkpoint.objects.filter(pk__gt=done, pk__lte=last.pk).order_by("pk")[:AT_ONCE]):
        yield from rows
        done = rows[-1].pk


def _entries(size: int, found: Verified) -> Iterator[bytes]:
    """The leaves of the entries, each compared with its event. A piece is read by one statement, so that a redaction
    meanwhile is seen as a whole or not at all."""
    done = 0
    while done < size:
        rows = JournalEntry.objects.filter(pk__gt=done, pk__lte=min(done + AT_ONCE, size))
        piece = {row.pk: row for row in rows.select_related("event__namespace")}
        redacted: dict[int, list[str]] = {}
        leaves = []
        for number in range(done + 1, min(done + AT_ONCE, size) + 1):
            if number not in piece:
                raise JournalIsBroken(_missing(number))
            row = piece[number]
            if gone := _compare(row):
                redacted[row.event_id] = gone
            leaves.append(bytes(row.leaf))
        _by_redactions(redacted)
        found.entries += len(leaves)
        found.redacted += len(redacted)
        yield from leaves
        done += len(leaves)


def _missing(number: int) -> str:
    row = JournalEntry.objects.filter(pk=number).first()
    if row is None:
        return f"Entry {number} was taken out."
    return f"Event {row.event_id}, entry {number}, was deleted."


def _compare(row: JournalEntry) -> list[str]:
    """Whether the event is what its leaf was made from. Returns the columns that a redaction took something out of."""
    event: Event = row.event
    digests: dict[str, bytes | None] = {}
    gone = []
    for column in SALTED:
        digest, salt = getattr(row, f"{column}_digest"), getattr(row, f"{column}_salt")
        content = getattr(event, column)
        digests[column] = None if digest is None else bytes(digest)
        if digest is not None and salt is None:
            gone.append(column)
        elif (digest is None) != is_empty(content) or (
            salt is not None and salted(bytes(salt), CALLED[column], content) != digests[column]
        ):
            raise JournalIsBroken(f"{_called(row)}: its {CALLED[column]} is not what was written.")
    if leaf_of(row.pk, event, digests) != bytes(row.leaf):
        raise JournalIsBroken(
            f"{_called(row)}: it was changed, or put in another's place: its type, subject, actor, time, namespace or "
            "number is not what was written."
        )
    return gone


def _called(row: JournalEntry) -> str:
    return f"Event {row.event_id} ({row.event.type}, entry {row.pk})"


def _by_redactions(redacted: dict[int, list[str]]) -> None:
    """That what has no salt any more was redacted, by two people."""
    if not redacted:
        return
    places = RedactionPlace.objects.filter(
        table_name=Event._meta.db_table, row_id__in=[str(pk) for pk in redacted], redaction__state="applied"
    )
    done = set(places.values_list("row_id", "column_name"))
    for pk, columns in redacted.items():
        for column in columns:
            if (str(pk), column) not in done:
                raise JournalIsBroken(
                    f"Event {pk}: its {CALLED[column]} cannot be checked any more, and no redaction took anything out "
                    "of it."
                )


def _nodes(complete: list[tuple[int, int, bytes]]) -> None:
    """That the hashes from which proofs are made are those of the tree."""
    for level in {level for level, _, _ in complete}:
        computed = {index: kept for at, index, kept in complete if at == level}
        rows = JournalNode.objects.filter(level=level, index__in=computed)
        kept = {index: bytes(each) for index, each in rows.values_list("index", "hash")}
        for index, each in computed.items():
            if kept.get(index) != each:
                first = index << level
                raise JournalIsBroken(
                    f"The hash that is kept over the entries {first + 1} to {first + (1 << level)} is not theirs: "
                    "proofs would be wrong."
                )
