"""Receiving files, with a store and a line that fail."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from assay.errors import Conflict, DigestMismatch, FileInTheWay, PathRefused
from assay.http import Connection
from assay.transfer import download, store
from client.tests.stand_in import KIB, VERSION, Answer, Asked, StandIn
from client.tests.transfer.tally import Tally


@pytest.fixture(autouse=True)
def contents(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    monkeypatch.setattr(store, "BACKOFF", 0.01)
    monkeypatch.setattr(download, "RANGE", 64 * KIB)
    sizes = {"big": 300 * KIB + 7, "edge": 128 * KIB, "sub/small file": 11, "empty": 0}
    stand_in.contents = {path: os.urandom(size) for path, size in sizes.items()}
    return stand_in.contents


def on_disk(folder: Path) -> dict[str, bytes]:
    """All files, temporary ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def receive(stand_in: StandIn, connection: Connection, folder: Path, *, overwrite: bool = False) -> Tally:
    tally = Tally()
    entries = stand_in.entries()
    download.receive(connection, f"{VERSION}/artifacts", entries, folder, tally, overwrite=overwrite)
    assert tally.done["download"] == tally.total["download"]
    return tally


def test_it_works(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes]
) -> None:
    receive(stand_in, connection, tmp_path / "out")
    assert on_disk(tmp_path / "out") == contents
    assert stand_in.count("GET", "/blob/big") == 5
    assert all("authorization" not in asked.headers for asked in stand_in.asked if "/blob/" in asked.path)


@pytest.mark.parametrize(
    "fault",
    [
        Answer.s3_error(503, "SlowDown"),
        Answer(reset=True),
        Answer(206, b"x" * 64 * KIB, cut=100),
        Answer(206, b"short"),
        Answer(206, b"x" * 65 * KIB),
    ],
)
def test_what_may_pass_is_asked_for_again(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes], fault: Answer
) -> None:
    stand_in.fail("GET", "/blob/big", fault, times=3)
    receive(stand_in, connection, tmp_path / "out")
    assert on_disk(tmp_path / "out") == contents


def test_an_expired_address_is_asked_for_anew(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes]
) -> None:
    first: set[str] = set()

    def expired(asked: Asked) -> Answer | None:
        if "/blob/big" not in asked.path:
            return None
        first.add(asked.query["asked"][0]) if not first else None
        return Answer.s3_error(403, "AccessDenied") if asked.query["asked"][0] in first else None

    stand_in.faults.append(expired)
    receive(stand_in, connection, tmp_path / "out")
    assert on_disk(tmp_path / "out") == contents


@pytest.mark.parametrize("path", ["big", "edge", "sub/small file"])
def test_wrong_bytes_never_get_the_name(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes], path: str
) -> None:
    stand_in.listed = stand_in.entries()
    flipped = bytearray(contents[path])
    flipped[-1] ^= 1
    contents[path] = bytes(flipped)
    with pytest.raises(DigestMismatch, match=path):
        receive(stand_in, connection, tmp_path / "out")
    found = on_disk(tmp_path / "out")
    assert path not in found
    assert set(found) <= set(contents)


def test_a_store_out_of_reach_is_gone_round(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes], nobody: str
) -> None:
    stand_in.store = nobody
    receive(stand_in, connection, tmp_path / "out")
    assert on_disk(tmp_path / "out") == contents


def test_the_way_round_is_verified_and_repeated_too(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes], nobody: str
) -> None:
    stand_in.store = nobody

    def cut(asked: Asked) -> Answer | None:
        streamed = [each for each in stand_in.asked if each.query.get("as") == ["stream"]]
        return Answer(200, contents["big"], cut=70 * KIB) if streamed == [asked] else None

    stand_in.faults.append(cut)
    receive(stand_in, connection, tmp_path / "out")
    assert on_disk(tmp_path / "out") == contents
    stand_in.listed = stand_in.entries()
    contents["edge"] = bytes(128 * KIB)
    with pytest.raises(DigestMismatch, match="edge"):
        receive(stand_in, connection, tmp_path / "other")


def test_a_file_that_is_there_is_kept_and_another_refused(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes]
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "big").write_bytes(contents["big"])
    (folder / "edge").write_bytes(b"mine")
    with pytest.raises(FileInTheWay, match="edge"):
        receive(stand_in, connection, folder)
    assert on_disk(folder) == {"big": contents["big"], "edge": b"mine"}
    receive(stand_in, connection, folder, overwrite=True)
    assert on_disk(folder) == contents
    assert stand_in.count("GET", "/blob/big") == 0


@pytest.mark.parametrize("path", ["../evil", "/tmp/evil", "a/../../evil", "sub\\evil", ""])
def test_a_hostile_manifest_writes_nothing(
    stand_in: StandIn, connection: Connection, tmp_path: Path, path: str
) -> None:
    stand_in.listed = [{"path": path, "size": 1, "sha256": "0" * 64}]
    with pytest.raises(PathRefused):
        receive(stand_in, connection, tmp_path / "out")
    assert on_disk(tmp_path) == {}


def test_a_refusal_is_the_servers_sentence(stand_in: StandIn, connection: Connection, tmp_path: Path) -> None:
    stand_in.fail(
        "GET", "/artifacts/", Answer.problem(409, "version-quarantined", "It is quarantined."), times=9
    )
    with pytest.raises(Conflict, match="quarantined"):
        receive(stand_in, connection, tmp_path / "out")
    assert set(on_disk(tmp_path)) <= {"out/empty"}
