"""Children that die are started again, patiently, and loudly when it does not help."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.embedded.process import Child
from config.embedded.restarter import Restarter
from config.embedded.supervisor import Stack


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A stack of one child that ends at once, a clock of ours, and what was said."""

    def __init__(self, folder: Path, command: str) -> None:
        self.stack = Stack(folder, given={})
        self.child = Child("worker", ["sh", "-c", command], log=folder / "worker.log")
        self.stack.children["worker"] = self.child
        self.clock = Clock()
        self.said: list[str] = []
        self.restarter = Restarter(
            self.stack, lambda name, text: self.said.append(f"{name}: {text}"), self.clock
        )

    def die(self) -> None:
        """Wait for the child to end, and let it be noticed."""
        deadline = time.monotonic() + 5
        while self.child.running and time.monotonic() < deadline:
            time.sleep(0.01)
        self.restarter.look()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path, "echo cannot reach the moon; exit 7")
    made.child.start()
    yield made
    made.child.kill()


def test_the_first_death_is_answered_at_once(watched: Watched) -> None:
    first = watched.child.pid
    watched.die()
    assert watched.said == ["worker: ended with 7; starting it again now"]
    watched.restarter.look()
    assert watched.child.pid != first


def test_the_next_ones_with_growing_patience(watched: Watched) -> None:
    delays = []
    for _ in range(7):
        watched.die()
        pid, waited = watched.child.pid, 0
        while watched.child.pid == pid:
            watched.restarter.look()
            if watched.child.pid == pid:
                watched.clock.now += 1
                waited += 1
        delays.append(waited)
    assert delays == [0, 1, 2, 4, 8, 15, 15]


def test_the_fifth_within_a_minute_is_loud_and_shows_the_log(watched: Watched) -> None:
    for _ in range(5):
        watched.die()
        watched.clock.now += 8
        watched.restarter.look()
    loud = [line for line in watched.said if "!!!" in line]
    assert len(loud) == 1
    assert "has ended 5 times within a minute" in loud[0]
    assert "cannot reach the moon" in loud[0]


def test_deaths_long_apart_are_not_counted_together(watched: Watched) -> None:
    for _ in range(8):
        watched.die()
        watched.restarter.look()
        watched.clock.now += 61
    assert not [line for line in watched.said if "!!!" in line or "in 1 s" in line]


def test_one_that_lives_is_left_alone(tmp_path: Path) -> None:
    made = Watched(tmp_path, "sleep 300")
    made.child.start()
    pid = made.child.pid
    made.restarter.look()
    assert made.child.pid == pid
    assert made.said == []
    made.child.kill()
