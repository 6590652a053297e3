"""`with assay.run()` in a notebook: cells are run as a kernel runs them, in one namespace, from no file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from client.tests.tracking.recorder import Recorder

CELLS = [
    "import assay",
    "token = 'c4n4ry-7f3a9b'",
    "with assay.run(namespace='fraud', client=recorder) as run:\n    run.log_metric('auc', 0.5)",
]


def kernel(cells: list[str], **names: Any) -> None:
    """What IPython does: `In` holds what was run, a cell is compiled under a name of its own."""
    names |= {"__name__": "__main__", "In": [""], "get_ipython": lambda: None}
    for number, cell in enumerate(cells, start=1):
        names["In"].append(cell)
        exec(compile(cell, f"<ipython-input-{number}-abc>", "exec"), names)  # noqa: S102 - as a kernel does


@pytest.fixture(autouse=True)
def _in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_notebook_and_the_cells_that_were_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ben/explore.ipynb")
    recorder = Recorder()
    kernel(CELLS, recorder=recorder)
    made = recorder.told("create_run")
    assert made["entry_point"] == "explore.ipynb"
    assert (
        made["code"]["source_digest"] == "sha256:" + hashlib.sha256("\n\n".join(CELLS).encode()).hexdigest()
    )
    assert "c4n4ry" not in repr(recorder.calls), "only the digest of the cells leaves"


def test_where_no_front_end_says_its_name() -> None:
    recorder = Recorder()
    kernel(CELLS, recorder=recorder)
    assert recorder.told("create_run")["entry_point"] == "notebook"
    recorder = Recorder()
    kernel(CELLS, recorder=recorder, __vsc_ipynb_file__="/x/code.ipynb")
    assert recorder.told("create_run")["entry_point"] == "code.ipynb"


def test_other_cells_are_another_source() -> None:
    first, second = Recorder(), Recorder()
    kernel(CELLS, recorder=first)
    kernel(["x = 1", *CELLS], recorder=second)
    digests = {each.told("create_run")["code"]["source_digest"] for each in (first, second)}
    assert len(digests) == 2
