"""A few rounds of the race under kills; `make campaign-lifecycle` runs a hundred."""

from __future__ import annotations

import pytest

from tests.lifecycle.kills.racing import race
from tests.lifecycle.kills.round import CALLS

pytestmark = pytest.mark.django_db(transaction=True)


def test_everybody_is_told_the_truth_whatever_is_killed() -> None:
    raced = race(2, processes=2)

    assert raced.wrong == []
    assert raced.calls == 2 * CALLS
    assert raced.kills > 0
    assert raced.looks > 20


def test_without_the_models_lock_something_is_wrong() -> None:
    assert race(8, processes=1, pause=0, without_lock=True).wrong
