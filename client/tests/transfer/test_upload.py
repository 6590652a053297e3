"""Sending files, with a store and a line that fail."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.digest import LocalFile, scan
from assay.errors import DigestMismatch, FileChanged, NotFound
from assay.http import Connection
from assay.transfer import lines, store, upload
from assay.transfer.hashing import HashedFile, hash_files
from client.tests.stand_in import KIB, Answer, Asked, StandIn
from client.tests.transfer.tally import Tally


@pytest.fixture
def contents() -> dict[str, bytes]:
    sizes = {"big": 300 * KIB + 7, "edge": 128 * KIB, "sub/small": 11, "sub/tiny": 1, "empty": 0}
    return {path: os.urandom(size) for path, size in sizes.items()}


@pytest.fixture
def files(tmp_path: Path, contents: dict[str, bytes]) -> list[HashedFile]:
    for path, content in contents.items():
        target = tmp_path / "model" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return hash_files(scan(tmp_path / "model"), Tally(), 64 * KIB)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BACKOFF", 0.01)


def sent(contents: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in contents.items() if content}


def send(connection: Connection, files: list[HashedFile]) -> Tally:
    tally = Tally()
    answer = upload.send(connection, "fraud", files, tally)
    assert {file["status"] for file in answer["files"]} <= {"present", "received"}
    assert tally.done["upload"] == tally.total["upload"]
    assert tally.most["upload"] <= max(tally.total["upload"], sum(file.size for file in files))
    return tally


def test_it_works(
    stand_in: StandIn, connection: Connection, files: list[HashedFile], contents: dict[str, bytes]
) -> None:
    send(connection, files)
    assert stand_in.arrived() == sent(contents)
    assert stand_in.count("PUT", "/store/") == 5 + 2 + 1 + 1
    assert stand_in.count("POST", "/parts") == 2  # for four parts, then for the other five
    assert stand_in.count("POST", "/complete") == 1
    assert all("authorization" not in asked.headers for asked in stand_in.asked if "/store/" in asked.path)


def test_what_the_namespace_holds_is_not_sent(
    stand_in: StandIn, connection: Connection, files: list[HashedFile], contents: dict[str, bytes]
) -> None:
    stand_in.held = {hashlib.sha256(contents["big"]).hexdigest()}
    assert send(connection, files).total["upload"] == sum(map(len, contents.values())) - len(contents["big"])
    assert "big" not in stand_in.arrived()


def test_parts_of_another_size_than_hashed_with(
    stand_in: StandIn, connection: Connection, files: list[HashedFile], contents: dict[str, bytes]
) -> None:
    stand_in.part_size = 50 * KIB
    send(connection, files)
    assert stand_in.arrived() == sent(contents)


def test_parts_received_before_are_not_sent_again(
    stand_in: StandIn, connection: Connection, files: list[HashedFile], contents: dict[str, bytes]
) -> None:
    index = [file.path for file in files].index("big")
    edge = [file.path for file in files].index("edge")
    stand_in.received_before = {index: [1, 3], edge: [1, 2]}
    for number in (1, 3):
        stand_in.parts[index, number] = contents["big"][(number - 1) * 64 * KIB : number * 64 * KIB]
    for number in (1, 2):
        stand_in.parts[edge, number] = contents["edge"][(number - 1) * 64 * KIB : number * 64 * KIB]
    send(connection, files)
    assert stand_in.arrived() == sent(contents)
    assert stand_in.count("PUT", f"/store/{index}/") == 3
    assert stand_in.count("PUT", f"/store/{edge}/") == 0


def test_many_small_files_share_their_calls(
    stand_in: StandIn, connection: Connection, tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(450):
        (folder / f"{number:03}").write_bytes(str(number).encode())
    send(connection, hash_files(scan(folder), Tally()))
    assert len(stand_in.arrived()) == 450
    assert stand_in.count("POST", "/parts") == 7
    assert stand_in.count("POST", "/complete") <= 6


@pytest.mark.parametrize(
    "fault",
    [
        Answer.s3_error(503, "SlowDown"),
        Answer.s3_error(500, "InternalError"),
        Answer.s3_error(400, "BadDigest"),
        Answer(reset=True),
        Answer(200, b"x" * 10, cut=5),
    ],
)
def test_what_may_pass_is_sent_again(
    stand_in: StandIn,
    connection: Connection,
    files: list[HashedFile],
    contents: dict[str, bytes],
    fault: Answer,
) -> None:
    stand_in.fail("PUT", "/store/", fault, times=3)
    send(connection, files)
    assert stand_in.arrived() == sent(contents)


def test_an_expired_address_is_asked_for_anew(
    stand_in: StandIn, connection: Connection, files: list[HashedFile], contents: dict[str, bytes]
) -> None:
    """Addresses of the first batch have all expired, as after a laptop slept."""
    first: set[str] = set()

    def expired(asked: Asked) -> Answer | None:
        if "/store/" not in asked.path:
            return None
        first.add(asked.query["asked"][0]) if not first else None
        return Answer.s3_error(403, "AccessDenied") if asked.query["asked"][0] in first else None

    stand_in.faults.append(expired)
    send(connection, files)
    assert stand_in.arrived() == sent(contents)
    assert stand_in.count("POST", "/parts") == 2 + 4


def test_addresses_that_are_always_refused_are_an_error(
    stand_in: StandIn, connection: Connection, files: list[HashedFile]
) -> None:
    stand_in.fail("PUT", "/store/", Answer.s3_error(403, "SignatureDoesNotMatch"), times=999)
    with pytest.raises(store.StoreRefused, match="SignatureDoesNotMatch"):
        send(connection, files)


def test_a_store_out_of_reach_is_gone_round(
    stand_in: StandIn,
    connection: Connection,
    files: list[HashedFile],
    contents: dict[str, bytes],
    nobody: str,
) -> None:
    stand_in.store = nobody
    send(connection, files)
    assert stand_in.arrived() == sent(contents)
    puts = [asked for asked in stand_in.asked if asked.method == "PUT"]
    assert len(puts) == 4
    assert all("idempotency-key" not in asked.headers for asked in puts)


def test_a_store_that_breaks_down_is_gone_round(
    stand_in: StandIn, connection: Connection, files: list[HashedFile], contents: dict[str, bytes]
) -> None:
    stand_in.fail("PUT", "/store/0/3", Answer.s3_error(500, "InternalError"), times=999)
    stand_in.fail("PUT", "/content", Answer(502), times=1)
    assert files[0].path == "big"
    send(connection, files)
    assert stand_in.arrived() == sent(contents)


def test_a_file_that_changes_meanwhile_stops_it(
    stand_in: StandIn, connection: Connection, files: list[HashedFile], tmp_path: Path
) -> None:
    (tmp_path / "model" / "edge").write_bytes(b"other")
    with pytest.raises(FileChanged, match="'edge' changed"):
        send(connection, files)
    assert "edge" not in stand_in.arrived()


def test_a_refusal_of_the_server_stops_it(
    stand_in: StandIn, connection: Connection, files: list[HashedFile]
) -> None:
    stand_in.fail("POST", "/parts", Answer.problem(404, "not-found", "The upload has expired."))
    with pytest.raises(NotFound, match="expired"):
        send(connection, files)


def test_an_interrupt_does_not_wait_for_whole_parts(
    stand_in: StandIn, connection: Connection, files: list[HashedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every part would take an hour; one fails at once."""
    slow = threading.Event()

    def trickle(sending: lines.Sending) -> Iterator[int]:
        for segment in sending._body:
            if segment.file.path == "edge":
                raise FileChanged("'edge' changed.")
            for _ in range(segment.length):
                slow.wait(0.05)
                yield 1

    monkeypatch.setattr(lines.Sending, "send", trickle)
    began = time.monotonic()
    with pytest.raises(FileChanged):
        send(connection, files)
    assert time.monotonic() - began < 5


def packed(stand_in: StandIn) -> None:
    """Let the stand-in put all but `big` into one pack, as the server does with small files."""
    announce = stand_in.announce

    def with_pack(asked: Asked) -> Answer:
        answer = announce(asked)
        offset = 0
        for file in stand_in.files:
            if file["size"] and file["path"] != "big":
                file |= {"pack": len(stand_in.files), "offset": offset}
                offset += file["size"]
        stand_in.pack = {"index": len(stand_in.files), "size": offset, "status": "wanted", "parts": []}
        return stand_in.shown(answer)

    stand_in.announce = with_pack


def test_small_files_travel_in_a_pack(
    stand_in: StandIn, connection: Connection, files: list[HashedFile], contents: dict[str, bytes]
) -> None:
    packed(stand_in)
    send(connection, files)
    inside = [file for file in stand_in.files if "pack" in file]
    whole = b"".join(contents[file["path"]] for file in inside)
    assert stand_in.whole(len(files)) == whole
    assert stand_in.count("PUT", "/store/") == 5 + -(-len(whole) // (64 * KIB))


def test_a_pack_goes_through_the_server_too(
    stand_in: StandIn,
    connection: Connection,
    files: list[HashedFile],
    contents: dict[str, bytes],
    nobody: str,
) -> None:
    packed(stand_in)
    stand_in.store = nobody
    send(connection, files)
    inside = [file for file in stand_in.files if "pack" in file]
    assert stand_in.pack is not None
    assert stand_in.pack["content"] == b"".join(contents[file["path"]] for file in inside)


def test_an_upload_that_was_overtaken_is_begun_again(
    stand_in: StandIn, connection: Connection, files: list[HashedFile]
) -> None:
    stand_in.fail("POST", "/parts", Answer.problem(409, "upload-closed", "It is completed."), times=1)
    assert upload.send(connection, "fraud", files, Tally())["id"] == "u1"
    assert stand_in.count("POST", "/uploads$") == 2


def test_every_announcement_asks_to_go_on(
    stand_in: StandIn, connection: Connection, files: list[HashedFile]
) -> None:
    send(connection, files)
    (announced,) = [asked for asked in stand_in.asked if asked.path.endswith("/uploads")]
    assert announced.json["resume"] is True
    assert announced.json["packed"] is True


@pytest.fixture
def unhashed(
    files: list[HashedFile], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[LocalFile | HashedFile]:
    """The files as they lie there, `big` and `edge` large enough to be hashed while they are sent."""
    monkeypatch.setattr(upload, "HASHED_FIRST", 100 * KIB)
    return list(scan(tmp_path / "model"))


def test_a_large_file_is_hashed_while_it_is_sent(
    stand_in: StandIn,
    connection: Connection,
    unhashed: list[LocalFile | HashedFile],
    contents: dict[str, bytes],
) -> None:
    tally = Tally()
    answer = upload.send(connection, "fraud", unhashed, tally)
    assert stand_in.arrived() == sent(contents)
    announced = next(asked for asked in stand_in.asked if asked.path.endswith("/uploads"))
    assert {f["path"] for f in announced.json["files"] if "sha256" not in f} == {"big", "edge"}
    assert {f["path"]: f["sha256"] for f in stand_in.files} == {
        path: hashlib.sha256(content).hexdigest() for path, content in contents.items()
    }
    assert tally.done["upload"] == tally.total["upload"]
    assert {file["status"] for file in answer["files"]} <= {"present", "received"}


def test_a_large_file_that_may_be_there_is_hashed_first(
    stand_in: StandIn,
    connection: Connection,
    unhashed: list[LocalFile | HashedFile],
    contents: dict[str, bytes],
) -> None:
    stand_in.held_sizes = {len(contents["big"])}
    stand_in.held = {hashlib.sha256(contents["big"]).hexdigest()}
    upload.send(connection, "fraud", unhashed, Tally())
    assert set(stand_in.arrived()) == {"edge", "sub/small", "sub/tiny"}
    assert stand_in.count("POST", "/uploads$") == 2
    assert stand_in.count("POST", "/abort") == 1
    assert stand_in.count("PUT", "/store/") == 2 + 1 + 1


def test_parts_of_a_large_file_that_arrived_are_compared(
    stand_in: StandIn,
    connection: Connection,
    unhashed: list[LocalFile | HashedFile],
    contents: dict[str, bytes],
) -> None:
    index = [file.path for file in unhashed].index("big")
    stand_in.received_before = {index: [1, 2, 3]}
    for number in (1, 2, 3):
        stand_in.parts[index, number] = contents["big"][(number - 1) * 64 * KIB : number * 64 * KIB]
    stand_in.parts[index, 2] = os.urandom(64 * KIB)  # of the file as it was before
    tally = Tally()
    upload.send(connection, "fraud", unhashed, tally)
    assert stand_in.arrived() == sent(contents)
    assert stand_in.count("PUT", f"/store/{index}/") == 3
    assert tally.done["upload"] == tally.total["upload"]


def test_a_large_file_goes_through_the_server_too(
    stand_in: StandIn,
    connection: Connection,
    unhashed: list[LocalFile | HashedFile],
    contents: dict[str, bytes],
    nobody: str,
) -> None:
    stand_in.store = nobody
    upload.send(connection, "fraud", unhashed, Tally())
    assert stand_in.arrived() == sent(contents)


def test_a_large_file_that_the_server_got_otherwise_is_told(
    stand_in: StandIn, connection: Connection, unhashed: list[LocalFile | HashedFile], nobody: str
) -> None:
    stand_in.store = nobody
    wrong = {"files": [{"index": index, "sha256": "0" * 64} for index in range(len(unhashed))]}
    stand_in.fail("PUT", "/content", Answer.of(wrong))
    with pytest.raises(DigestMismatch, match="did not arrive as it was sent"):
        upload.send(connection, "fraud", unhashed, Tally())


def test_a_large_file_that_changes_while_it_is_sent_stops_it(
    stand_in: StandIn,
    connection: Connection,
    unhashed: list[LocalFile | HashedFile],
    tmp_path: Path,
) -> None:
    def change(asked: Asked) -> Answer | None:
        if asked.path.endswith("/parts"):
            (tmp_path / "model" / "big").write_bytes(b"other")
        return None

    stand_in.faults.append(change)
    with pytest.raises(FileChanged, match="'big' changed"):
        upload.send(connection, "fraud", unhashed, Tally())
    assert "big" not in stand_in.arrived()
