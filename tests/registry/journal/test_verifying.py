"""Whoever can do anything to the database: what they did is found, and named."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from registry.journal import checkpoints, notes
from registry.journal.checkpoints import JournalIsBroken, add_checkpoint, head
from registry.journal.leaves import CALLED, leaf_of, salted
from registry.journal.tree import Tree
from registry.journal.verifying import verify
from registry.models import Checkpoint, Event, JournalEntry
from registry.models.checkpoints import SALTED
from tests.registry.journal.chain import Chain

TAMPERED: list[tuple[str, str]] = [
    ("UPDATE registry_event SET actor_label = 'nobody' WHERE id = {event}",
     "Event {event} (test.happened, entry {entry}): it was changed"),
    ("UPDATE registry_event SET at = at - interval '1 day' WHERE id = {event}", "Event {event} (test.happened, entry"),
    ("UPDATE registry_event SET reason = 'another' WHERE id = {event}", "its reason is not what was written"),
    ("UPDATE registry_event SET reason = '' WHERE id = {event}", "its reason is not what was written"),
    ("UPDATE registry_event SET before = '{{}}' WHERE id = {event}", "its before is not what was written"),
    ("UPDATE registry_event SET after = jsonb_set(after, '{{deep,0,x}}', '1.6') WHERE id = {event}",
     "its after is not what was written"),
    (("UPDATE registry_namespace SET name = 'renamed' WHERE id = (SELECT namespace_id FROM registry_event"
      " WHERE id = {event})"), "namespace or number is not what was written"),
    ("DELETE FROM registry_event WHERE id = {event}", "Event {event}, entry {entry}, was deleted."),
    ("DELETE FROM registry_journalentry WHERE id = {entry}", "Entry {entry} was taken out."),
    ("UPDATE registry_journalentry SET reason_salt = NULL WHERE id = {entry}",
     "its reason cannot be checked any more, and no redaction took anything out of it"),
    (("UPDATE registry_journalentry SET event_id = -event_id WHERE id IN ({entry}, {entry} + 1); "
      "UPDATE registry_journalentry SET event_id = CASE id WHEN {entry} THEN {event} + 1 ELSE {event} END"
      " WHERE id IN ({entry}, {entry} + 1)"), "Event {next} (test.happened, entry {entry})"),
    (("INSERT INTO registry_event (type, subject_kind, subject_id, subject_label, actor_label, token_prefix, reason,"
      " at) VALUES ('version.promoted', 'x', 'x', '', 'cora', '', '', now())"), "was put in behind the journal's back"),
    ("INSERT INTO registry_unnumbered VALUES (999999)", "Event 999999 was deleted before it was numbered."),
    ("UPDATE registry_journalentry SET leaf = sha256(leaf) WHERE id = {entry}", "Event {event} (test.happened, entry"),
    ("UPDATE registry_checkpoint SET root = repeat('0', 64) WHERE id = 2", "its columns are not what was signed"),
    ("UPDATE registry_checkpoint SET note = replace(note, 'checkpoint 2', 'checkpoint 3') WHERE id = 2",
     "Checkpoint 2 is not the server's: its signature does not belong to what it says."),
    ("DELETE FROM registry_checkpoint WHERE id = 1", "Checkpoint 1 was taken out."),
    ("DELETE FROM registry_checkpoint WHERE size > {entry}", "is in no checkpoint: the last ones were taken out"),
    ("DELETE FROM registry_checkpoint", "Entry 1 is in no checkpoint: the last ones were taken out."),
    ("UPDATE registry_journalnode SET hash = sha256(hash) WHERE level = 8 AND index = 0",
     "The hash that is kept over the entries 1 to 256 is not theirs"),
]  # fmt: skip


def test_whoever_can_do_anything_to_the_database_is_found_out(chain: Chain) -> None:
    """Each in a transaction of the owner, in which no trigger fires, and which is then undone."""
    chain.sign()
    first = chain.write(300)[0]
    chain.sign()
    chain.write(2)
    chain.sign()
    entry = JournalEntry.objects.get(event=first)
    names = {"event": entry.event_id, "entry": entry.pk, "next": entry.event_id + 1}
    said = {}
    for attack, sentence in TAMPERED:
        with chain.undone():
            with connection.cursor() as cursor:
                cursor.execute(attack.format(**names))
            with pytest.raises(JournalIsBroken) as broken:
                verify()
            assert sentence.format(**names) in broken.value.sentence, attack
            said[attack] = broken.value.sentence
    assert verify().entries == JournalEntry.objects.count()


def forge(row: JournalEntry, **columns: Any) -> None:
    """Write an event anew together with its digests and leaf, as somebody would who knows this code."""
    event = row.event
    for column, content in columns.items():
        setattr(event, column, content)
    Event.objects.filter(pk=event.pk).update(**columns)
    digests = {}
    for column in SALTED:
        salt = getattr(row, f"{column}_salt")
        digests[column] = (
            None if salt is None else salted(bytes(salt), CALLED[column], getattr(event, column))
        )
        setattr(row, f"{column}_digest", digests[column])
    row.leaf = leaf_of(row.pk, event, digests)
    row.save()


def test_history_that_was_written_anew_is_found_by_what_was_signed(chain: Chain) -> None:
    chain.write(5)
    chain.sign()
    (event,) = chain.write(1)
    chain.sign()
    kept = head()
    assert kept
    newest = kept.pk
    with chain.undone():
        forge(JournalEntry.objects.get(event=event), reason="another reason")
        with pytest.raises(
            JournalIsBroken, match="one of them was put in, or written anew together with its digests"
        ):
            verify()
        with pytest.raises(JournalIsBroken, match=f"are not those that checkpoint {newest} was signed over"):
            add_checkpoint()
        # With the server's key too, the chain is whole again: only what is elsewhere shows it.
        row = Checkpoint.objects.get(pk=newest)
        root = Tree(row.size, checkpoints.fetch).root()
        said = notes.Head(notes.usual_name(), row.size, root, newest, row.previous, row.at)
        Checkpoint.objects.filter(pk=newest).update(root=root.hex(), note=notes.sign(said.text, said.name))
        assert verify().checkpoints == newest
        with pytest.raises(JournalIsBroken, match="history was written anew since"):
            verify(kept=kept.note)
    chain.write(1)
    chain.sign()
    assert verify(kept=kept.note).since == kept.size
    with chain.undone():
        Checkpoint.objects.filter(pk__gte=newest).delete()
        with pytest.raises(JournalIsBroken, match="is in no checkpoint"):
            add_checkpoint()
        JournalEntry.objects.filter(pk__gt=Checkpoint.objects.get(pk=newest - 1).size).delete()
        with pytest.raises(JournalIsBroken, match="the checkpoint that was kept has"):
            verify(kept=kept.note)
