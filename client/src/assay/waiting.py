"""Waiting for the server to finish what it was asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from typing import TypeVar

from assay.answers import Promotion, Version
from assay.errors import TimedOut

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0

State = TypeVar("State", Version, Promotion)


def wait_while(
    state: State, read: Callable[[], State], key: str, going_on: Set[str], timeout: float
) -> State:
    """Read again until `state[key]` is none of `going_on`. Raises TimedOut after `timeout` seconds."""
    end, pause = time.monotonic() + timeout, FIRST_PAUSE
    while (now := str(dict(state)[key])) in going_on:
        if time.monotonic() > end:
            raise TimedOut(f"Still {now} after {timeout:g} seconds: ask again later.", state)
        time.sleep(pause)
        pause = min(pause * 1.2, LONGEST_PAUSE)
        state = read()
    return state
