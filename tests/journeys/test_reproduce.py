"""A version that the demonstration's script trained, made again from what was recorded of it, on the real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import assay
from config.demo.project import Project
from tests.cast import Cast
from tests.conftest import Live

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = """
import json, pathlib, sys
rows = pathlib.Path("../data/train.csv").read_text()
rate = float(sys.argv[1])
pathlib.Path("out").mkdir(exist_ok=True)
pathlib.Path("out/model.bin").write_text(rows[:20] + str(rate))
pathlib.Path("out/metrics.json").write_text(json.dumps({"auc": rate / 3}))
"""


class Desk:
    """The command line of whoever holds the token, in a folder."""

    def __init__(self, tmp_path: Path, live: Live, cast: Cast) -> None:
        self.folder, self._live, self._cast = tmp_path, live, cast

    def assay(
        self, who: str, *arguments: str | Path, folder: Path | None = None, code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DATABASE")},
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "ASSAY_URL": self._live.url, "ASSAY_TOKEN": self._cast.token(who), "COLUMNS": "120",
            "XDG_CACHE_HOME": str(self.folder / "cache"), "XDG_STATE_HOME": str(self.folder / "state"),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", "from assay.cli import main; main()", *map(str, arguments)],
            cwd=folder or self.folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def reproduce(self, reference: str, into: str, *more: str | Path, code: int = 0) -> dict[str, Any]:
        arguments = ("reproduce", reference, "--run", "--into", self.folder / into, *more, "--json")
        return dict(json.loads(self.assay("otto", *arguments, code=code).stdout))


@pytest.fixture
def desk(tmp_path: Path, live: Live, cast: Cast) -> Desk:
    return Desk(tmp_path, live, cast)


def states(answer: dict[str, Any]) -> dict[str, str]:
    return {piece["name"]: piece["state"] for piece in [*answer["pieces"], *answer["data"]]}


def test_the_demonstrations_model_is_the_same_again_and_with_other_data_it_is_not_tried(
    desk: Desk, ben: assay.Client, live: Live, cast: Cast
) -> None:
    model = f"{cast.namespace.name}/digits"
    project = Project(desk.folder / "digits", seed=20_417)
    project.create(model)
    project.train("svm", url=live.url, token=cast.token("ben"))
    version, runs = ben.version(f"{model}:1"), len(ben.runs(cast.namespace.name))

    answer = desk.reproduce(f"{model}:1", "again", "--repo", project.folder, "--data", project.folder)
    assert answer["outcome"]["same"], answer["outcome"]
    compared = {each["name"]: each for each in answer["outcome"]["compared"]}
    assert compared["model"]["now"] == version["digest"]
    assert compared["train_accuracy"]["now"] == compared["train_accuracy"]["original"] > 0.9
    assert states(answer) == {
        "code": "present", "environment": "present", "command": "present", "data/train.csv": "present",
    }  # fmt: skip
    again = desk.folder / "again"
    assert "--kind svm --seed 20417" in (again / "run.sh").read_text()
    assert "scikit-learn==" in (again / "requirements.txt").read_text()
    assert json.loads((again / "params.json").read_text())["parameters"]["kind"] == "svm"
    assert [each["reference"] for each in ben.versions(model)] == [f"{model}:1"], "nothing was registered"
    assert len(ben.runs(cast.namespace.name)) == runs, "nor recorded"

    project.damage()
    answer = desk.reproduce(
        f"{model}:1", "damaged", "--repo", project.folder, "--data", project.folder, code=1
    )
    assert states(answer)["data/train.csv"] == "changed"
    assert answer["outcome"]["exit_status"] is None, "it was not run"
    assert "data/train.csv" in answer["outcome"]["problem"]
    shown = desk.assay(
        "otto", "reproduce", f"{model}:1", "--into", desk.folder / "shown", "--repo", project.folder
    )
    assert "In the way of the same result" in shown.stdout


def test_an_unchanged_script_with_changes_that_were_kept_from_its_own_folder(
    desk: Desk, ben: assay.Client, cast: Cast
) -> None:
    model = f"{cast.namespace.name}/scorer"
    root = desk.folder / "project"
    (root / "src").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "data" / "train.csv").write_text("a,b\n" * 50)
    (root / ".gitignore").write_text("data/\nout/\n")
    (root / "src" / "train.py").write_text(SCRIPT)
    who = ("-c", "user.name=ben", "-c", "user.email=ben@example.com")
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), (*who, "commit", "-qm", "work")):
        subprocess.run(["git", *command], cwd=root, check=True)
    (root / "src" / "train.py").write_text(SCRIPT.replace("rate / 3", "rate / 4"))
    left = ("--model", "out/model.bin", "--metrics", "out/metrics.json")
    desk.assay("ben", "run", "--name", model, *left, "--", "python", "train.py", "0.8", folder=root / "src")
    run = ben.run(str(ben.version(f"{model}:1")["run"]))
    assert run["metrics"] == {"auc": 0.2}

    answer = desk.reproduce(f"{model}:1", "again", "--repo", root, "--data", root)
    assert answer["outcome"]["same"], answer
    assert states(answer)["changes"] == "present"
    assert (desk.folder / "again" / "code" / "data" / "train.csv").exists()
    assert {each["name"] for each in answer["outcome"]["compared"]} == {"auc", "model"}

    # A script that does not do the same again is found out.
    (root / "src" / "train.py").write_text(
        SCRIPT.replace("rate / 3", "rate / 3 + __import__('random').random()")
    )
    desk.assay("ben", "run", "--name", model, *left, "--", "python", "train.py", "0.8", folder=root / "src")
    answer = desk.reproduce(f"{model}:2", "other", "--repo", root, "--data", root, code=1)
    assert {each["name"]: each["same"] for each in answer["outcome"]["compared"]} == {
        "auc": False,
        "model": True,
    }
    printed = desk.assay(
        "otto", "reproduce", f"{model}:2", "--run", "--into", desk.folder / "third", "--repo", root, "--data", root,
        code=1,
    ).stdout  # fmt: skip
    assert "differs" in printed
    assert "Not the same: results differ." in printed
