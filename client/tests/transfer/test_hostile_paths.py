"""A server that lies about names: whatever a manifest calls its files, nothing is written beside the folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from assay.digest import ManifestEntry, check_path
from assay.errors import PathRefused
from assay.http import Connection
from assay.transfer import download, store
from client.tests.stand_in import VERSION, Answer, StandIn
from client.tests.transfer.tally import Tally
from registry.artifacts import paths
from tests.hostile_paths import corpus, escapes

CONTENT = b"x"


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """Where everything belongs, with room above it to be caught in."""
    return tmp_path / "a" / "b" / "out"


def pulled(stand_in: StandIn, connection: Connection, folder: Path, path: str) -> None:
    """From a server that has an answer to whatever address the client makes of the path."""
    stand_in.faults = [
        lambda asked: (
            Answer(200, CONTENT)
            if asked.path == "/blob"
            else Answer.of({"url": f"{stand_in.url}/blob", "size": 1})
        )
    ]
    entry: ManifestEntry = {"path": path, "size": 1, "sha256": hashlib.sha256(CONTENT).hexdigest()}
    download.receive(connection, f"{VERSION}/artifacts", [entry], folder, Tally())


def beside(root: Path, folder: Path) -> list[Path]:
    """Files that were written elsewhere, the cache and its like left out."""
    return [
        path
        for path in root.rglob("*")
        if path.is_file() and folder not in path.parents and (root / "cache") not in path.parents
    ]


def test_nothing_is_written_beside_the_folder(
    stand_in: StandIn,
    connection: Connection,
    tmp_path: Path,
    inside: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store, "BACKOFF", 0.01)
    monkeypatch.setenv("ASSAY_CACHE", "off")
    refused = 0
    for form in corpus():
        try:
            pulled(stand_in, connection, inside, form)
        except PathRefused:
            refused += 1
        assert beside(tmp_path, inside) == [], form
    assert refused >= 600
    written = {str(path.relative_to(inside)) for path in inside.rglob("*") if path.is_file()}
    assert {path: escapes(path) for path in written if escapes(path)} == {}
    assert len(written) == len(corpus()) - refused


def test_without_the_rules_something_would_be(
    stand_in: StandIn,
    connection: Connection,
    tmp_path: Path,
    inside: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control."""
    monkeypatch.setattr(download, "check_path", lambda path: path)
    inside.mkdir(parents=True)
    pulled(stand_in, connection, inside, "../x")
    assert beside(tmp_path, inside) == [inside.parent / "x"]


def test_client_and_server_have_the_same_rules() -> None:
    def kept(check: object, refusal: type[Exception], path: str) -> str | None:
        try:
            return check(path)  # type: ignore[operator, no-any-return]
        except refusal:
            return None

    for form in corpus():
        ours = kept(check_path, PathRefused, form)
        assert ours == kept(paths.check_path, paths.PathRefused, form), form
        assert ours is None or escapes(ours) is None, form
        assert ours is None or os.path.normpath(f"/top/{ours}") == f"/top/{ours}"
