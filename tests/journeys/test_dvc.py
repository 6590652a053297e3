"""A DVC repository's history in the registry, and a training on what its stages made, on the real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import assay
from client.tests.tracking.conftest import Project
from client.tests.tracking.dvc_scene import Repository, repository, sha256
from tests.cast import Cast
from tests.conftest import Live

pytestmark = pytest.mark.django_db(transaction=True)

TRAIN = """
import pathlib

pathlib.Path("out").mkdir(exist_ok=True)
pathlib.Path("out/model.bin").write_text(open("data/table.csv").read())
"""


@pytest.fixture
def made(tmp_path: Path) -> Repository:
    """Two states; of the first nothing is left but what Git has."""
    root = tmp_path / "project"
    root.mkdir()
    project = Project(root)
    project.git("init", "-q", "-b", "main")
    project.write("train.py", TRAIN)
    found = repository(project)
    shutil.rmtree(root / ".dvc" / "cache")
    found.reproduce(seed=2, auc=0.95)
    project.commit()
    return found


class Desk:
    """The command line, as one of the cast."""

    def __init__(self, made: Repository, live: Live, cast: Cast) -> None:
        self._made, self._live, self._cast = made, live, cast

    def __call__(self, who: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        root = self._made.project.root
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DATABASE")},
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "ASSAY_URL": self._live.url, "ASSAY_TOKEN": self._cast.token(who), "COLUMNS": "100",
            "XDG_CACHE_HOME": str(root.parent / "cache"), "XDG_STATE_HOME": str(root.parent / "state"),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", "from assay.cli import main; main()", *arguments],
            cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done


def test_a_history_is_imported_once_and_a_training_goes_up_through_it(
    made: Repository, ben: assay.Client, live: Live, cast: Cast
) -> None:
    desk, namespace = Desk(made, live, cast), cast.namespace.name
    dry = desk("ben", "import", "dvc", "-n", namespace, "--all", "--dry-run").stdout
    assert dry.startswith("Nothing was sent.")
    assert ben.runs(namespace) == []

    (made.project.root / "data" / "table.csv").rename(made.project.root / "kept")
    cache = made.project.root / ".dvc" / "cache"
    shutil.move(cache, cache.with_name("tmp"))  # the import sees none of the bytes
    printed = desk("ben", "import", "dvc", "-n", namespace, "--all").stdout
    assert "stages   6, all new" in printed
    assert "by MD5 only" in printed
    runs = [ben.run(run["id"]) for run in ben.runs(namespace)]
    names = sorted(run["name"] for run in runs)
    assert names == ["features", "features", "prepare", "prepare", "train", "train"]
    assert {run["experiment"] for run in runs} == {"dvc"}
    assert {run["metrics"]["auc"] for run in runs if run["name"] == "train"} == {0.9, 0.95}
    again = json.loads(desk("eve", "import", "dvc", "-n", namespace, "--all", "--json").stdout)
    assert again["new"] == {"steps": 0, "datasets": 0, "digests": 0}
    assert len(ben.runs(namespace)) == 6

    (made.project.root / "kept").rename(made.project.root / "data" / "table.csv")
    model = f"{namespace}/scorer"
    done = desk("eve", "run", "--name", model, "--model", "out/model.bin", "--", "python", "train.py")
    assert "registered" in done.stderr
    (use,) = ben.run(str(ben.version(f"{model}:1")["run"]))["datasets"]
    assert use["digest"] == sha256(made.files["data/table.csv"])
    assert use["foreign_digest"].startswith("md5:")
    assert len(ben.runs(namespace)) == 7, "its stages were known: nothing but the training was added"
    graph = ben.trace(f"{model}:1")
    above = sorted(graph["nodes"], key=lambda node: node["distance"])  # type: ignore[typeddict-item]
    labels = [node["label"] for node in above]
    assert labels[0] == f"{model}:1"
    assert labels[2:] == ["data/table.csv", "features", "data/prepared", "prepare", "data/raw.csv"]
    shown = desk("ben", "trace", f"{model}:1").stdout
    assert "run prepare  finished, commit" in shown
    assert "dataset data/prepared  md5-dir:" in shown, "of what is not here DVC's digest is all"
    assert "dataset data/raw.csv  sha256:" in shown
