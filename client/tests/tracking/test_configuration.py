"""Configuration files as digests and flat values."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.tracking import configuration
from assay.tracking.configuration import flatten, looks_like_configuration, read

VALUES = {
    "lr": "0.1",
    "net.depth": "3",
    "net.layers": "[1, 2]",
    "name": "x",
    "when": "2020-01-01",
    "none": "None",
}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", "lr: 0.1\nnet: {depth: 3, layers: [1, 2]}\nname: x\nwhen: '2020-01-01'\nnone: null\n"),
        (
            "c.json",
            '{"lr": 0.1, "net": {"depth": 3, "layers": [1, 2]}, "name": "x", "when": "2020-01-01", "none": null}',
        ),
        (
            "c.toml",
            'lr = 0.1\nname = "x"\nwhen = "2020-01-01"\nnone = "None"\n[net]\ndepth = 3\nlayers = [1, 2]\n',
        ),
    ],
)
def test_the_same_values_from_each_format(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    found = read(path)
    assert found.values == VALUES
    assert found.digest.startswith("sha256:")
    assert found.problem == ""


@pytest.mark.parametrize(
    ("name", "text"), [("c.json", "{"), ("c.yaml", "a: [1"), ("c.toml", "a"), ("c.json", "[1]")]
)
def test_one_that_cannot_be_read_keeps_its_digest(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    found = read(path)
    assert found.values == {}
    assert found.problem
    assert found.digest.startswith("sha256:")


def test_a_large_file_is_data(tmp_path: Path) -> None:
    small, large, other = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "c.csv"
    small.write_text("{}")
    large.write_bytes(b" " * (configuration.MAX_BYTES + 1))
    other.write_text("{}")
    assert [looks_like_configuration(path) for path in (small, large, other, tmp_path)] == [
        True,
        False,
        False,
        False,
    ]


def test_an_object_is_told_by_its_type_only() -> None:
    class Client:
        def __repr__(self) -> str:
            return "password"

    assert "password" not in str(flatten({"a": Client(), "b": [Client()]}))


def test_long_values_are_cut() -> None:
    assert len(flatten({"a": "x" * 5000})["a"]) == configuration.MAX_VALUE
