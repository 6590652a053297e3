"""Rounds of racing calls from several processes, whose connections are killed at random, under a watching eye."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from config.environment import CHECKOUT
from tests.lifecycle.kills.round import Round
from tests.services import superuser

RACER = "assay-racer"
# More than one in production, or an alias that says otherwise, in one look at a model.
AMISS = """SELECT m.id FROM registry_registeredmodel m
    LEFT JOIN registry_modelversion v ON v.model_id = m.id AND v.stage = 'production'
    LEFT JOIN registry_alias a ON a.model_id = m.id AND a.name = 'production'
    WHERE m.id = %s GROUP BY m.id, a.version_id
    HAVING count(v.id) > 1 OR a.version_id IS DISTINCT FROM min(v.id::text)::uuid"""
KILL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = %s AND datname = current_database() AND state <> 'idle' ORDER BY random() LIMIT 1"""


@dataclass
class Raced:
    """What came of it. `lost` counts the answers that did not come, by what was said instead."""

    calls: int = 0
    kills: int = 0
    looks: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def race(rounds: int, *, processes: int = 4, pause: float = 0.15, without_lock: bool = False) -> Raced:
    """So many rounds of sixteen calls; a connection is killed every `pause` seconds on average (0: none).

    `without_lock` plants the bug that the model is not locked; then the first thing that is wrong is enough.
    """
    raced = Raced()
    racers = [_racer(without_lock) for _ in range(processes)]
    try:
        for _ in range(rounds):
            made = Round.made()
            with _watched(raced, made.model.pk), _killed(raced, pause):
                told = _let_go(racers, made.calls)
            raced.calls += len(told)
            for each in told:
                said = (
                    each["body"].get("code")
                    or each["body"].get("state")
                    or each["body"].get("stage")
                    or "done"
                )
                raced.outcomes[f"{each['id'].rstrip('0123456789 ')}: {said}"] += 1
                raced.lost.update(each["lost"])
                raced.wrong += [f"{each['id']}: {said}" for said in each["lost"] if "deadlock" in said]
            raced.wrong += made.wrong(told)
            if without_lock and raced.wrong:
                break
    finally:
        for process in racers:
            process.stdin.close()
            process.stdout.close()
            process.wait(timeout=60)
    return raced


def _racer(without_lock: bool) -> Any:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.lifecycle.kills.racer",
            *(["without-the-lock"] if without_lock else []),
        ],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PGAPPNAME": RACER},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _let_go(racers: list[Any], calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for at, process in enumerate(racers):
        process.stdin.write(json.dumps({"calls": calls[at :: len(racers)]}) + "\n")
        process.stdin.flush()
    return [each for process in racers for each in json.loads(process.stdout.readline())]


@contextmanager
def _beside(act: Any) -> Iterator[None]:
    """`act` again and again in a thread with a connection of its own, while the block runs."""
    over = threading.Event()
    failed: list[BaseException] = []

    def repeat() -> None:
        try:
            with superuser(os.environ["DATABASE_URL"].rpartition("/")[2]) as session:
                while not over.is_set():
                    act(session)
        except BaseException as error:  # told by the thread that waits
            failed.append(error)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=60)
    if failed:
        raise failed[0]


def _watched(raced: Raced, model: Any) -> Any:
    def look(session: psycopg.Connection[Any]) -> None:
        raced.looks += 1
        if session.execute(AMISS, [model]).fetchall():
            raced.wrong.append(
                "seen while it ran: several versions in production, or an alias that points elsewhere"
            )
        time.sleep(0.005)

    return _beside(look)


def _killed(raced: Raced, pause: float) -> Any:
    def kill(session: psycopg.Connection[Any]) -> None:
        time.sleep(random.random() * 2 * pause if pause else 0.05)
        if pause and session.execute(KILL, [RACER]).fetchone():
            raced.kills += 1

    return _beside(kill)
