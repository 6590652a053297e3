"""Sending files of which an earlier session, or another one of the same account, has sent some already."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from assay.digest import LocalFile, scan
from assay.errors import DigestMismatch
from assay.http import Connection
from assay.transfer import store, upload
from assay.transfer.hashing import HashedFile
from client.tests.stand_in import KIB, Answer, Asked, StandIn
from client.tests.transfer.tally import Tally


@pytest.fixture
def contents() -> dict[str, bytes]:
    return {
        path: os.urandom(size) for path, size in {"big": 300 * KIB + 7, "edge": 128 * KIB, "tiny": 1}.items()
    }


@pytest.fixture
def unhashed(
    contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[LocalFile | HashedFile]:
    """Files of which `big` and `edge` are large enough to be hashed while they are sent."""
    monkeypatch.setattr(store, "BACKOFF", 0.01)
    monkeypatch.setattr(upload, "HASHED_FIRST", 100 * KIB)
    (tmp_path / "model").mkdir()
    for path, content in contents.items():
        (tmp_path / "model" / path).write_bytes(content)
    return list(scan(tmp_path / "model"))


def received(stand_in: StandIn, path: str, sha256: str) -> None:
    """Let the stand-in have the file of that path, announced without a digest, from an attempt before."""
    announce = stand_in.announce

    def with_received(asked: Asked) -> Answer:
        answer = announce(asked)
        for file in stand_in.files:
            if file["path"] == path and not file["sha256"]:
                file |= {"status": "received", "sha256": sha256}
        return stand_in.shown(answer)

    stand_in.announce = with_received


def test_a_large_file_that_arrived_before_is_hashed_and_not_sent(
    stand_in: StandIn,
    connection: Connection,
    unhashed: list[LocalFile | HashedFile],
    contents: dict[str, bytes],
) -> None:
    received(stand_in, "big", hashlib.sha256(contents["big"]).hexdigest())
    upload.send(connection, "fraud", unhashed, Tally())
    assert "big" not in stand_in.arrived()
    assert stand_in.count("POST", "/uploads$") == 1


def test_another_file_of_the_same_size_is_not_taken_for_this_one(
    stand_in: StandIn,
    connection: Connection,
    unhashed: list[LocalFile | HashedFile],
    contents: dict[str, bytes],
) -> None:
    """The model was trained again after a push that sent its weights and did not come to register them."""
    received(stand_in, "big", hashlib.sha256(os.urandom(9)).hexdigest())
    answer = upload.send(connection, "fraud", unhashed, Tally())
    assert stand_in.arrived() == contents
    assert {file["path"]: file["sha256"] for file in answer["files"] if file["path"] != "edge"} == {
        path: hashlib.sha256(content).hexdigest() for path, content in contents.items() if path != "edge"
    }
    assert stand_in.count("POST", "/abort") == 0


def test_what_somebody_else_sent_meanwhile_is_not_taken_for_what_is_streamed(
    stand_in: StandIn, connection: Connection, unhashed: list[LocalFile | HashedFile], nobody: str
) -> None:
    stand_in.store = nobody

    def overtake(asked: Asked) -> None:
        if asked.method == "GET":
            big = next(file for file in stand_in.files if file["path"] == "big")
            big |= {"status": "received", "sha256": "ab" * 32}

    stand_in.faults.append(overtake)
    with pytest.raises(DigestMismatch, match="'big' did not arrive"):
        upload.send(connection, "fraud", unhashed, Tally())


def test_parts_that_another_session_has_joined_are_asked_about_again(
    stand_in: StandIn,
    connection: Connection,
    unhashed: list[LocalFile | HashedFile],
    contents: dict[str, bytes],
) -> None:
    stand_in.fail("PUT", "/store/", Answer.s3_error(404, "NoSuchUpload"))
    upload.send(connection, "fraud", unhashed, Tally())
    assert stand_in.arrived() == contents
    stand_in.fail("PUT", "/store/", Answer.s3_error(404, "NoSuchUpload"), times=99)
    with pytest.raises(store.StoreRefused, match="NoSuchUpload"):
        upload.send(connection, "fraud", unhashed, Tally())
