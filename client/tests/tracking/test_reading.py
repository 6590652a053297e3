"""Whole projects, each read in its own way: everything they read is found, or said to be unknown."""

from __future__ import annotations

import pytest

from client.tests.tracking.conftest import Project
from client.tests.tracking.projects import READINGS
from client.tests.tracking.reading import Reading, prepare, watch

# The others are in `make campaign-capture`, with strace as the truth.
SHORT = ("DuckDB", "h5py", "PIL folders", "joblib and multiprocessing workers", "subprocess")


@pytest.mark.parametrize("unchanged", [False, True], ids=["inside a run", "assay run"])
@pytest.mark.parametrize(
    "reading", [each for each in READINGS if each.name in SHORT], ids=lambda each: each.name
)
def test_what_a_project_reads_is_found(project: Project, reading: Reading, unchanged: bool) -> None:
    prepare(project, reading)
    found = watch(project, set(reading.reads), unchanged=unchanged)
    unseen = set(reading.foreign if unchanged else reading.unseen)
    assert (found.missed, found.invented, found.wrong) == (unseen, set(), []), found.notes
    assert found.state == ("unknown" if unseen else "complete"), found.notes


def test_a_blind_eye_is_noticed(project: Project) -> None:
    """What holds the two against each other sees a miss that nobody was told of."""
    (reading,) = [each for each in READINGS if each.name == "h5py"]
    prepare(project, reading)
    assert not watch(project, set(reading.reads), blind_to="h5py").is_honest
