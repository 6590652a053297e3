"""A short run of the machine; `make campaign-lifecycle` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lifecycle.machine.running import by_chance, machine, tour
from tests.lifecycle.machine.things import EDGES, STATE_EDGES

PAGE = Path(__file__).resolve().parents[3] / "lifecycle" / "STATES.md"


@pytest.mark.django_db(transaction=True)
def test_every_legal_edge_is_taken_and_every_other_refused() -> None:
    run = machine()
    tour(run)

    assert run.tally.untaken() == []
    assert run.tally.untried() == []


@pytest.mark.django_db(transaction=True)
def test_what_happens_is_what_ought_to_happen() -> None:
    run = machine()
    by_chance(run, examples=4, rules=14)

    assert run.tally.steps > 50


def test_the_oracle_knows_the_edges_of_the_page() -> None:
    page = PAGE.read_text()

    for edges, part in (
        (EDGES, page.partition("## States of a promotion")[0]),
        (STATE_EDGES, page.partition("## States of a promotion")[2]),
    ):
        told = [line.partition(":")[0].split(" --> ") for line in part.splitlines() if " --> " in line]
        assert sorted((a.strip(), b.strip()) for a, b in told if "[*]" not in a) == sorted(edges)
