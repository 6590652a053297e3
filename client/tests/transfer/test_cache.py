"""The same bytes are not fetched twice, and never served wrong."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from assay.errors import Conflict, SettingsError
from assay.http import Connection
from assay.transfer import download, target
from assay.transfer.cache import GIB, Cache
from client.tests.stand_in import KIB, VERSION, Answer, StandIn
from client.tests.transfer.tally import Tally


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture(autouse=True)
def contents(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    monkeypatch.setattr(target, "RANGE", 64 * KIB)
    monkeypatch.setattr(download, "RANGE", 64 * KIB)
    stand_in.contents = {"big": os.urandom(200 * KIB), "small": b"small", "sub/small": b"small"}
    return stand_in.contents


def receive(stand_in: StandIn, connection: Connection, folder: Path, cache: Cache) -> int:
    """How many requests for bytes it took."""
    before, tally = stand_in.count("GET", "/blob/"), Tally()
    download.receive(connection, f"{VERSION}/artifacts", stand_in.entries(), folder, tally, cache=cache)
    assert tally.done["download"] == tally.total["download"]
    for path, content in stand_in.contents.items():
        assert (folder / path).read_bytes() == content
    return stand_in.count("GET", "/blob/") - before


def test_it_works(stand_in: StandIn, connection: Connection, tmp_path: Path, cache: Cache) -> None:
    assert receive(stand_in, connection, tmp_path / "one", cache) >= 5
    assert receive(stand_in, connection, tmp_path / "two", cache) == 0
    assert receive(stand_in, connection, tmp_path / "three", Cache(None)) == 6


def test_what_the_server_refuses_is_not_taken_from_the_cache(
    stand_in: StandIn, connection: Connection, tmp_path: Path, cache: Cache
) -> None:
    receive(stand_in, connection, tmp_path / "one", cache)
    refusal = Answer.problem(409, "version-quarantined", "It is quarantined.")
    stand_in.fail("GET", "/artifacts$", refusal, times=1)
    with pytest.raises(Conflict, match="quarantined"):
        receive(stand_in, connection, tmp_path / "two", cache)
    assert not list((tmp_path / "two").glob("*"))
    cold = Answer.problem(409, "version-in-cold-storage", "It is in cold storage.")
    stand_in.fail("GET", "/artifacts$", cold, times=1)
    assert receive(stand_in, connection, tmp_path / "three", cache) == 0


def test_keeping_costs_no_room(
    stand_in: StandIn, connection: Connection, tmp_path: Path, cache: Cache
) -> None:
    receive(stand_in, connection, tmp_path / "one", cache)
    assert (tmp_path / "one" / "big").stat().st_nlink == 2
    receive(stand_in, connection, tmp_path / "two", cache)
    assert (tmp_path / "two" / "big").stat().st_nlink == 1


def test_a_pulled_file_that_is_edited_harms_nobody(
    stand_in: StandIn, connection: Connection, tmp_path: Path, cache: Cache
) -> None:
    receive(stand_in, connection, tmp_path / "one", cache)
    receive(stand_in, connection, tmp_path / "two", cache)
    with (tmp_path / "one" / "big").open("r+b") as file:
        file.write(b"edited")
    assert (tmp_path / "two" / "big").read_bytes() == stand_in.contents["big"]
    assert receive(stand_in, connection, tmp_path / "three", cache) == 4  # the entry is not what it says
    assert receive(stand_in, connection, tmp_path / "four", cache) == 0
    assert (tmp_path / "one" / "big").read_bytes().startswith(b"edited")


def test_another_file_system_gets_a_copy(
    stand_in: StandIn,
    connection: Connection,
    tmp_path: Path,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def elsewhere(source: Path, link: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", elsewhere)
    receive(stand_in, connection, tmp_path / "one", cache)
    assert (tmp_path / "one" / "big").stat().st_nlink == 1
    assert receive(stand_in, connection, tmp_path / "two", cache) == 0


def test_the_longest_unused_go(
    stand_in: StandIn, connection: Connection, tmp_path: Path, contents: dict[str, bytes]
) -> None:
    cache = Cache(tmp_path / "cache", limit=450 * KIB)
    first = dict(contents)
    receive(stand_in, connection, tmp_path / "one", cache)
    for mark in (tmp_path / "cache" / "used").glob("??/*"):
        os.utime(mark, (1, 1))
    contents["big"] = os.urandom(200 * KIB)
    receive(stand_in, connection, tmp_path / "two", cache)
    contents["big"] = os.urandom(200 * KIB)
    receive(stand_in, connection, tmp_path / "three", cache)
    assert sum(size for _, size in cache.entries()) <= 450 * KIB
    assert receive(stand_in, connection, tmp_path / "four", cache) == 0
    contents["big"] = first["big"]
    assert receive(stand_in, connection, tmp_path / "five", cache) == 4


def test_a_folder_that_cannot_be_written_is_done_without(
    stand_in: StandIn, connection: Connection, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    for _ in range(2):
        receive(stand_in, connection, tmp_path / str(_), Cache(tmp_path / "file" / "cache"))


def test_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ASSAY_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Cache.from_environment() == Cache(tmp_path / "assay", 50 * GIB)
    monkeypatch.setenv("ASSAY_CACHE_GIB", "0.5")
    assert Cache.from_environment().limit == GIB // 2
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "mine"))
    assert Cache.from_environment().folder == tmp_path / "mine"
    monkeypatch.setenv("ASSAY_CACHE", "off")
    assert Cache.from_environment().folder is None
    monkeypatch.setenv("ASSAY_CACHE", "")
    monkeypatch.setenv("ASSAY_CACHE_GIB", "plenty")
    with pytest.raises(SettingsError, match="ASSAY_CACHE_GIB"):
        Cache.from_environment()
