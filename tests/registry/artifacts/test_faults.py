"""The store misbehaves: a few of the cells of `make campaign-artifacts-faults`, and the bugs it must see."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults import Fault
from tests.registry.artifacts.faulting import BUGS, OPERATIONS, Cell, a_few, tried, world
from tests.registry.artifacts.operations import World

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_wrong_byte_no_dead_end() -> None:
    with world() as here:
        cells = [tried(here, kind, fault, times=2) for kind, fault in a_few()]
    assert {cell.name: cell.bad for cell in cells if cell.bad} == {}


def test_every_operation_and_every_fault_is_tried() -> None:
    assert {kind for kind, _ in a_few()} == set(OPERATIONS)
    assert {fault for _, fault in a_few()} == set(Fault)
    assert len(OPERATIONS) >= 12
    assert len(Fault) >= 12


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_bugs_are_seen(bug: Callable[[World], Cell]) -> None:
    with world(web=False) as here:
        assert bug(here).bad
