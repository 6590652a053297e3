"""What Git says about the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.tracking import git
from assay.tracking.redaction import Redactor
from client.tests.tracking.conftest import Project


def test_a_clean_work_tree(project: Project) -> None:
    project.git("remote", "add", "origin", "https://ben:hunter2hunter2@git.example.com/org/x.git")
    commit = project.commit()
    found = git.inspect(project.root)
    assert found is not None
    assert found.facts(Redactor({})) == {
        "commit": commit,
        "remote": "https://git.example.com/org/x.git",
        "branch": "main",
        "dirty": False,
        "diff_digest": "",
        "untracked": [],
    }
    assert found.tracked == {"README", ".gitignore"}


def test_changes_by_the_digest_of_their_diff(project: Project) -> None:
    project.write("README", "changed\n")
    once = git.inspect(project.root)
    project.git("add", "-A")
    staged = git.inspect(project.root)
    project.write("README", "changed again\n")
    twice = git.inspect(project.root)
    assert once is not None
    assert staged is not None
    assert twice is not None
    assert once.dirty
    assert str(once.diff_digest).startswith("sha256:")
    assert once.diff_digest == staged.diff_digest != twice.diff_digest


def test_untracked_files_do_not_make_it_dirty(project: Project) -> None:
    project.write("new file.py", "")
    project.write("data/ignored.csv", "")
    found = git.inspect(project.root)
    assert found is not None
    assert (found.untracked, found.dirty) == (["new file.py"], False)


def test_from_a_folder_within(project: Project) -> None:
    project.write("src/x.py", "")
    found = git.inspect(project.root / "src")
    assert found is not None
    assert found.root == project.root


def test_no_repository_and_no_commit(tmp_path: Path) -> None:
    empty = Project(tmp_path / "empty")
    empty.root.mkdir()
    assert git.inspect(empty.root) is None
    empty.git("init", "-q", "-b", "main")
    empty.write("a", "b")
    empty.git("add", "a")
    found = git.inspect(empty.root)
    assert found is not None
    assert (found.commit, found.branch, found.dirty) == (None, "main", True)


def test_a_detached_head(project: Project) -> None:
    project.git("checkout", "-q", "--detach")
    found = git.inspect(project.root)
    assert found is not None
    assert found.branch is None
    assert found.commit


def test_a_range_is_its_commits(project: Project) -> None:
    first = project.commit()
    made = []
    for number in range(3):
        project.write("README", f"{number}\n")
        made.append(project.commit())
    assert git.commits_of(project.root, f"{first[:9]}..HEAD") == made[::-1]
    assert git.commits_of(project.root, "HEAD~1") == [made[1]]
    for name in ("nowhere", "--all", "README"):
        with pytest.raises(git.GitFailed):
            git.commits_of(project.root, name)
