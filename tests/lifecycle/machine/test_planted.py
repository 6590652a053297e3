"""Bugs that were planted are found: a machine that misses them proves nothing when it finds none."""

from __future__ import annotations

import pytest

from tests.lifecycle.machine.planted import found

# `make campaign-lifecycle` plants all of them.
SOME = ("an edge added to the table", "an approval bound to nothing", "an event told twice")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", SOME)
def test_what_is_planted_is_found(name: str) -> None:
    assert found(name)
