"""A command line taken apart, and the files that a program leaves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from assay.tracking.command import arguments, parameters, take_apart
from assay.tracking.results import Metric, NoResult, check_made, metrics


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--lr 0.1 --depth=3", {"lr": "0.1", "depth": "3"}),
        ("data.csv out", {"arg1": "data.csv", "arg2": "out"}),
        ("-v --shift -1.5 --fast", {"v": "true", "shift": "-1.5", "fast": "true"}),
        ("--x 1 --x 2", {"x": '["1", "2"]'}),
        ("-- -3", {"arg1": "-3"}),
    ],
)
def test_arguments_become_parameters(words: str, found: dict[str, str]) -> None:
    assert parameters(tuple(words.split())) == found


@pytest.mark.parametrize(
    ("words", "entry", "rest"),
    [
        ("python train.py --lr 1", "train.py", ["--lr", "1"]),
        ("python3.11 -u -W error -m train.main x", "train.main", ["x"]),
        ("/opt/bin/python -c pass x", "python -c", ["x"]),
        ("uv run python -X dev train.py x", "train.py", ["x"]),
        ("torchrun --nproc 2 train.py", "torchrun", ["--nproc", "2", "train.py"]),
    ],
)
def test_the_script_is_the_entry_point(words: str, entry: str, rest: list[str]) -> None:
    found = take_apart(words.split())
    assert (found.entry.name, list(found.arguments)) == (entry, rest)


def test_files_among_the_arguments(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("{}")
    (tmp_path / "d.csv").write_text("1")
    found = arguments(("--config", str(tmp_path / "c.json"), str(tmp_path / "d.csv")))
    assert (list(found.configurations), list(found.files)) == (["config"], ["arg1"])


@pytest.mark.parametrize(
    ("held", "found", "others"),
    [
        ({"auc": 0.5, "by": {"class": 1}}, [Metric("auc", 0.5), Metric("by.class", 1.0)], []),
        ({"loss": [2, 1]}, [Metric("loss", 2.0, 0), Metric("loss", 1.0, 1)], []),
        ([{"name": "a", "value": 1, "step": 4}, {"key": "b", "value": 2}], [Metric("a", 1.0, 4), Metric("b", 2.0)], []),
        ({"auc": 1, "note": "fine", "none": None}, [Metric("auc", 1.0)], ["note", "none"]),
        ([{"value": 1}], [], ["[0]"]),
    ],
)  # fmt: skip
def test_metrics_from_a_file(tmp_path: Path, held: object, found: list[Metric], others: list[str]) -> None:
    file = tmp_path / "metrics.json"
    file.write_text(json.dumps(held))
    assert metrics(file, 0) == (found, others)


def test_what_is_older_than_the_run_is_not_its_result(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    file.write_text("{}")
    os.utime(file, (1000, 1000))
    with pytest.raises(NoResult, match="older than the run"):
        metrics(file, 2000)
    with pytest.raises(NoResult, match="nothing at"):
        check_made(tmp_path / "model", 0)
    file.write_text("no json")
    with pytest.raises(NoResult, match="cannot be read as JSON"):
        metrics(file, 0)
