"""What a tracked function was called with."""

from __future__ import annotations

import argparse
import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assay.tracking.arguments import sort_out


class Kind(enum.Enum):
    GINI = "gini"


@dataclass
class Settings:
    depth: int
    path: str


def train(data: Any, other: Any = None, *, lr: float = 0.1, **more: Any) -> None: ...


def test_defaults_and_keywords_are_parameters() -> None:
    found = sort_out(train, (1,), {"momentum": np.float64(0.5), "flag": True, "kind": Kind.GINI})
    assert found.parameters == {
        "data": "1",
        "other": "None",
        "lr": "0.1",
        "momentum": "0.5",
        "flag": "True",
        "kind": "gini",
    }


def test_files_frames_and_configurations(tmp_path: Path) -> None:
    file, config = tmp_path / "x.csv", tmp_path / "c.yaml"
    file.write_text("x")
    config.write_text("a: 1")
    frame, array = pd.DataFrame({"a": [1]}), np.zeros(2)
    found = sort_out(
        train, (str(file), frame), {"config": config, "parts": (array, [str(file)][0]), "gone": Path("no")}
    )
    assert found.files == {"data": file, "parts.1": file}
    assert found.frames == {"other": frame, "parts.0": array}
    assert found.configurations == {"config": config}
    assert found.parameters == {
        "data": str(file),
        "lr": "0.1",
        "config": str(config),
        "parts.1": str(file),
        "gone": "no",
    }


def test_nested_ones() -> None:
    found = sort_out(
        train, (Settings(3, "p"), argparse.Namespace(seed=1)), {"net": {"depth": 2, "wide": {"x": [1, 2]}}}
    )
    assert found.parameters == {
        "data.depth": "3",
        "data.path": "p",
        "other.seed": "1",
        "lr": "0.1",
        "net.depth": "2",
        "net.wide.x": "[1, 2]",
    }


def test_objects_and_functions_by_name_only() -> None:
    class Secret:
        def __repr__(self) -> str:
            return "hunter2"

    found = sort_out(train, (Secret(), sorted), {})
    assert "hunter2" not in str(found.parameters)
    assert found.parameters["other"] == "builtins.sorted"


def test_self_is_no_parameter() -> None:
    class Trainer:
        def fit(self, depth: int) -> None: ...

    assert sort_out(Trainer.fit, (Trainer(), 3), {}).parameters == {"depth": "3"}


def test_a_wrong_call_is_wrong() -> None:
    with pytest.raises(TypeError):
        sort_out(train, (), {})
