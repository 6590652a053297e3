"""What a run is told of the files that a project reads, held against the truth.

A short form of what `make campaign-capture` does with all projects, and strace, is in test_reading.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assay.tracking.folders import folder_digest
from client.tests.tracking.conftest import TESTS, Project

WATCHED = """
import json, os, runpy, sys
import assay
from assay.tracking import readers
from client.tests.tracking.recorder import Recorder

if __name__ == "__main__":
    blind = os.environ.get("BLIND_TO")
    if blind:  # a defect on purpose: these readers are not looked at
        readers.READERS = tuple(each for each in readers.READERS if not each.module.startswith(blind))
    recorder, record = Recorder(), sys.argv.pop(1)
    sys.argv.pop(0)
    try:
        with assay.run(namespace="fraud", client=recorder):
            runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        with open(record, "w") as file:
            json.dump({"datasets": recorder.datasets, "capture": recorder.capture}, file)
"""
# As `assay run` does it: the script is a program of its own that knows nothing of us.
UNCHANGED = """
import json, sys
from assay.tracking.command import take_apart
from assay.tracking.program import ProgramRun
from assay.tracking.runs import Options
from client.tests.tracking.recorder import Recorder

recorder = Recorder()
ours = ProgramRun(Options("fraud", client=recorder), take_apart([sys.executable, *sys.argv[2:]]))
status = ours.train()
ours.finish(status, quiet=False)
with open(sys.argv[1], "w") as file:
    json.dump({"datasets": recorder.datasets, "capture": recorder.capture}, file)
sys.exit(status)
"""


@dataclass(frozen=True)
class Reading:
    """`reads` are the files under `data/` that the script reads.

    Of them `unseen` are read by other programs; `foreign` are those read by programs that are not Python, too.
    """

    name: str
    script: str
    make: Callable[[Path], None]
    reads: tuple[str, ...]
    unseen: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


@dataclass
class Found:
    """What a run was told, against the files that were read."""

    opened: set[str]
    recorded: set[str]
    wrong: list[str]
    state: str
    notes: list[str]

    @property
    def missed(self) -> set[str]:
        return self.opened - self.recorded

    @property
    def invented(self) -> set[str]:
        return self.recorded - self.opened

    @property
    def is_honest(self) -> bool:
        """Nothing was missed without a word, made up, or given another content's digest."""
        return not self.invented and not self.wrong and (not self.missed or self.state == "unknown")


def prepare(project: Project, reading: Reading) -> None:
    data = project.root / "data"
    data.mkdir()
    reading.make(data)
    project.write("train.py", reading.script)
    project.write("watched.py", WATCHED)
    project.commit()


def watch(project: Project, opened: set[str], *, unchanged: bool = False, blind_to: str = "") -> Found:
    """Run the script inside a run, or `unchanged` as a run, and compare. `opened` are paths in the project."""
    record = project.root.parent / "record.json"
    done = subprocess.run(
        [sys.executable, *(["-c", UNCHANGED] if unchanged else ["watched.py"]), str(record), "train.py"],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": str(TESTS), "BLIND_TO": blind_to},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(record.read_text())
    recorded: set[str] = set()
    wrong: list[str] = []
    for name, use in told["datasets"].items():
        if name.startswith("query "):
            continue
        folder = project.root / name
        paths = {name} if not folder.is_dir() else {path for path in opened if path.startswith(f"{name}/")}
        recorded |= paths
        if use["digest"] != _digest(project.root, name, paths):
            wrong.append(name)
    return Found(opened, recorded, wrong, told["capture"]["state"], told["capture"]["notes"])


def _digest(root: Path, name: str, paths: set[str]) -> str:
    if not (root / name).is_dir():
        return _sha256(root / name)
    files = [
        (path.removeprefix(f"{name}/"), (root / path).stat().st_size, _sha256(root / path)) for path in paths
    ]
    return folder_digest(files)


def _sha256(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
