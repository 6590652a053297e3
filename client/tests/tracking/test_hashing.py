"""Digests of files, remembered between runs."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from assay.tracking import hashing
from assay.tracking.hashing import DigestCache, Known, Stamp, hash_file

OLD = time.time_ns() - 3600 * 10**9


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the files of a test had been there for an hour."""
    monkeypatch.setattr(hashing, "_SETTLED_NS", 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.csv"
    path.write_bytes(b"abc")
    return path


def stamped(path: Path) -> Stamp:
    found = hashing.stamp(str(path))
    assert found is not None
    return found


def test_the_whole_file(file: Path, tmp_path: Path) -> None:
    found = hash_file(str(file), DigestCache(tmp_path / "cache.sqlite"))
    assert found.digest == "sha256:" + hashlib.sha256(b"abc").hexdigest()
    assert found.stamp == stamped(file)


@pytest.mark.usefixtures("settled")
def test_a_known_file_is_not_read_again(file: Path, tmp_path: Path) -> None:
    cache = DigestCache(tmp_path / "cache.sqlite")
    cache.put(stamped(file), Known("remembered"))
    assert hash_file(str(file), cache).digest == "sha256:remembered"


@pytest.mark.usefixtures("settled")
def test_the_same_size_and_time_put_back_is_read_again(file: Path, tmp_path: Path) -> None:
    cache = DigestCache(tmp_path / "cache.sqlite")
    os.utime(file, ns=(OLD, OLD))
    hash_file(str(file), cache)
    before = stamped(file)
    time.sleep(0.02)  # the clock of the file system ticks
    with file.open("r+b") as opened:
        opened.write(b"abd")
    os.utime(file, ns=(OLD, OLD))
    after = stamped(file)
    assert (before.inode, before.size, before.modified) == (after.inode, after.size, after.modified)
    assert hash_file(str(file), cache).digest == "sha256:" + hashlib.sha256(b"abd").hexdigest()


def test_a_file_just_written_is_not_remembered(file: Path, tmp_path: Path) -> None:
    cache = DigestCache(tmp_path / "cache.sqlite")
    hash_file(str(file), cache)
    assert cache.get(stamped(file)) is None


def test_a_broken_cache_is_as_good_as_none(file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "cache.sqlite"
    broken.write_bytes(b"not a database" * 100)
    assert hash_file(str(file), DigestCache(broken)).digest.startswith("sha256:")
    (tmp_path / "file").write_text("")
    assert hash_file(str(file), DigestCache(tmp_path / "file" / "cache")).digest.startswith("sha256:")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        hash_file(str(tmp_path), DigestCache(tmp_path / "cache.sqlite"))
    assert hashing.stamp(str(tmp_path / "absent")) is None
