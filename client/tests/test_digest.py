"""The manifest digest and the rules for paths."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.digest import ManifestEntry, check_collisions, check_path, manifest_digest, scan, sha256_file
from assay.errors import PathRefused

NFC = unicodedata.normalize("NFC", "café")
NFD = unicodedata.normalize("NFD", "café")


def entry(path: str, content: bytes = b"") -> ManifestEntry:
    return {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_the_digest_is_sha256_of_the_canonical_json() -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    text = (
        '{"files":[{"path":"B","sha256":"'
        + empty
        + '","size":0},{"path":"a","sha256":"'
        + empty
        + '","size":0},'
        '{"path":"caf\u00e9","sha256":"' + empty + '","size":0}],"v":1}'
    )
    wanted = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    assert manifest_digest([entry("a"), entry(NFD), entry("B")]) == wanted


def test_the_digest_binds_names_and_contents_not_order() -> None:
    one, two = entry("a", b"1"), entry("b", b"2")
    assert manifest_digest([one, two]) == manifest_digest([two, one])
    assert manifest_digest([one, two]) != manifest_digest([entry("a", b"2"), entry("b", b"1")])
    assert manifest_digest([one]) != manifest_digest([entry("c", b"1")])


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "./a",
        "a/./b",
        "..",
        "a/../b",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\u202eb",
        "\udce9",
        "x" * 1025,
    ],
)
def test_paths_that_mean_something_else_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(PathRefused):
        check_path(path)


@given(st.text(min_size=1, max_size=40))
def test_a_path_that_is_accepted_stays_below_its_folder_and_is_stable(path: str) -> None:
    try:
        normal = check_path(path)
    except PathRefused:
        return
    assert check_path(normal) == normal
    joined = os.path.normpath(os.path.join("/folder", normal))  # noqa: PTH118 - what a file system does
    assert joined == f"/folder/{normal}"


@pytest.mark.parametrize(
    "paths", [("Model.pkl", "model.PKL"), ("stra\u00dfe", "STRASSE"), (NFC, NFD), ("a", "A/b")]
)
def test_paths_that_are_one_file_elsewhere_are_refused(paths: tuple[str, str]) -> None:
    with pytest.raises(PathRefused):
        check_collisions(paths)


def test_scan_names_files_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.bin").write_bytes(b"12")
    (tmp_path / "a.txt").write_bytes(b"1")
    assert [(file.path, file.size) for file in scan(tmp_path)] == [("a.txt", 1), ("sub/b.bin", 2)]
    assert [file.path for file in scan(tmp_path / "sub" / "b.bin")] == ["b.bin"]


def test_scan_refuses_what_a_manifest_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(PathRefused, match="cannot be read"):
        scan(tmp_path / "absent")
    with pytest.raises(PathRefused, match="holds no files"):
        scan(tmp_path)
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(PathRefused, match="'link' is a symlink"):
        scan(tmp_path)
    (tmp_path / "link").unlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PathRefused, match="'pipe' is neither"):
        scan(tmp_path)


def test_scan_refuses_two_names_that_are_one(tmp_path: Path) -> None:
    (tmp_path / NFC).write_bytes(b"")
    (tmp_path / NFD).write_bytes(b"")
    with pytest.raises(PathRefused, match="one name"):
        scan(tmp_path)


def test_sha256_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
