"""Waiting for the server to finish what it was asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from typing import TypeVar

from assay.answers import Promotion, Version
from assay.errors import TimedOut

# A twentieth of the time waited so far, so that what is quick is not made slow by asking.
SHORTEST_PAUSE, LONGEST_PAUSE, SHARE = 0.1, 1.0, 0.05

State = TypeVar("State", Version, Promotion)


def wait_while(
    state: State, read: Callable[[], State], key: str, going_on: Set[str], timeout: float
) -> State:
    """Read again until `state[key]` is none of `going_on`. Raises TimedOut after `timeout` seconds."""
    began = time.monotonic()
    while (now := str(dict(state)[key])) in going_on:
        waited = time.monotonic() - began
        if waited > timeout:
            raise TimedOut(f"Still {now} after {timeout:g} seconds: ask again later.", state)
        time.sleep(min(max(waited * SHARE, SHORTEST_PAUSE), LONGEST_PAUSE))
        state = read()
    return state
