"""The chain over the journal: numbered in an order that stays, signed once, and found out when it was touched."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.test import override_settings

from registry.actions.people import create_user
from registry.actions.redactions import ask_redaction, decide_redaction
from registry.journal import checkpoints, notes, record
from registry.journal.checkpoints import JournalIsBroken, add_checkpoint, check_head, head, trusted_keys
from registry.journal.leaves import CALLED
from registry.journal.notes import Key, NoteIsWrong
from registry.journal.notices import mail_of_journal
from registry.journal.record import Place
from registry.journal.verifying import verify
from registry.models import SYSTEM, Checkpoint, Event, JournalEntry, Mail, Unnumbered, User
from registry.models.checkpoints import SALTED
from registry.tasks import checkpoint_journal, verify_journal
from tests import services
from tests.registry.journal.chain import Chain


def numbered() -> list[tuple[int, int]]:
    return list(JournalEntry.objects.order_by("pk").values_list("pk", "event_id"))


def test_events_are_numbered_in_turn_and_signed_over(chain: Chain) -> None:
    assert Unnumbered.objects.count() > 0
    assert chain.sign() == 1
    first = head()
    assert first
    assert first.size == Event.objects.count()
    assert add_checkpoint() is None, "nothing waits"
    written = chain.write(3)
    second = add_checkpoint()
    assert second
    assert (second.pk, second.first, second.count) == (first.pk + 1, first.size + 1, 3)
    assert second.previous == notes.digest_of(first.note)
    assert numbered()[-3:] == [(first.size + 1 + i, event.pk) for i, event in enumerate(written)]
    assert Unnumbered.objects.count() == 0
    found = verify()
    assert (found.entries, found.checkpoints, found.waiting) == (second.size, second.pk, 0)
    chain.write(2)
    assert verify().waiting == 2


def test_what_is_redactable_is_salted_and_nothing_else_is() -> None:
    assert set(SALTED) == set(Event.redactable) == set(CALLED)


def test_what_commits_later_has_a_higher_number_whatever_its_id(chain: Chain) -> None:
    """Two transactions: the one with the lower id commits last."""
    chain.sign()
    began, go_on, slow = threading.Event(), threading.Event(), []

    def slowly() -> None:
        try:
            with transaction.atomic():
                slow.extend(chain.write())
                began.set()
                assert go_on.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=slowly)
    thread.start()
    assert began.wait(20)
    (quick,) = chain.write()
    assert quick.pk > slow[0].pk
    chain.sign()
    assert numbered()[-1][1] == quick.pk
    go_on.set()
    thread.join()
    chain.sign()
    assert [event for _, event in numbered()[-2:]] == [quick.pk, slow[0].pk]
    assert verify().checkpoints == Checkpoint.objects.count()


def test_writers_and_signers_at_once_fork_nothing_and_leave_nothing_out(chain: Chain) -> None:
    wrong: list[BaseException] = []

    def each(work: Callable[[], object], times: int) -> Callable[[], None]:
        def run() -> None:
            try:
                for _ in range(times):
                    work()
            except BaseException as error:
                wrong.append(error)
            finally:
                connection.close()

        return run

    threads = [threading.Thread(target=each(lambda: chain.write(3), 15)) for _ in range(3)]
    threads += [threading.Thread(target=each(lambda: add_checkpoint(most=7), 25)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    chain.sign()
    found = verify()
    assert found.entries == Event.objects.count() >= 135
    assert found.checkpoints == Checkpoint.objects.count() > 1


def test_a_signer_that_dies_leaves_everything_as_it_was(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.sign()
    before = Checkpoint.objects.count()
    chain.write(5)

    def killed(text: str, name: str) -> str:
        """The server process of the database ends, after everything but the checkpoint was written."""
        with services.superuser() as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        return "never written"

    with monkeypatch.context() as patch:
        patch.setattr(notes, "sign", killed)
        with pytest.raises(Exception, match=r"terminating connection|closed"):
            add_checkpoint()
    connection.close()
    assert (Checkpoint.objects.count(), Unnumbered.objects.count()) == (before, 5)
    assert chain.sign() == 1
    assert verify().waiting == 0


def test_a_redaction_leaves_the_chain_whole_and_nothing_to_try(chain: Chain) -> None:
    cast = chain.cast
    (written,) = chain.write(1, reason="the patient is Jane Roe", after={"who": "Jane Roe", "beside": 1})
    chain.sign()
    before = JournalEntry.objects.get(event=written)
    redaction = ask_redaction(
        namespace=cast.namespace, reason="a name", text="Jane Roe", by=cast.principal("ada")
    )
    decide_redaction(redaction=redaction, verdict="approve", by=cast.principal("cora"))
    entry = JournalEntry.objects.get(event=written)
    assert (entry.reason_salt, entry.after_salt) == (None, None)
    assert entry.reason_digest == before.reason_digest
    assert entry.subject_label_salt is not None
    chain.sign()
    assert verify().redacted == 1
    for attack in (
        "UPDATE registry_journalentry SET subject_label_salt = NULL WHERE id = %s",
        "UPDATE registry_journalentry SET reason_salt = sha256('x') WHERE id = %s",
        "DELETE FROM registry_journalentry WHERE id = %s",
    ):
        with (
            psycopg.connect(services.at(os.environ["DATABASE_OWNER_URL"], chain.database)) as owner,
            pytest.raises(psycopg.errors.CheckViolation, match="append-only"),
        ):
            owner.execute(attack, [entry.pk])


def test_a_redaction_and_numbering_wait_for_each_other(chain: Chain) -> None:
    cast, before = chain.cast, verify().redacted
    (written,) = chain.write(1, reason="the patient is Jane Roe")
    redaction = ask_redaction(
        namespace=cast.namespace, reason="a name", text="Jane Roe", by=cast.principal("ada")
    )
    with transaction.atomic():
        decide_redaction(redaction=redaction, verdict="approve", by=cast.principal("cora"))
        with ThreadPoolExecutor(1) as beside:
            assert beside.submit(closing, add_checkpoint).result(20) is None, "it comes again"
    chain.sign()
    assert verify().redacted == before, "it was numbered as it stands there"
    assert JournalEntry.objects.get(event=written).reason_salt is not None


def closing(work: Callable[[], Any]) -> Any:
    try:
        return work()
    finally:
        connection.close()


def test_another_key_signs_on_and_the_former_one_is_named(chain: Chain) -> None:
    chain.sign()
    newest = Checkpoint.objects.count()
    former = str(notes.own_key(checkpoints.journal_name()))
    assert str(Key.parse(former)) == former
    with chain.undone(), override_settings(JOURNAL_KEY=b"k" * 32):
        put_in_line(chain.write())
        with pytest.raises(
            JournalIsBroken, match="Checkpoint 1 is not the server's: no key of this server signed it"
        ):
            verify()
        with pytest.raises(JournalIsBroken):
            add_checkpoint()
        with override_settings(JOURNAL_FORMER_KEYS=[former]):
            assert chain.sign() == 1
            assert verify().checkpoints == newest + 1


def put_in_line(events: list[Event]) -> None:
    """What the trigger does that does not fire."""
    Unnumbered.objects.bulk_create(Unnumbered(event=event) for event in events)


def test_a_journal_keeps_its_name(chain: Chain) -> None:
    chain.sign()
    name = checkpoints.journal_name()
    chain.write()
    with override_settings(PUBLIC_URL="https://elsewhere.example"):
        chain.sign()
        newest = head()
        assert newest
        assert check_head(newest, trusted_keys()).name == name


def test_what_is_no_note() -> None:
    note = notes.sign("x/journal\n1\nAAAA\n", "x/journal")
    keys = [notes.own_key("x/journal")]
    assert notes.opened(note, keys)[1] == keys[0]
    for wrong in (
        "",
        "\n\n",
        note[:-3],
        note.replace("AAAA", "AAAB"),
        note.replace("\n\n", "\n"),
        note + "\n\n",
    ):
        with pytest.raises(NoteIsWrong):
            notes.opened(wrong, keys)
    for text in (
        "x\n1\nAAAA\n",
        "x\n01\nAAAA\ncheckpoint 1\nprevious 0\nat 2026-01-01T00:00:00Z\n",
        "\n" * 6,
    ):
        with pytest.raises(NoteIsWrong):
            notes.Head.parse(text)
    for text in ("", "x", "x+1+2", "x/journal+00000000+" + str(keys[0]).rpartition("+")[2]):
        with pytest.raises(ValueError, match="is no key as"):
            Key.parse(text)


def test_the_tasks_sign_and_tell_once_what_is_broken(chain: Chain) -> None:
    written = chain.write(3)
    checkpoint_journal()
    verify_journal()
    assert told() == ["journal.verified"], "the first of this journal"
    with chain.undone():
        Event.objects.filter(pk=written[1].pk).update(reason="another")
        with connection.cursor() as cursor:  # what is told of it is written as ever
            cursor.execute("ALTER TABLE registry_event ENABLE TRIGGER ALL")
        verify_journal()
        verify_journal()
        assert told() == ["journal.verified", "journal.broken"]
        broken = Event.objects.get(type="journal.broken")
        assert (broken.subject_label, f"Event {written[1].pk} (test.happened" in broken.reason) == (
            checkpoints.journal_name(), True,
        )  # fmt: skip
        Checkpoint.objects.update(root="0" * 64)
        before = Checkpoint.objects.count()
        checkpoint_journal()
        checkpoint_journal()
        assert (told()[2:], Checkpoint.objects.count()) == (["journal.broken"], before)
    verify_journal()
    assert told() == ["journal.verified", "journal.verified"]


def test_the_platforms_administrators_are_told_by_mail(chain: Chain) -> None:
    root = create_user(username="root", by=SYSTEM)
    User.objects.filter(pk=root.pk).update(is_superuser=True, email="root@example.org")
    with transaction.atomic(), override_settings(EMAIL_HOST="mail.example.org"):
        event = record(
            "journal.broken", subject=Place("journal", "x"), by=SYSTEM, namespace=None, reason="Event 7."
        )
        mail_of_journal(event)
        mail_of_journal(chain.write()[0])
    mail = Mail.objects.get()
    assert (mail.to, mail.subject) == (root, "The journal is not what was signed")
    assert "Event 7." in mail.body


def told() -> list[str]:
    return list(Event.objects.filter(subject_kind="journal").order_by("pk").values_list("type", flat=True))


def test_the_command(chain: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = chain.write(3)
    call_command("journal", "head")
    kept = tmp_path / "kept"
    kept.write_text(capsys.readouterr().out)
    call_command("journal", "key")
    key = Key.parse(capsys.readouterr().out)
    assert notes.opened(kept.read_text(), [key])
    chain.write(2)
    call_command("journal", "verify", "--since", str(kept))
    said = capsys.readouterr().out
    newest = head()
    assert newest
    size = newest.size
    assert f"OK: {size} entries are what {newest.pk} checkpoints were signed over" in said
    assert f"The first {size} are those of the checkpoint that was kept." in said
    assert "2 events wait for the next checkpoint" in said
    call_command("journal", "verify", "--json")
    assert json.loads(capsys.readouterr().out)["entries"] == size
    with chain.undone():
        Event.objects.filter(pk=written[0].pk).update(actor_label="nobody")
        with pytest.raises(CommandError, match=f"Event {written[0].pk} "):
            call_command("journal", "verify")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("journal", "verify", "--since", str(tmp_path / "absent"))
    kept.write_text("nothing")
    with pytest.raises(CommandError, match="What was kept cannot be compared: it is no signed note"):
        call_command("journal", "verify", "--since", str(kept))
