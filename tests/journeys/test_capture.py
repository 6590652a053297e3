"""A training script with one decorator, from a work tree to a version that knows what made it."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import assay
from tests.cast import Cast
from tests.conftest import Live

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = """
import math
import sys

import pandas as pd
import pyarrow.parquet as pq
from sklearn.ensemble import RandomForestClassifier

import assay


@assay.track(model=sys.argv[1], experiment="fraud", tags={"team": "risk"})
def train(data, config="params.yaml", seed=0, api_key=None, held_out=None):
    rows = pd.read_csv(data)
    pq.read_table("data/more.parquet")
    model = RandomForestClassifier(5, random_state=seed).fit(rows[["a", "b"]], rows["y"])
    assay.current_run().log_metric("loss", math.nan)
    for step in range(3):
        assay.current_run().log_metric("loss", 1 / (step + 1), step=step + 1)
    return model, {"accuracy": model.score(rows[["a", "b"]], rows["y"])}


if __name__ == "__main__":
    train("data/train.csv", api_key="c4n4ry-7f3a9b", held_out=pd.DataFrame({"a": [1.0, None], "b": ["x", None]}))
    if "fail" in sys.argv:
        with assay.run(namespace=sys.argv[1].partition("/")[0], name="broken"):
            raise ValueError("password=c4n4ry-7f3a9b")
"""


INSIDE = """
import sys
import assay

with assay.run(namespace=sys.argv[1].partition("/")[0], name="inside") as run:
    rows = open("data/train.csv").read()
    with open("data/model.onnx", "wb") as file:
        file.write(b"\\x08\\x07" + rows.encode())
    with open("data/scores.csv", "w") as file:
        file.write("1")
    run.log_output("scores", "data/scores.csv")
    assert run.log_model("data/model.onnx", sys.argv[1])["status"] == "ready"
"""

MANY = """
import sqlite3, sys, assay, pandas as pd
from contextlib import closing
with assay.run(namespace=sys.argv[1].split("/")[0]) as run:
    for number in range(150):
        with open(f"data/images/{number}.png", "rb") as file:
            file.read()
    with closing(sqlite3.connect("data/shop.db")) as shop:
        pd.read_sql("select * from t where a > ?", shop, params=(1,))
"""


class Desk:
    """Ben's work tree, and his token in his environment."""

    def __init__(self, root: Path, url: str, token: str) -> None:
        self.root = root
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DATABASE")},
            "ASSAY_URL": url,
            "ASSAY_TOKEN": token,
            "ASSAY_IMAGE_DIGEST": "sha256:" + "1" * 64,
            "XDG_CACHE_HOME": str(root.parent / "cache"),
            "XDG_STATE_HOME": str(root.parent / "state"),
        }

    def do(self, *command: str, fails: bool = False) -> str:
        """What a command printed on standard error."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert fails == bool(done.returncode), done.stderr
        return done.stderr

    def train(self, model: str, *arguments: str, fails: bool = False) -> str:
        return self.do(sys.executable, "train.py", model, *arguments, fails=fails)


@pytest.fixture
def desk(tmp_path: Path, live: Live, cast: Cast) -> Desk:
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    (root / "train.py").write_text(SCRIPT)
    (root / "params.yaml").write_text("lr: 0.1\nnet: {depth: 2, password: c4n4ry-7f3a9b}\n")
    (root / ".gitignore").write_text("data/\n")
    (root / "data" / "train.csv").write_text("a,b,y\n" + "".join(f"{n},{n % 7},{n % 2}\n" for n in range(60)))
    made = Desk(root, live.url, cast.token("ben"))
    made.do(
        sys.executable, "-c", "import pandas as p; p.DataFrame({'q': [1]}).to_parquet('data/more.parquet')"
    )
    made.do("git", "init", "-q", "-b", "main")
    made.do("git", "remote", "add", "origin", "https://ben:c4n4ry-7f3a9b@git.example.com/x.git")
    made.do("git", "add", "-A")
    made.do("git", "-c", "user.name=ben", "-c", "user.email=ben@example.com", "commit", "-qm", "work")
    return made


@pytest.fixture
def runs(ben: assay.Client, cast: Cast) -> Callable[[], list[dict[str, Any]]]:
    def listed() -> list[dict[str, Any]]:
        return [dict(ben.run(run["id"])) for run in ben.runs(cast.namespace.name)]

    return listed


def test_one_decorator_records_everything(
    desk: Desk, ben: assay.Client, model: str, runs: Callable[[], list[dict[str, Any]]]
) -> None:
    printed = desk.train(model)
    version = ben.version(f"{model}:1")
    (run,) = runs()

    assert printed.startswith(
        f"registered {model}:1  {str(version['digest'])[:15]}…  from run {run['id'][:8]}… (commit "
    )
    assert ", 3 datasets, " in printed
    assert len(printed.splitlines()) == 1, "nothing is missing, so nothing is said to be"
    assert (version["status"], version["format"], version["run"]) == ("ready", "skops", run["id"])
    assert version["completeness"]["state"] == "complete", version["completeness"]
    assert version["tags"] == {"team": "risk"}
    assert (run["status"], run["experiment"], run["entry_point"]) == ("finished", "fraud", "train.py:train")
    assert run["capture"] == {"state": "complete", "notes": []}
    assert run["parameters"] == {
        "lr": "0.1", "net.depth": "2", "net.password": "[redacted]", "data": "data/train.csv", "config": "params.yaml",
        "seed": "0", "api_key": "[redacted]",
    }  # fmt: skip
    assert run["metrics"]["loss"] == pytest.approx(1 / 3)
    assert set(run["metrics"]) == {"loss", "accuracy"}
    assert run["environment"]["image_digest"] == "sha256:" + "1" * 64
    assert run["config"]["values"]["net.depth"] == "2"

    digests = {use["name"]: use["digest"] for use in run["datasets"]}
    for name in ("data/train.csv", "data/more.parquet"):
        assert digests[name] == "sha256:" + hashlib.sha256((desk.root / name).read_bytes()).hexdigest()
    assert digests["held_out"].startswith("frame-v1:")
    contexts = {use["name"]: use["context"] for use in run["datasets"]}
    assert (contexts["data/train.csv"], contexts["held_out"]) == ("training", "test")

    graph = ben.trace(f"{model}:1")
    assert {node["kind"] for node in graph["nodes"]} == {"model_version", "run", "dataset_version"}


def test_the_same_training_is_the_same_model_and_other_data_is_told(
    desk: Desk, ben: assay.Client, model: str
) -> None:
    train = desk.root / "data" / "train.csv"
    train.write_text("a,b,y\n" + "".join(f"{n},{n % 7},{n % 2}\n" for n in range(12_000)))
    desk.train(model)
    desk.train(model)
    assert ben.version(f"{model}:1")["digest"] == ben.version(f"{model}:2")["digest"]
    assert (
        "hold the same bytes, and nothing recorded differs" in ben.why(f"{model}:1", f"{model}:2")["sentence"]
    )

    rows = train.read_text().splitlines()
    rows[11_000] += "1"  # far below what a digest of the beginning would cover
    train.write_text("\n".join(rows) + "\n")
    desk.train(model)
    why = ben.why(f"{model}:1", f"{model}:3")
    assert [difference["kind"] for difference in why["differences"]] == ["data"]
    assert "data/train.csv" in why["differences"][0]["sentence"]
    assert "12,000 rows" in why["differences"][0]["sentence"]


def test_folders_and_queries_are_datasets(
    desk: Desk, model: str, runs: Callable[[], list[dict[str, Any]]]
) -> None:
    (desk.root / "data" / "images").mkdir()
    for number in range(150):
        (desk.root / "data" / "images" / f"{number}.png").write_bytes(b"%d" % number)
    with closing(sqlite3.connect(desk.root / "data" / "shop.db")) as shop:
        shop.executescript("create table t (a int); insert into t values (1), (2), (3);")
    (desk.root / "many.py").write_text(MANY)
    desk.do("git", "add", "-A")
    desk.do("git", "-c", "user.name=ben", "-c", "user.email=ben@example.com", "commit", "-qm", "many")
    desk.do(sys.executable, "many.py", model)
    (run,) = runs()
    assert run["capture"] == {"state": "complete", "notes": []}
    assert {use["name"]: use["rows"] for use in run["datasets"]} == {
        "data/images": 150,
        "data/shop.db": None,
        "query select * from t where a > ?": 2,
    }


def test_what_is_missing_is_printed_beside_the_version(desk: Desk, ben: assay.Client, model: str) -> None:
    (desk.root / "train.py").write_text(SCRIPT + "\n# changed\n")
    line, beside = desk.train(model).splitlines()
    assert line.startswith("registered ")
    assert " with changes, " in line
    assert "provenance incomplete" in beside
    assert "commit" in beside
    assert ben.version(f"{model}:1")["completeness"]["state"] == "incomplete"


def test_a_failure_is_recorded_and_no_secret_leaves(
    desk: Desk, model: str, runs: Callable[[], list[dict[str, Any]]]
) -> None:
    printed = desk.train(model, "fail", "--token", "c4n4ry-7f3a9b", fails=True)
    assert "ValueError" in printed
    found = runs()
    failed = next(run for run in found if run["status"] == "failed")
    assert (failed["name"], failed["failure"]) == ("broken", "ValueError: password=[redacted]")
    assert len(found) == 2
    assert "c4n4ry" not in json.dumps(found)


def test_a_model_registered_inside_a_run(
    desk: Desk, ben: assay.Client, model: str, runs: Callable[[], list[dict[str, Any]]]
) -> None:
    """Sending it is our own network and our own reading, not the training's."""
    (desk.root / "more.py").write_text(INSIDE)
    desk.do("git", "add", "-A")
    desk.do("git", "-c", "user.name=ben", "-c", "user.email=ben@example.com", "commit", "-qm", "more")
    printed = desk.do(sys.executable, "more.py", model)
    (run,) = runs()
    assert run["capture"] == {"state": "complete", "notes": []}
    assert {use["name"]: use["role"] for use in run["datasets"]} == {
        "data/train.csv": "input",
        "scores": "output",
    }
    version = ben.version(f"{model}:1")
    assert (version["format"], version["run"]) == ("onnx", run["id"])
    assert version["completeness"]["state"] == "complete", "told again when the run ended"
    assert f"registered {model}:1" in printed
    assert "finished" in printed


def test_a_stranger_is_refused_before_the_training(desk: Desk, live: Live, cast: Cast, model: str) -> None:
    stranger = Desk(desk.root, live.url, cast.token("mallory"))
    assert "NotFound" in stranger.train(model, fails=True)
