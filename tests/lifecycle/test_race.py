"""Two approved promotions of one model, sixteen apply calls each, across processes, behind a barrier."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from config.environment import CHECKOUT
from lifecycle.actions.promotions import roll_back
from lifecycle.models import Approval, Promotion, State
from lifecycle.promotions import settle
from registry.models import Event, ModelVersion, StageChange
from tests.cast import Cast, make_cast
from tests.factories import promotion_at

ROUNDS = 5
PROCESSES = 4
CALLS_EACH = 16


def approved(cast: Cast) -> Promotion:
    """Waiting, with the approval written but not yet put into effect: what a dying web process leaves."""
    promotion = promotion_at(cast, "awaiting_approval")
    Approval.objects.create(
        promotion=promotion,
        by=cast.user("cora"),
        verdict="approve",
        binding=promotion.binding,
        at=timezone.now(),
    )
    return promotion


@pytest.mark.django_db(transaction=True)
def test_one_is_applied_and_the_other_void(app_db: psycopg.Connection[Any]) -> None:
    pairs: list[list[Promotion]] = []
    rounds: list[dict[str, Any]] = []
    for number in range(ROUNDS):
        cast = make_cast()
        pair = [approved(cast), approved(cast)]
        pairs.append(pair)
        calls = [str(p.pk) for p in pair] * (CALLS_EACH // PROCESSES)
        rounds.append({"lock": 7_000_000 + number, "calls": calls, "by": str(cast.user("cora").pk)})
        app_db.execute("SELECT pg_advisory_lock(%s)", [7_000_000 + number])
    racers = [racer(rounds) for _ in range(PROCESSES)]

    for pair, race in zip(pairs, rounds, strict=True):
        let_go_when_all_wait(app_db, race["lock"], len(race["calls"]) * PROCESSES)
        said = Counter(outcome for process in racers for outcome in json.loads(process.stdout.readline()))
        check(pair, said)
    for process in racers:
        process.stdout.close()
        assert process.wait(timeout=30) == 0


def racer(rounds: list[dict[str, Any]]) -> Any:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.lifecycle.racer"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"rounds": rounds}))
    process.stdin.close()
    return process


def let_go_when_all_wait(app_db: psycopg.Connection[Any], lock: int, callers: int) -> None:
    """Open the barrier when every caller stands at it."""
    deadline = time.monotonic() + 60
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
    while (row := app_db.execute(waiting, [lock]).fetchone()) != (callers,):
        assert time.monotonic() < deadline, f"only {row} of {callers} callers came to the barrier"
        time.sleep(0.01)
    app_db.execute("SELECT pg_advisory_unlock(%s)", [lock])


def check(pair: list[Promotion], said: Counter[str]) -> None:
    assert said[State.APPLIED] == 1, said
    # The other is void: found so by the first of its own calls, or by the one that was applied.
    assert said[State.VOID] <= 1, said
    assert said["refused promotion-closed"] == 2 * CALLS_EACH - 1 - said[State.VOID], said
    for promotion in pair:
        promotion.refresh_from_db()
    assert sorted(p.state for p in pair) == [State.APPLIED, State.VOID]
    applied, void = sorted(pair, key=lambda p: p.state)
    assert void.outcome.startswith("production changed")
    in_production = ModelVersion.objects.get(model=applied.version.model_id, stage="production")
    assert in_production.pk == applied.version_id
    assert (
        StageChange.objects.filter(version__model=applied.version.model_id, to_stage="production").count()
        == 1
    )
    assert Event.objects.filter(subject_id=applied.pk, type="promotion.applied").count() == 1
    assert Event.objects.filter(subject_id=void.pk, type="promotion.void").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_move_is_of_the_time_at_which_it_was_made(app_db: psycopg.Connection[Any]) -> None:
    """Who waits for the model's lock writes no time in which somebody else still moved its versions: what was in
    production then is read from these times."""
    cast = make_cast()
    first = promotion_at(cast, "applied").version
    promotion_at(cast, "applied", value=0.95)
    back = roll_back(model=first.model, reason="errors", by=cast.principal("cora"))

    def call() -> None:
        settle(promotion_id=back.pk)
        connection.close()

    with ThreadPoolExecutor(max_workers=1) as threads:
        with app_db.transaction():
            app_db.execute(
                "SELECT id FROM registry_registeredmodel WHERE id = %s FOR UPDATE", [first.model_id]
            )
            waiting = threads.submit(call)
            let_it_wait(app_db)
            let_go = timezone.now()
        waiting.result(timeout=30)

    moves = StageChange.objects.filter(promotion_id=back.pk)
    assert len(moves) == 2
    assert all(move.at >= let_go for move in moves)


def let_it_wait(app_db: psycopg.Connection[Any]) -> None:
    """Until somebody waits for a lock that this connection holds."""
    asked = "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    deadline = time.monotonic() + 30
    while app_db.execute(asked).fetchone() is None:
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)
