"""Whole and part digests from one reading."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from assay.digest import LocalFile, scan
from assay.errors import FileChanged
from assay.transfer import hashing
from assay.transfer.hashing import HashedFile, Segment, cut, digest, hash_file, hash_files, part_digests, read
from assay.transfer.progress import Silence
from client.tests.transfer.tally import Tally

KIB = 1024


def hashed(path: Path, content: bytes, part_size: int) -> HashedFile:
    path.write_bytes(content)
    return hash_file(LocalFile(path.name, path, len(content)), Silence(), part_size)


def digests(content: bytes, part_size: int) -> tuple[str, ...]:
    return tuple(
        hashlib.sha256(content[start : start + part_size]).hexdigest()
        for start in range(0, len(content), part_size)
    )


@pytest.mark.parametrize("size", [0, 1, 8 * KIB - 1, 8 * KIB, 8 * KIB + 1, 24 * KIB, 25 * KIB])
@pytest.mark.parametrize("block", [KIB, 3 * KIB, 64 * KIB])
def test_whole_and_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, block: int) -> None:
    monkeypatch.setattr(hashing, "BLOCK", block)
    content = os.urandom(size)
    file = hashed(tmp_path / "a", content, 8 * KIB)
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert file.parts == digests(content, 8 * KIB)
    assert part_digests(file, 5 * KIB) == digests(content, 5 * KIB)
    assert part_digests(file, 64 * KIB) == digests(content, 64 * KIB)


def test_many_files_keep_their_order_and_are_counted(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"{number:02}").write_bytes(bytes([number]) * number)
    tally = Tally()
    files = hash_files(scan(tmp_path), tally)
    assert [file.path for file in files] == [f"{number:02}" for number in range(50)]
    assert [file.sha256 for file in files] == [
        hashlib.sha256(bytes([number]) * number).hexdigest() for number in range(50)
    ]
    assert tally.done["hash"] == tally.total["hash"] == sum(range(50))


def test_a_range_is_read_as_it_was_hashed(tmp_path: Path) -> None:
    content = os.urandom(20 * KIB)
    file = hashed(tmp_path / "a", content, 8 * KIB)
    assert b"".join(read([Segment(file, 3 * KIB, 9 * KIB)])) == content[3 * KIB : 12 * KIB]


def test_a_file_that_changed_since_is_not_read(tmp_path: Path) -> None:
    file = hashed(tmp_path / "a", b"12345", 8 * KIB)
    (tmp_path / "a").write_bytes(b"123456")
    with pytest.raises(FileChanged, match="'a' changed"):
        list(read([Segment(file, 0, 5)]))
    file = hashed(tmp_path / "a", b"12345", 8 * KIB)
    os.utime(tmp_path / "a", ns=(1, 1))
    with pytest.raises(FileChanged):
        list(read([Segment(file, 0, 5)]))


@pytest.mark.parametrize("part_size", [1, 7, 8 * KIB, 13 * KIB, 10**9])
def test_what_lies_one_after_another_is_cut_into_parts(tmp_path: Path, part_size: int) -> None:
    contents = [os.urandom(size) for size in (5, 8 * KIB, 1, 9 * KIB)] if part_size > 1 else [b"ab", b"c"]
    files = [hashed(tmp_path / str(n), content, 8 * KIB) for n, content in enumerate(contents)]
    parts = list(cut([Segment(file, 0, file.size) for file in files], part_size))
    assert tuple(digest(part) for part in parts) == digests(b"".join(contents), part_size)
    assert all(segment.length for part in parts for segment in part)
