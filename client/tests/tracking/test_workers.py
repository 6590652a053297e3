"""What worker processes read belongs to the run, however they are started."""

from __future__ import annotations

import pytest

from client.tests.tracking.conftest import Project

READ = """
import multiprocessing as m
def read(path):
    with open(path) as file:
        return file.read()

if __name__ == "__main__":
    with assay.run(namespace='fraud', client=recorder):
        {start}
"""


@pytest.mark.parametrize(
    "start",
    [
        "p = m.get_context('fork').Process(target=read, args=('data/f',)); p.start(); p.join()",
        "p = m.get_context('spawn').Process(target=read, args=('data/f',)); p.start(); p.join()",
        "m.get_context('fork').Pool(2).map(read, ['data/f'])",
        "from concurrent.futures import ProcessPoolExecutor as E; list(E(1).map(read, ['data/f']))",
        "from joblib import Parallel, delayed; Parallel(n_jobs=2)(delayed(read)(p) for p in ['data/f', 'data/f'])",
    ],
)
def test_a_file_read_by_a_worker_is_seen(project: Project, start: str) -> None:
    project.write("data/f", "x")
    told = project.train(READ.format(start=start))
    assert (list(told.datasets), told.state) == (["data/f"], "complete"), told.notes


def test_workers_from_before_the_run_cannot_be_seen_and_it_says_so(project: Project) -> None:
    project.write("data/f", "x")
    body = READ.replace(
        "    with assay",
        "    pool = m.get_context('fork').Pool(1)\n    with assay",
    )
    told = project.train(body.format(start="pool.map(read, ['data/f'])"))
    assert told.state == "unknown"
    assert "started before the run" in told.notes


def test_a_worker_that_is_killed_has_told_what_it_read(project: Project) -> None:
    project.write("data/f", "x")
    start = "p = m.get_context('fork').Process(target=die); p.start(); p.join()"
    die = "def die():\n    import os, signal\n    read('data/f')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    assert list(project.train(die + READ.format(start=start)).datasets) == ["data/f"]
