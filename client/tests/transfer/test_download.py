"""Receiving files, with a store and a line that fail."""

from __future__ import annotations

import fcntl
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from assay.errors import Conflict, DigestMismatch, FileInTheWay, PathRefused
from assay.http import Connection
from assay.transfer import download, store, target
from assay.transfer.cache import Cache
from client.tests.stand_in import KIB, VERSION, Answer, Asked, StandIn
from client.tests.transfer.tally import Tally


@pytest.fixture(autouse=True)
def contents(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    monkeypatch.setattr(store, "BACKOFF", 0.01)
    monkeypatch.setattr(target, "RANGE", 64 * KIB)
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
    assert not [name for name in found if f".{Path(path).name}." in name]  # nor is it gone on with


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


def interrupted(stand_in: StandIn, connection: Connection, folder: Path, arrived: int) -> None:
    """A pull that ends after so many ranges of `big` have arrived."""

    def refused(asked: Asked) -> Answer | None:
        if "/blob/big" in asked.path and asked.headers["range"].startswith(f"bytes={arrived * 64 * KIB}-"):
            return Answer.s3_error(400, "InvalidRequest")
        return None

    stand_in.faults.append(refused)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "WORKERS", 1)
        with pytest.raises(store.StoreRefused):
            receive(stand_in, connection, folder)
    stand_in.faults.remove(refused)


@pytest.mark.parametrize("arrived", [0, 2, 4])
def test_an_interrupted_download_goes_on(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes], arrived: int
) -> None:
    interrupted(stand_in, connection, tmp_path / "out", arrived)
    records = [path.read_text().splitlines() for path in (tmp_path / "out").glob(".big.*.ranges")]
    kept = len(records[0]) - 1 if records else 0
    assert kept >= arrived  # another may have come while the first failed
    before = stand_in.count("GET", "/blob/big")
    receive(stand_in, connection, tmp_path / "out")
    assert on_disk(tmp_path / "out") == contents
    assert stand_in.count("GET", "/blob/big") - before == 5 - kept


def test_what_was_kept_and_is_not_right_is_fetched_again(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes]
) -> None:
    """As after a loss of power: the record says that bytes have arrived which are not there."""
    interrupted(stand_in, connection, tmp_path / "out", 4)
    (kept,) = (tmp_path / "out").glob(".big.*.part")
    with kept.open("r+b") as file:
        file.write(bytes(64 * KIB))
    receive(stand_in, connection, tmp_path / "out")
    assert on_disk(tmp_path / "out") == contents


@pytest.mark.parametrize("record", ["", "nonsense", "0 0\n0\n65536\n", "\udcff"])
def test_a_record_that_tells_nothing_is_not_believed(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes], record: str
) -> None:
    interrupted(stand_in, connection, tmp_path / "out", 4)
    (kept,) = (tmp_path / "out").glob(".big.*.ranges")
    kept.write_bytes(record.encode(errors="surrogateescape"))
    receive(stand_in, connection, tmp_path / "out")
    assert on_disk(tmp_path / "out") == contents


def test_two_pulls_into_one_folder_do_not_meet(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(receive, stand_in, connection, tmp_path / "out", overwrite=True) for _ in range(4)
        ]
        for job in jobs:
            job.result()
    assert on_disk(tmp_path / "out") == contents


def test_small_files_share_the_calls_for_their_addresses(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes]
) -> None:
    contents.clear()
    contents.update({f"shard/{n:03}": bytes([n]) for n in range(250)})
    receive(stand_in, connection, tmp_path / "out")
    assert on_disk(tmp_path / "out") == contents
    assert stand_in.count("GET", "/artifacts") == 2


@pytest.mark.parametrize("sha256", ["../../evil", "", "A" * 64, "0" * 63])
def test_a_manifest_with_nonsense_for_a_digest_writes_nothing(
    stand_in: StandIn, connection: Connection, tmp_path: Path, sha256: str
) -> None:
    stand_in.listed = [{"path": "big", "size": 1, "sha256": sha256}]
    with pytest.raises(DigestMismatch):
        receive(stand_in, connection, tmp_path / "out")
    assert on_disk(tmp_path) == {}


def test_what_is_far_behind_what_the_cache_has_gets_its_address(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes]
) -> None:
    """As when the next version of many shards has one more file."""
    contents.clear()
    contents.update({f"shard/{n:03}": str(n).encode() for n in range(250)})
    cache = Cache(tmp_path / "cache")
    for folder in ("first", "second"):
        download.receive(
            connection, f"{VERSION}/artifacts", stand_in.entries(), tmp_path / folder, Tally(), cache=cache
        )
        assert on_disk(tmp_path / folder) == contents
        contents |= {"tokenizer": b"new", "vocabulary": b"newer"}
    del contents["tokenizer"], contents["vocabulary"]


def test_a_name_may_be_as_long_as_names_are(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes]
) -> None:
    contents |= {"\u6f22" * 85: b"1", "a" * 255: b"2"}
    receive(stand_in, connection, tmp_path / "out")
    assert on_disk(tmp_path / "out") == contents


@pytest.mark.parametrize("path", ["small", "big"])
def test_a_file_that_is_called_as_a_temporary_one_is_not_taken_for_it(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes], path: str
) -> None:
    contents.clear()
    contents[path] = os.urandom(300 * KIB if path == "big" else 10)
    digest = hashlib.sha256(contents[path]).hexdigest()[:12]
    hidden = {f".{path}.{digest}.part": b"other", f".{path}.{digest}_.RANGES": b"bytes"}
    for name, content in hidden.items():
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_bytes(content)
    contents |= hidden
    receive(stand_in, connection, tmp_path / "out")
    assert on_disk(tmp_path / "out") == contents


def test_a_second_pull_that_ends_early_leaves_nothing(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes]
) -> None:
    """Nobody would find again what it received under a name of its own."""
    interrupted(stand_in, connection, tmp_path / "out", 2)
    (kept,) = (tmp_path / "out").glob(".big.*.part")
    before = on_disk(tmp_path / "out")
    with kept.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        interrupted(stand_in, connection, tmp_path / "out", 3)
    assert {name for name in on_disk(tmp_path / "out") if name.startswith(".big.")} == {
        name for name in before if name.startswith(".big.")
    }
