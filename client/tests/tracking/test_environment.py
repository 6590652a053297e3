"""The lock file beside an entry point, and what else of a commit is recorded apart from it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from assay.tracking.environment import lock_file
from client.tests.tracking.conftest import Project


def sha256(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], None),
        (["requirements.lock"], "requirements.lock"),
        (["requirements.lock", "uv.lock"], "uv.lock"),
        (["src/train/poetry.lock", "uv.lock"], "src/train/poetry.lock"),
        (["src/conda-lock.yml"], "src/conda-lock.yml"),
        (["requirements.txt"], None),
        (["../uv.lock"], None),
    ],
)
def test_the_nearest_lock_file_up_to_the_top(tmp_path: Path, files: list[str], found: str | None) -> None:
    top = tmp_path / "project"
    (top / "src" / "train").mkdir(parents=True)
    for file in files:
        (top / file).write_text(file)
    answer = lock_file(top / "src" / "train", top)
    assert answer == (found and {"path": found, "digest": sha256(found)})


def test_without_a_repository_only_the_folder_itself(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "uv.lock").write_text("x")
    assert lock_file(tmp_path / "inside") is None
    assert lock_file(tmp_path) == {"path": "uv.lock", "digest": sha256("x")}


RUN = "with assay.run(namespace='fraud', client=recorder, config='conf.yaml'): pass"


def test_a_commit_is_told_apart_from_what_is_recorded_by_itself(project: Project) -> None:
    """The same for a commit of the lock and the configuration only; another for anything else."""
    project.write("uv.lock", "numpy 1")
    project.write("conf.yaml", "depth: 3")
    project.write("data/x.csv", "ignored by Git")
    facts = [project.train(RUN).call("create_run")]
    assert facts[0]["environment"]["lock_file"] == {"path": "uv.lock", "digest": sha256("numpy 1")}
    project.write("uv.lock", "numpy 2")
    project.write("conf.yaml", "depth: 4")
    project.write("data/x.csv", "changed")
    facts.append(project.train(RUN).call("create_run"))
    project.write("features.py", "x = 1")
    facts.append(project.train(RUN).call("create_run"))
    commits, rests = ([fact["code"][key] for fact in facts] for key in ("commit", "rest_digest"))
    assert len(set(commits)) == 3
    assert rests[0] == rests[1] != rests[2]
    assert all(fact["code"]["dirty"] is False for fact in facts)
