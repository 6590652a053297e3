"""The short form of `make campaign-webhooks`."""

from __future__ import annotations

import pytest

from config.celery import app as celery_app
from tests.conftest import Process
from tests.registry.journal.storm import an_hour_down, seeded, weather

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_happens_in_a_storm_is_told_once_in_effect_and_in_order(broker: Process) -> None:
    with celery_app.connection_for_write() as link:
        celery_app.control.purge(connection=link)
    wrong, done = weather(120, hurt=1.0, most=2, patience=90)
    assert wrong == []
    assert (done["flushed"], done["killed"]) == (1, 1)
    assert done["doubled"] > 0


def test_a_receiver_that_is_down_for_an_hour_hears_it_all() -> None:
    assert an_hour_down(6) == []


def test_a_message_taken_out_of_turn_is_caught() -> None:
    assert seeded(8)
