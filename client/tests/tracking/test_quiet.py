"""Nothing is installed before a run, and nothing is seen outside of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import assay
from client.tests.tracking.conftest import Project

QUIET = """
import sys, multiprocessing.process
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event == "sys.addaudithook" else None)
start, finders = multiprocessing.process.BaseProcess.start, list(sys.meta_path)
import assay
assay.track(model="a/b")(print)
assert seen == [] and sys.meta_path == finders and multiprocessing.process.BaseProcess.start is start
print("quiet")
"""

ONCE = """
import multiprocessing.process
hooks = []
sys.addaudithook(lambda event, _: hooks.append(event) if event == "sys.addaudithook" else None)
start, finders = multiprocessing.process.BaseProcess.start, list(sys.meta_path)
for _ in range(3):
    with assay.run(namespace="fraud", client=Recorder()):
        pass
assert hooks == ["sys.addaudithook"], hooks
assert sys.meta_path == finders and multiprocessing.process.BaseProcess.start is start
with assay.run(namespace="fraud", client=recorder):
    pass
"""


def test_nothing_before_the_first_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", QUIET], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout.strip() == "quiet", done.stderr


def test_one_hook_for_all_runs_and_everything_put_back(project: Project) -> None:
    project.train(ONCE)


def test_the_wrong_use_of_the_decorator_says_what_is_right() -> None:
    with pytest.raises(TypeError, match="model="):
        assay.track(lambda: None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="register=False"):
        assay.track()
    with pytest.raises(TypeError, match="namespace="):
        assay.track(register=False)
    with pytest.raises(assay.ReferenceInvalid):
        assay.track(model="noslash")

    async def training() -> None: ...

    with pytest.raises(TypeError, match="coroutine"):
        assay.track(model="a/b")(training)


def test_a_tracked_function_is_still_itself() -> None:
    @assay.track(model="a/b")
    def training(depth: int) -> int:
        """Trains."""
        return depth

    assert (training.__name__, training.__doc__) == ("training", "Trains.")
