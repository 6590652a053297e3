"""A project in a Git repository, whose training scripts are run as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[3]
HEAD = """
import atexit, json, os, sys
import assay
from client.tests.tracking.recorder import Recorder

recorders = []
def write():
    with open({record!r}, "w") as file:
        json.dump([each.record() for each in recorders], file)
atexit.register(write)
"""
LAST = "recorder = Recorder()\nrecorders.append(recorder)\n"
EACH = """
root = os.getcwd()
def one(body):
    os.chdir(root)
    recorders.append(Recorder())
    with assay.run(namespace="fraud", client=recorders[-1]):
        exec(body, globals())
"""


@dataclass
class Told:
    """What one process told the registry, and what it printed."""

    calls: list[tuple[str, dict[str, Any]]]
    parameters: dict[str, str]
    metrics: list[dict[str, Any]]
    tags: dict[str, str]
    datasets: dict[str, dict[str, Any]]
    pushed: dict[str, str]
    output: str = ""
    errors: str = ""
    code: int = 0

    def call(self, name: str) -> dict[str, Any]:
        (facts,) = [facts for called, facts in self.calls if called == name]
        return facts

    @property
    def state(self) -> str:
        return str(self.call("update_run")["capture"]["state"])

    @property
    def notes(self) -> str:
        return "\n".join(self.call("update_run")["capture"]["notes"])


@dataclass
class Project:
    """A folder with a Git repository; `data/` is ignored by Git."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, path: str, content: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=ben", "-c", "user.email=ben@example.com", *arguments],
            cwd=self.root,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "work")
        return self.git("rev-parse", "HEAD")

    def train(self, body: str, *arguments: str, commit: bool = True, fails: bool = False) -> Told:
        """Write `train.py` with `assay` and a `recorder` at hand, commit it, run it."""
        (told,) = self._run(LAST + body, *arguments, commit=commit, fails=fails)
        return told

    def train_each(self, before: str, bodies: list[str]) -> list[Told]:
        """The same for several statements, each in a run of its own, in one process: it takes long to start one."""
        return self._run(f"{EACH}{before}\nfor body in {bodies!r}:\n    one(body)\n")

    def _run(self, script: str, *arguments: str, commit: bool = True, fails: bool = False) -> list[Told]:
        record = self.root.parent / "record.json"
        record.unlink(missing_ok=True)
        self.write("train.py", HEAD.format(record=str(record)) + script)
        if commit:
            self.commit()
        done = subprocess.run(
            [sys.executable, "train.py", *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(TESTS), **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert fails == bool(done.returncode), done.stderr
        told = [Told(**each) for each in json.loads(record.read_text())]
        for each in told:
            each.output, each.errors, each.code = done.stdout, done.stderr, done.returncode
        return told


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's cache or kept runs take part in a test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("ASSAY_IMAGE_DIGEST", raising=False)
    monkeypatch.delenv("ASSAY_ON_UNREACHABLE", raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    root.mkdir()
    made = Project(root)
    made.git("init", "-q", "-b", "main")
    made.write(".gitignore", "data/\nout/\n__pycache__/\n")
    made.write("README", "a project\n")
    made.commit()
    return made


@pytest.fixture
def sha256_of() -> Callable[[Path], str]:
    def digest(path: Path) -> str:
        done = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True)
        return f"sha256:{done.stdout.split()[0]}"

    return digest
