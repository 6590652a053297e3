"""From raw data through a preparing step to two versions, and the question what made the second one worse."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import assay
from tests.cast import Cast
from tests.conftest import Live, Process

pytestmark = pytest.mark.django_db(transaction=True)

PREPARE = """
import sys, assay

with assay.run(namespace=sys.argv[1], experiment="prepare") as run:
    lines = open("data/raw.csv").read().splitlines()
    with open("data/train.csv", "w") as out:
        out.write("\\n".join(line.replace(";", ",") for line in lines))
    run.log_output("data/train.csv", "data/train.csv")
"""
TRAIN = """
import json, sys, assay

with assay.run(namespace=sys.argv[1], experiment="train") as run:
    rows = open("data/train.csv").read().splitlines()[1:]
    mean = sum(float(row.split(",")[1]) for row in rows) / len(rows)
    run.log_parameter("rate", sys.argv[2])
    run.log_metric("mean", mean)
    with open("model.json", "w") as out:
        json.dump({"mean": mean, "rate": sys.argv[2]}, out)
    run.log_model("model.json", sys.argv[1] + "/scorer", base=sys.argv[3:])
"""
ROWS = 12_000
HELD_OUT = ("held-out.csv", "sha256:" + hashlib.sha256(b"held out").hexdigest())


class Project:
    """Ben's work tree, with his token in the environment."""

    def __init__(self, root: Path, url: str, token: str, namespace: str) -> None:
        self.root, self.namespace = root, namespace
        (root / "data").mkdir(parents=True)
        (root / "prepare.py").write_text(PREPARE)
        (root / "train.py").write_text(TRAIN)
        (root / ".gitignore").write_text("data/\nmodel.json\n")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DATABASE")},
            "ASSAY_URL": url,
            "ASSAY_TOKEN": token,
            "XDG_CACHE_HOME": str(root.parent / "cache"),
            "XDG_STATE_HOME": str(root.parent / "state"),
        }
        self.do("git", "init", "-q", "-b", "main")
        self.commit()

    def do(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commit(self) -> None:
        self.do("git", "add", "-A")
        self.do("git", "-c", "user.name=ben", "-c", "user.email=ben@example.com", "commit", "-qm", "work")

    def raw(self, *, damaged: int | None = None) -> None:
        """Raw data; of the damaged row one digit is another."""
        lines = [f"{n};{n % 10}{'7' if n == damaged else ''}" for n in range(ROWS)]
        (self.root / "data" / "raw.csv").write_text("\n".join(["id;value", *lines]))

    def train(self, rate: str = "0.1", *base: str) -> None:
        self.do(sys.executable, "prepare.py", self.namespace)
        self.do(sys.executable, "train.py", self.namespace, rate, *base)

    def assay(self, *arguments: str) -> str:
        return self.do(str(Path(sys.executable).with_name("assay")), *arguments)


@pytest.fixture
def vera(live: Live, worker: Process, cast: Cast) -> Iterator[assay.Client]:
    with assay.Client(live.url, cast.token("vera")) as client:
        yield client


@pytest.fixture
def project(tmp_path: Path, live: Live, worker: Process, cast: Cast) -> Project:
    made = Project(tmp_path / "project", live.url, cast.token("ben"), cast.namespace.name)
    made.raw()
    made.train()
    return made


def labels(graph: Any, kind: str) -> list[str]:
    return sorted(node["label"] for node in graph["nodes"] if node["kind"] == kind)


def test_the_lineage_goes_up_through_the_preparing_step(
    project: Project, vera: assay.Client, cast: Cast
) -> None:
    graph = vera.trace(f"{cast.namespace.name}/scorer:1")
    assert labels(graph, "model_version") == [f"{cast.namespace.name}/scorer:1"]
    assert labels(graph, "dataset_version") == ["data/raw.csv", "data/train.csv"]
    assert len(labels(graph, "run")) == 2
    raw = next(node for node in graph["nodes"] if node["label"] == "data/raw.csv")
    content = (project.root / "data" / "raw.csv").read_bytes()
    assert raw["detail"]["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()
    told = project.assay("trace", f"{cast.namespace.name}/scorer:1", "--json")
    assert json.loads(told)["root"] == graph["root"]
    assert "data/raw.csv" in project.assay("trace", f"{cast.namespace.name}/scorer:1")


def test_one_digit_in_one_late_row_is_found(
    project: Project, live: Live, vera: assay.Client, cast: Cast
) -> None:
    first, second = (f"{cast.namespace.name}/scorer:{n}" for n in (1, 2))
    project.raw(damaged=ROWS - 9)
    project.train()
    with assay.Client(live.url, cast.token("ci")) as ci:
        ci.evaluate(first, HELD_OUT, metrics={"accuracy": 0.9})
        ci.evaluate(second, HELD_OUT, metrics={"accuracy": 0.7})
    found = vera.why(first, second)
    assert [each["kind"] for each in found["differences"]] == ["data"]
    assert found["sentence"].startswith(
        "Only the training data differs: the dataset data/train.csv changed: sha256:"
    )
    (metric,) = found["metrics"]
    assert (metric["dataset"], round(metric["difference"] or 0, 6)) == ("held-out.csv", -0.2)
    assert "Only the training data differs" in " ".join(project.assay("why", first, second).split())


def test_code_parameter_and_base_are_told_apart(project: Project, vera: assay.Client, cast: Cast) -> None:
    model = f"{cast.namespace.name}/scorer"
    project.train("0.2")
    assert vera.why(f"{model}:1", f"{model}:2")["sentence"].startswith(
        f"Only the parameters differ: the parameter rate changed: 0.1 in {model}:1, 0.2 in {model}:2"
    )
    (project.root / "notes.txt").write_text("something else")
    project.commit()
    project.train("0.2")
    assert vera.why(f"{model}:2", f"{model}:3")["sentence"].startswith(
        "Only the code differs: the code changed"
    )
    project.train("0.2", f"{model}:1")
    found = vera.why(f"{model}:3", f"{model}:4")
    assert found["sentence"].startswith(
        f"Only the base model differs: the base model changed: none in {model}:3"
    )
    down = vera.trace(f"{model}:1", direction="down")
    assert labels(down, "model_version") == [f"{model}:1", f"{model}:4"]
