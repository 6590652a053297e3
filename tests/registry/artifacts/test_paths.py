"""What a file in a manifest may be called."""

from __future__ import annotations

import pytest

from registry.artifacts.paths import PathRefused, check_collisions, check_path

HOSTILE = [
    "",
    "/",
    "/etc/passwd",
    "//server/share",
    ".",
    "..",
    "../x",
    "a/../b",
    "a/..",
    "a/./b",
    "a//b",
    "a/",
    "./a",
    "a\\b",
    "..\\x",
    "C:/x",
    "c:x",
    "\\\\server\\share",
    "a\x00b",
    "a\nb",
    "a\tb",
    "a\x1bb",
    "a\x7fb",
    "a\x85b",
    "a\u200bb",
    "a\u202eb",
    "\ufeffa",
    "a\u2028b",
    "a\ud800b",
    "%2e%2e/x",
    "a/%2E%2e/b",
    "%2fetc",
    "a%5cb",
    "a%00b",
    "a%252e",
    "\uff0e\uff0e/x",
    "a\uff0fb",
    "a\uff3cb",
    "\u2024\u2024/x",
    "a /b",
    " a",
    "a.",
    "a./b",
    "x" * 256,
    "/".join(["x" * 200] * 6),
    "a\ue000b",
]


@pytest.mark.parametrize("path", HOSTILE, ids=ascii)
def test_hostile_paths_are_refused(path: str) -> None:
    with pytest.raises(PathRefused) as refused:
        check_path(path, field="files[0].path")
    assert refused.value.field == "files[0].path"
    refused.value.sentence.encode()  # fit to be answered


@pytest.mark.parametrize(
    "path",
    [
        "model.bin",
        "a/b/c.txt",
        "..a",
        "...b",
        "a..b",
        ".gitattributes",
        "モデル/重み.bin",
        "100% done.txt",
        "a b",
        "x" * 255,
    ],
)
def test_ordinary_paths_are_kept(path: str) -> None:
    assert check_path(path) == path


def test_a_path_is_kept_in_its_composed_form() -> None:
    assert check_path("cafe\u0301/x") == "caf\u00e9/x"


@pytest.mark.parametrize(
    "paths",
    [["A", "a"], ["caf\u00e9", "CAFE\u0301"], ["a", "a/b"], ["A/x", "a"], ["straße", "STRASSE"], ["a", "a"]],
)
def test_names_that_collide_somewhere_are_refused(paths: list[str]) -> None:
    with pytest.raises(PathRefused):
        check_collisions(paths)
    check_collisions(["a", "b/a", "b/c"])
