"""Somebody keeps a checkpoint away from the server, and asks later whether history is still the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import transaction
from typer.testing import CliRunner

import assay
from assay.cli.app import app
from registry.journal import notes, record
from registry.journal.checkpoints import add_checkpoint, journal_name
from tests.cast import Cast
from tests.conftest import Live


def happens(cast: Cast) -> None:
    with transaction.atomic():
        record("test.happened", subject=cast.user("ben"), by=cast.principal("ben"), namespace=cast.namespace)
    while add_checkpoint():
        pass


@pytest.mark.django_db(transaction=True)
def test_it_is_kept_and_compared(
    live: Live, cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_URL", live.url)
    monkeypatch.setenv("ASSAY_TOKEN", cast.token("otto"))
    happens(cast)
    key, kept = str(notes.own_key(journal_name())), tmp_path / "kept"

    def run(*words: str) -> tuple[int, str]:
        answer = CliRunner().invoke(app, ["checkpoint", *words])
        return answer.exit_code, " ".join(answer.output.split())

    assert run("--key", key, "-o", str(kept))[0] == 0
    happens(cast)
    code, said = run("--since", str(kept), "--key", key)
    assert (code, "The journal goes on from" in said) == (0, True)

    # Another history, signed by the server itself.
    name, size, _, *rest = kept.read_text().partition("\n\n")[0].split("\n")
    kept.write_text(notes.sign("\n".join([name, size, "QUFB" * 10 + "QUE=", *rest, ""]), name))
    code, said = run("--since", str(kept), "--key", key)
    assert (code, "history was written anew" in said) == (1, True)
    stranger = notes.Key(journal_name(), b"s" * 32)
    with assay.Client() as client, pytest.raises(assay.DigestMismatch, match="another key signed it"):
        client.checkpoint(keys=[str(stranger)])
