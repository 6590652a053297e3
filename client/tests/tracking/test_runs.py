"""Runs and tracked functions, as the registry hears of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.tracking.conftest import Project

RUN = "with assay.run(namespace='fraud', client=recorder) as run:\n"
TRAIN = """
import pandas as pd
from sklearn.linear_model import LogisticRegression

@assay.track(model="fraud/scorer", client=recorder)
def train(path, config="params.yaml", depth=3, seed: int = 0, api_key="s3cr3t-v4lue", extra=None):
    frame = pd.read_csv(path)
    model = LogisticRegression(random_state=seed).fit(frame[["a"]], frame["y"])
    return model, {"accuracy": model.score(frame[["a"]], frame["y"])}

if __name__ == "__main__":
    result = train("data/train.csv", extra=pd.DataFrame({"q": [1, 2]}))
    assert result[1]["accuracy"] > 0
"""


@pytest.fixture
def ready(project: Project) -> Project:
    project.write("data/train.csv", "a,y\n" + "".join(f"{n},{n % 2}\n" for n in range(40)))
    project.write("params.yaml", "lr: 0.1\nnet:\n  depth: 2\n  password: hunter22\n")
    project.git("remote", "add", "origin", "https://ben:hunter2hunter2@git.example.com/org/x.git")
    return project


def test_everything_about_a_training_without_a_tag(ready: Project, sha256_of: Callable[[Path], str]) -> None:
    ready.environment["ASSAY_IMAGE_DIGEST"] = "sha256:" + "1" * 64
    told = ready.train(TRAIN, "--password", "hunter22")

    made = told.call("create_run")
    assert made["entry_point"] == "train.py:train"
    assert made["command"][1:] == ["train.py", "--password", "[redacted]"]
    assert made["code"]["commit"] == ready.git("rev-parse", "HEAD")
    assert made["code"]["remote"] == "https://git.example.com/org/x.git"
    assert (made["code"]["branch"], made["code"]["dirty"]) == ("main", False)
    assert made["environment"]["image_digest"] == "sha256:" + "1" * 64
    assert made["environment"]["packages"]["scikit-learn"]
    assert made["environment"]["hardware"]["cpus"] >= 1
    assert made["environment"]["hardware"]["memory"] > 0
    assert made["config"]["path"] == "params.yaml"
    assert made["config"]["digest"] == sha256_of(ready.root / "params.yaml")

    assert told.parameters == {
        "lr": "0.1", "net.depth": "2", "net.password": "[redacted]", "path": "data/train.csv", "config": "params.yaml",
        "depth": "3", "seed": "0", "api_key": "[redacted]",
    }  # fmt: skip
    assert [metric["key"] for metric in told.metrics] == ["accuracy"]
    assert told.datasets["data/train.csv"]["digest"] == sha256_of(ready.root / "data/train.csv")
    assert told.datasets["extra"]["digest"].startswith("frame-v1:")
    assert (told.datasets["extra"]["rows"], told.datasets["extra"]["columns"]) == (2, 1)
    assert set(told.datasets) == {"data/train.csv", "extra"}

    pushed = told.call("push")
    assert (pushed["model"], pushed["format"], pushed["run"]) == (
        "fraud/scorer",
        "skops",
        "5f0c7a52-0000-4000-8000-000000000001",
    )
    assert pushed["schema"] == {"inputs": [{"name": "a"}], "classes": 2}
    assert list(told.pushed) == ["model.skops"]
    assert told.call("update_run")["status"] == "finished"
    assert (told.state, told.notes) == ("complete", "")
    line = told.errors.strip().splitlines()[-1]
    assert line.startswith("registered fraud/scorer:3  sha256:")
    assert f"(commit {ready.git('rev-parse', 'HEAD')[:7]}, 2 datasets, " in line
    assert "hunter2" not in json.dumps(told.calls)
    assert told.output == ""


def test_the_same_training_twice_is_the_same_model(ready: Project) -> None:
    assert ready.train(TRAIN).pushed == ready.train(TRAIN).pushed


def test_facts_are_told_before_the_model_is_pushed(ready: Project) -> None:
    """A version takes its provenance over when it is registered."""
    calls = [name for name, _ in ready.train(TRAIN).calls]
    assert max(calls.index("log_run"), calls.index("log_datasets")) < calls.index("push")


def test_a_failure_is_told_and_raised(project: Project) -> None:
    body = "@assay.track(model='fraud/scorer', client=recorder)\ndef train():\n"
    body += "    raise ValueError('no access with password=hunter22')\ntrain()\n"
    told = project.train(body, fails=True)
    assert "ValueError: no access" in told.errors
    ended = told.call("update_run")
    assert ended["status"] == "failed"
    assert ended["failure"] == "ValueError: no access with password=[redacted]"
    assert "push" not in [name for name, _ in told.calls]


@pytest.mark.parametrize(
    ("end", "status"),
    [("sys.exit(0)", "finished"), ("sys.exit(3)", "failed"), ("raise KeyboardInterrupt", "killed")],
)
def test_how_it_ended(project: Project, end: str, status: str) -> None:
    told = project.train(RUN + f"    {end}\n", fails=status != "finished")
    assert told.call("update_run")["status"] == status


def test_inside_a_run(project: Project) -> None:
    body = (
        RUN
        + """
    import numpy as np
    run.log_parameters({"net": {"depth": 3}, "db_password": "hunter22"})
    run.log_parameter("kind", "gini")
    for step in range(3):
        run.log_metric("loss", 1 / (step + 1))
    run.log_metrics({"auc": np.float32(0.5)}, step=7)
    run.set_tag("team", "risk")
    run.use_dataset("train", np.zeros((4, 2)))
    run.use_dataset("holdout", "data/h.csv", context="test")
    open("out.csv", "w").write("x")
    run.log_output("predictions", "out.csv")
    version = run.log_model({"w": np.zeros(2)}, "fraud/scorer", tags={"a": "b"}, description="d")
    assert version["reference"] == "fraud/scorer:3"
    assert run.versions == [version] and run.id and run.status == "running"
    assert assay.current_run() is run
assert assay.current_run() is None
"""
    )
    project.write("data/h.csv", "1")
    told = project.train(body)
    assert told.parameters == {"net.depth": "3", "db_password": "[redacted]", "kind": "gini"}
    assert [(m["key"], m["step"]) for m in told.metrics] == [
        ("loss", 0),
        ("loss", 1),
        ("loss", 2),
        ("auc", 7),
    ]
    assert told.tags == {"team": "risk"}
    assert told.datasets["train"]["context"] == "training"
    assert (told.datasets["holdout"]["context"], told.datasets["holdout"]["size"]) == ("test", 1)
    assert told.datasets["predictions"]["role"] == "output"
    assert (told.call("push")["tags"], told.call("push")["description"]) == ({"a": "b"}, "d")
    assert told.state == "complete", told.notes


def test_declared_datasets(project: Project) -> None:
    project.write("data/t.csv", "1")
    project.write("data/v.csv", "2")
    project.write("tracked.csv", "3")
    declared = "{'mine': 'data/t.csv', 'v': ('data/v.csv', 'validation'), 'kept': 'tracked.csv'}"
    body = f"with assay.run(namespace='fraud', client=recorder, datasets={declared}):\n    open('data/t.csv').read()\n"
    told = project.train(body)
    assert {name: use["context"] for name, use in told.datasets.items()} == {
        "mine": "training",
        "v": "validation",
        "kept": "training",
    }
    assert told.datasets["mine"]["source"] == "data/t.csv"


def test_the_names_of_datasets_say_what_they_are_for(project: Project) -> None:
    for name in ("train", "x_test", "valid"):
        project.write(f"data/{name}.csv", name)
    told = project.train(RUN + "    for n in ('train', 'x_test', 'valid'): open(f'data/{n}.csv').read()\n")
    assert {name: use["context"] for name, use in told.datasets.items()} == {
        "data/train.csv": "training",
        "data/x_test.csv": "test",
        "data/valid.csv": "validation",
    }


def test_an_argument_that_the_run_writes_is_no_input(project: Project) -> None:
    project.write("data/model.bin", "old")
    body = "@assay.track(namespace='fraud', register=False, client=recorder)\ndef train(out):\n"
    body += "    open(out, 'w').write('new')\ntrain('data/model.bin')\n"
    told = project.train(body)
    assert (told.datasets, told.state) == ({}, "complete")


def test_a_table_counts_as_it_was_given(project: Project) -> None:
    """The function changes its argument: what it was given is what is recorded."""
    body = """
import numpy as np
from assay.tracking.frames import digest_frame
data = np.zeros(3)
print(digest_frame(data).digest)
@assay.track(namespace='fraud', register=False, client=recorder)
def train(data):
    data += 1
train(data)
"""
    told = project.train(body)
    assert told.datasets["data"]["digest"] == told.output.strip()


def test_uncommitted_code_makes_it_incomplete(project: Project) -> None:
    project.write("features.py", "x = 1\n")
    body = "import features\n" + RUN + "    pass\n"
    assert project.train(body).state == "complete"
    project.write("features.py", "x = 2\n")
    told = project.train(body, commit=False)
    assert told.state == "incomplete"
    assert told.call("create_run")["code"]["diff_digest"].startswith("sha256:")
    project.git("checkout", "features.py")
    project.write("more.py", "")
    told = project.train("import more\n" + body, commit=False)
    assert "`more.py`" in told.notes


def test_without_a_repository(project: Project, tmp_path: Path) -> None:
    alone = Project(tmp_path / "alone")
    alone.root.mkdir()
    alone.write("data.csv", "x")
    told = alone.train(RUN + "    open('data.csv').read()\n", commit=False)
    assert list(told.call("create_run")["code"]) == ["source_digest"]
    assert list(told.datasets) == ["data.csv"]
    assert told.state == "incomplete"
    assert "no Git repository" in told.notes


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", "returned nothing"),
        ("{'auc': 1.0}", "returned no model"),
        ("object()", 'serializer="joblib"'),
    ],
)
def test_no_model_is_said_and_the_training_goes_on(project: Project, returned: str, said: str) -> None:
    body = f"@assay.track(model='fraud/scorer', client=recorder)\ndef train():\n    return {returned}\n"
    told = project.train(body + "train()\nprint('done')\n")
    assert told.output.strip() == "done"
    assert said in told.errors
    assert "push" not in [name for name, _ in told.calls]


def test_a_parameter_is_written_once(project: Project) -> None:
    told = project.train(
        RUN + "    run.log_parameter('a', 1); run.log_parameter('a', 1); run.log_parameter('a', 2)\n"
    )
    assert told.parameters == {"a": "1"}
    assert "`a`" in told.notes


def test_a_mistake_in_logging_does_not_end_the_training(project: Project) -> None:
    body = (
        RUN
        + "    run.log_metric('a', 'high'); run.use_dataset('x', 'no/such'); run.use_dataset('y', 3)\nprint('done')\n"
    )
    told = project.train(body)
    assert told.output.strip() == "done"
    assert told.state == "incomplete"
    assert "the metric a" in told.notes
    assert "`x`" in told.notes
    assert "`y`" in told.notes


def test_runs_within_runs(project: Project) -> None:
    project.write("data/a", "a")
    project.write("data/b", "b")
    body = "other = Recorder()\n" + RUN + "    open('data/a').read()\n"
    body += "    with assay.run(namespace='fraud', client=other) as inner:\n        open('data/b').read()\n"
    body += "    assert assay.current_run() is run\nprint(sorted(other.datasets))\n"
    told = project.train(body)
    assert set(told.datasets) == {"data/a", "data/b"}
    assert told.output.strip() == "['data/b']"


def test_secrets_stay_here(ready: Project) -> None:
    canary = "c4n4ry-7f3a9b-zz"
    ready.environment.update(DB_PASSWORD=canary)
    body = f"""
with assay.run(namespace='fraud', client=recorder, name='x') as run:
    run.log_parameters({{"dsn": "postgres://ben:{canary}@db/x", "plain": "contains {canary}", "token": "{canary}"}})
    run.set_tag("link", "https://h/x?sig={canary}")
    open("data/{canary}.csv").read()
    raise RuntimeError("could not log in with {canary}")
"""
    ready.write(f"data/{canary}.csv", "x")
    ready.write("README", canary)
    ready.commit()
    ready.write("README", canary * 2)  # a diff with a secret in it
    told = ready.train(body, f"--token={canary}", canary, commit=False, fails=True)
    assert canary not in json.dumps(told.calls)
    assert told.call("update_run")["status"] == "failed"
