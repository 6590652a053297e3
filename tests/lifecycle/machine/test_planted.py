"""Bugs that were planted are found: a machine that misses them proves nothing when it finds none."""

from __future__ import annotations

import pytest

from tests.lifecycle.machine.planted import PLANTED, found


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found(name: str) -> None:
    assert found(name)
