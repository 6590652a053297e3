"""The newest checkpoint over REST, with the client, and on its page: signed, and the continuation of an older one."""

from __future__ import annotations

from django.test import Client as Browser
from django.urls import reverse

from assay.chain import goes_on
from assay.notes import Checkpoint as Said
from registry.journal import notes, record
from registry.journal.checkpoints import add_checkpoint, head, journal_name
from registry.journal.tree import Growing, Tree, leaf_hash
from registry.journal.watching import watch
from registry.models import Checkpoint, Event, JournalEntry
from tests.cast import Cast


def signed() -> Checkpoint:
    while add_checkpoint():
        pass
    newest = head()
    assert newest
    return newest


def happens(cast: Cast) -> Event:
    ben = cast.principal("ben")
    return record("test.happened", subject=cast.user("ben"), by=ben, namespace=cast.namespace)


def test_any_beginning_is_one_and_nothing_else_is() -> None:
    leaves = [leaf_hash(bytes([i])) for i in range(21)]

    def said(size: int, root: bytes) -> Said:
        return Said("x", size, root, 1, "")

    roots, growing = {}, Growing()
    for leaf in leaves:
        growing.add(leaf)
        roots[growing.size] = growing.root()
    for new in range(1, 22):
        tree = Tree(new, lambda level, tiles: {0: leaves})
        for old in range(1, new + 1):
            hashes = tree.consistency(old)
            older, newer = said(old, roots[old]), said(new, roots[new])
            assert goes_on(older, newer, hashes), (old, new)
            assert not goes_on(said(old, b"x" * 32), newer, hashes)
            assert not goes_on(older, said(new, b"x" * 32), hashes)
            assert not goes_on(older, newer, [*hashes, b"x" * 32])
            assert not hashes or not goes_on(older, newer, hashes[:-1])
    assert not goes_on(said(0, b""), said(3, roots[3]), [])
    assert not goes_on(said(4, roots[4]), said(3, roots[3]), [])


def test_it_is_answered_and_since_is_one_of_its_sizes(cast: Cast) -> None:
    client = cast.client("vera")
    happens(cast)
    newest = signed()
    answer = client.get("/api/v1/journal/checkpoint")
    assert (answer.status_code, answer.json()["note"], answer.json()["size"]) == (
        200, newest.note, newest.size,
    )  # fmt: skip
    assert answer.json()["keys"] == [str(notes.own_key(journal_name()))]
    for wrong in ("0", "-1", "x", str(newest.size + 1), "9" * 30, "²"):
        refused = client.get("/api/v1/journal/checkpoint", {"since": wrong})
        assert (refused.status_code, refused.json()["field"]) == (422, "since"), wrong
    assert cast.client(None).get("/api/v1/journal/checkpoint").status_code == 401


def test_the_page_says_whether_it_is_what_was_signed(cast: Cast) -> None:
    event = happens(cast)
    browser = Browser()
    browser.force_login(cast.user("otto"))

    def page(name: str, pk: int) -> str:
        return " ".join(
            browser.get(reverse(f"admin:registry_{name}_change", args=[pk])).content.decode().split()
        )

    assert "the next checkpoint gives it one" in page("event", event.pk)
    newest = signed()
    entry = JournalEntry.objects.get(event=event)
    assert f"Entry {entry.pk}, in checkpoint {newest.pk} of" in page("event", event.pk)
    operator = Browser()
    operator.force_login(cast.user("cora"))
    address = reverse("admin:registry_checkpoint_change", args=[newest.pk])
    assert operator.get(address).status_code == 404
    watch()
    shown = page("checkpoint", newest.pk)
    assert f"the journal begins with the {newest.size} entries that it was signed over" in shown
    assert "Every entry is what was signed." in shown
    assert str(notes.own_key(journal_name())) in shown.replace("&#x27;", "'").replace("&#43;", "+")
    listed = browser.get(reverse("admin:registry_checkpoint_changelist")).content.decode()
    assert "Signed" in listed
