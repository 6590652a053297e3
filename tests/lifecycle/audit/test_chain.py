"""What the journal's proof in a document shows without a server, and what it shows when somebody wrote on it."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import override_settings
from typer.testing import CliRunner

from assay.cli.app import app
from assay.errors import DigestMismatch, PathRefused
from assay.proof import Checked, check
from lifecycle.audit.export import export_version
from lifecycle.audit.proof import chained, sealed
from registry.actions.redactions import ask_redaction, decide_redaction
from registry.journal import checkpoints, notes, record
from registry.journal.proving import proof_of
from registry.models import Event, ModelVersion
from tests.cast import Cast
from tests.factories import evaluate, ready_version

Change = Callable[[dict[str, Any]], None]


def signed() -> None:
    while checkpoints.add_checkpoint():
        pass


@dataclass
class Scene:
    cast: Cast
    first: ModelVersion


@pytest.fixture
def scene(cast: Cast) -> Scene:
    """A version of which the journal tells this and that, with checkpoints over it."""
    version, ben = ready_version(cast), cast.principal("ben")
    for i in range(7):
        record("test.noted", subject=version, by=ben, namespace=cast.namespace, reason="as it should be",
               after={"i": i, "of": [1.5, None]} if i % 2 else None)  # fmt: skip
    signed()
    return Scene(cast, version)


@pytest.fixture
def key(scene: Scene) -> str:
    return str(notes.own_key(checkpoints.journal_name()))


def taken(scene: Scene) -> dict[str, Any]:
    document: dict[str, Any] = export_version(version=scene.first, by=scene.cast.principal("otto"))
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


def looked_at(folder: Path, document: dict[str, Any], *keys: str) -> Checked:
    path = folder / "evidence.json"
    path.write_text(json.dumps(document))
    return check(path, keys=keys)


def said(found: Checked, *, ok: bool = True) -> str:
    return "\n".join(f["sentence"] for f in found["findings"] if f["about"] == "proof" and f["ok"] is ok)


def again(document: dict[str, Any]) -> dict[str, Any]:
    """The document after somebody computed all its digests anew, as anybody can."""
    events = [{k: v for k, v in e.items() if k != "sha256"} for e in document["journal"]["events"]]
    return sealed({**document, "journal": chained(events)})


def test_a_document_as_it_came(scene: Scene, key: str, tmp_path: Path) -> None:
    document = taken(scene)
    count = len(document["journal"]["events"])
    found = looked_at(tmp_path, document, key)
    assert said(found, ok=False) == ""
    told = said(found)
    assert "The server signed this document, whole as it is." in told
    assert f"{count} of its {count} entries are in it as they stand here" in told
    assert "the key that it carries itself" not in told
    assert "the key that it carries itself" in said(looked_at(tmp_path, document))
    (tmp_path / "keys").write_text(f"{key}\n")
    assert said(looked_at(tmp_path, document, str(tmp_path / "keys"))) == told


def event_at(document: dict[str, Any], index: int = 3) -> Any:
    return document["journal"]["events"][index]


def other_actor(document: dict[str, Any]) -> None:
    event_at(document)["actor"] = "somebody"


def other_reason(document: dict[str, Any]) -> None:
    event_at(document)["reason"] = "because"


def other_after(document: dict[str, Any]) -> None:
    event_at(document)["after"] = {"x": 1}


def other_namespace(document: dict[str, Any]) -> None:
    event_at(document)["namespace"] = "another"


def other_number(document: dict[str, Any]) -> None:
    document["proof"]["entries"][str(event_at(document)["id"])]["number"] += 1


def no_salts(document: dict[str, Any]) -> None:
    document["proof"]["entries"][str(event_at(document)["id"])]["salts"] = {}


def as_redacted(document: dict[str, Any]) -> None:
    """Another content under the digest of the right one, as if it had been redacted."""
    event = event_at(document)
    entry = document["proof"]["entries"][str(event["id"])]
    salt = entry["salts"].pop("reference")
    right = hashlib.sha256(
        json.dumps([salt, "reference", event["subject"]["reference"]], separators=(",", ":")).encode()
    )
    entry["redacted"] = {"reference": right.hexdigest()}
    event["subject"]["reference"] = "another/model:1"


def exchanged(document: dict[str, Any]) -> None:
    events = document["journal"]["events"]
    events[2], events[3] = events[3], events[2]


def unnumbered(document: dict[str, Any]) -> None:
    del document["proof"]["entries"][str(event_at(document)["id"])]


def no_hashes(document: dict[str, Any]) -> None:
    document["proof"]["hashes"] = {}


CHANGED: dict[Change, str] = {
    other_actor: "Entry {number} (event {id}, {type}) is not what checkpoint",
    other_reason: "Entry {number} (event {id}, {type}) is not what checkpoint",
    other_after: "Entry {number} (event {id}, {type}) is not what checkpoint",
    other_namespace: "Entry {number} (event {id}, {type}) is not what checkpoint",
    no_salts: "Entry {number} (event {id}, {type}) is not what checkpoint",
    other_number: "(event {id}, {type}) is not what checkpoint",
    as_redacted: "its reference is said to be redacted, and has no mark of it",
    exchanged: "they are in another order than in the journal",
    unnumbered: "stands behind event {id}, which has no number yet",
    no_hashes: "is not what checkpoint",
}


def test_what_was_written_on_is_named_though_every_digest_was_computed_anew(
    scene: Scene, key: str, tmp_path: Path
) -> None:
    document = taken(scene)
    event = event_at(document)
    names = {**event, "number": document["proof"]["entries"][str(event["id"])]["number"]}
    for change, sentence in CHANGED.items():
        other = copy.deepcopy(document)
        change(other)
        if change is other_actor:  # without computing the digests anew too
            assert "The signature is of another document." in said(looked_at(tmp_path, other, key), ok=False)
        found = looked_at(tmp_path, again(other), key)
        assert sentence.format(**names) in said(found, ok=False), change.__name__
        assert not found["ok"]
        # The entries that were not touched are not accused.
        if change not in (no_hashes, exchanged, unnumbered):
            assert said(found, ok=False).count("Entry ") == 1, change.__name__


def test_an_entry_that_was_left_out_is_no_entry_that_was_signed(
    scene: Scene, key: str, tmp_path: Path
) -> None:
    document = taken(scene)
    del document["journal"]["events"][3]
    found = looked_at(tmp_path, again(document), key)
    assert said(found, ok=False) == "The signature is of another document."


def test_a_forged_signature_is_one(scene: Scene, key: str, tmp_path: Path) -> None:
    document = taken(scene)
    other = copy.deepcopy(document)
    other["proof"]["checkpoint"] = other["proof"]["checkpoint"].replace("checkpoint ", "checkpoint 1")
    assert "a checkpoint, but its signature is forged" in said(looked_at(tmp_path, other, key), ok=False)

    # Somebody with a key of their own, which they put into the document, signs another history.
    with override_settings(JOURNAL_KEY=b"m" * 32):
        forged = copy.deepcopy(document)
        other_actor(forged)
        forged = again(forged)
        name = checkpoints.journal_name()
        text, _, _ = document["proof"]["checkpoint"].rpartition("\n\n")
        forged["proof"]["keys"] = [str(notes.own_key(name))]
        forged["proof"]["signed"] = notes.sign(f"{name}\nevidence {forged['digest']}\n", name)
        forged["proof"]["checkpoint"] = notes.sign(f"{text}\n", name)
    found = looked_at(tmp_path, forged)
    assert "The server signed this document" in said(found), "its own key says what it likes"
    told = said(looked_at(tmp_path, forged, key), ok=False)
    assert "another key signed it than was given" in told


def test_what_is_no_proof_is_found(scene: Scene, key: str, tmp_path: Path) -> None:
    document = taken(scene)
    its = document["proof"]
    shapes: list[Any] = [
        None,
        [],
        {},
        {**its, "checkpoint": 3},
        {**its, "keys": [1]},
        {**its, "entries": dict.fromkeys(its["entries"], 1)},
        {**its, "hashes": {"1:2": "xx"}},
        {**its, "signed": "x"},
    ]
    for proof in shapes:
        assert not looked_at(tmp_path, {**document, "proof": proof})["ok"], proof
    assert "carries no proof" in said(looked_at(tmp_path, {**document, "proof": None}, key), ok=False)
    for wrong in ("x+00000000+AAAA", f"{key}A"):
        with pytest.raises(DigestMismatch, match="is no public key"):
            looked_at(tmp_path, document, wrong)
    with pytest.raises(PathRefused, match="is no key, and cannot be read"):
        looked_at(tmp_path, document, str(tmp_path / "absent"))


def test_what_is_newer_than_the_checkpoint_is_said_to_be(scene: Scene, key: str, tmp_path: Path) -> None:
    evaluate(scene.cast, scene.first, 0.5, part="later")
    document = taken(scene)
    new = document["journal"]["events"][-1]["id"]
    found = looked_at(tmp_path, document, key)
    assert f"1 entries are in no checkpoint yet, and not proven (event {new})." in said(found)
    assert found["ok"] == (said(found, ok=False) == "" and all(f["ok"] for f in found["findings"]))


@pytest.mark.django_db
def test_without_a_checkpoint_nothing_is_proven(cast: Cast, tmp_path: Path) -> None:
    if checkpoints.head():  # another test of this process committed some
        return
    document = taken(Scene(cast, ready_version(cast)))
    assert document["proof"]["checkpoint"] is None
    assert "The journal has no checkpoint yet" in said(looked_at(tmp_path, document))


def test_a_redaction_is_told_and_nothing_else_is_doubted(scene: Scene, key: str, tmp_path: Path) -> None:
    cast = scene.cast
    redaction = ask_redaction(
        namespace=cast.namespace, reason="a name", text="as it should be", by=cast.principal("ada")
    )
    decide_redaction(redaction=redaction, verdict="approve", by=cast.principal("cora"))
    document = taken(scene)
    assert "as it should be" not in json.dumps(document)
    found = looked_at(tmp_path, document, key)
    assert said(found, ok=False) == ""
    assert "a text was redacted since" in said(found)


def test_an_older_document_and_the_newer_are_of_one_journal(scene: Scene, key: str, tmp_path: Path) -> None:
    older = tmp_path / "older.json"
    older.write_text(json.dumps(taken(scene)))
    evaluate(scene.cast, scene.first, 0.5, part="later")
    signed()
    newer = tmp_path / "newer.json"
    document = taken(scene)
    newer.write_text(json.dumps(document))

    def about_the_older() -> list[tuple[bool, str]]:
        found = check(newer, older, keys=[key])
        return [(f["ok"], f["sentence"]) for f in found["findings"] if f["about"] == "older.json"]

    assert about_the_older()[-1] == (
        True,
        "The journal of the newer one goes on from it, as far as the two show.",
    )
    assert all(ok for ok, _ in about_the_older())
    newer.write_text(older.read_text())
    older.write_text(json.dumps(document))
    assert "The journal had" in about_the_older()[-1][1]
    text, _, _ = document["proof"]["checkpoint"].rpartition("\n\n")
    lines = text.split("\n")
    lines[2] = base64.b64encode(b"f" * 32).decode()
    name = checkpoints.journal_name()
    document["proof"]["checkpoint"] = notes.sign("\n".join([*lines, ""]), name)
    newer.write_text(json.dumps(document))
    assert "are signed over different ones" in about_the_older()[-1][1]


def test_the_command_line(scene: Scene, key: str, tmp_path: Path) -> None:
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(taken(scene)))
    answer = CliRunner().invoke(app, ["verify", str(path), "--key", key])
    assert "The server signed this document" in answer.output
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32).public_key().public_bytes_raw()
    other = str(notes.Key(checkpoints.journal_name(), stranger))
    answer = CliRunner().invoke(app, ["verify", str(path), "--key", other])
    assert (answer.exit_code, "another key signed it than was given" in " ".join(answer.output.split())) == (
        1,
        True,
    )


def test_the_queries_do_not_grow_with_the_entries(scene: Scene, django_assert_max_num_queries: Any) -> None:
    events = list(Event.objects.filter(namespace=scene.cast.namespace))
    assert len(events) > 7
    with django_assert_max_num_queries(10):
        proof_of(events, digest="x")
