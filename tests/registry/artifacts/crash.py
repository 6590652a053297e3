"""kill -9 at every step: each database statement, COMMIT and call of the store, before it and after it.

A child process does the work and is killed at the nth step, for n = 1, 2, ... until it comes to its end.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from botocore.client import BaseClient
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

MOST = 2_000


class Steps:
    """Counts steps, and kills the process at one of them."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.taken = 0
        self.kinds: Counter[str] = Counter()
        self._lock = threading.Lock()

    def step(self, kind: str) -> None:
        with self._lock:
            self.taken += 1
            self.kinds[kind] += 1
            if self.taken == self.fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    def before(self, kind: str, function: Callable[..., Any]) -> Any:
        """`function`, a step before it."""

        def method(*args: Any, **kwargs: Any) -> Any:
            self.step(kind)
            return function(*args, **kwargs)

        return method

    def around(self, kind: str, function: Callable[..., Any]) -> Any:
        """`function`, a step before it and one after: done, and nobody knows."""

        def method(*args: Any, **kwargs: Any) -> Any:
            self.step(kind)
            try:
                return function(*args, **kwargs)
            finally:
                self.step(kind)

        return method


def dies_at(step: int, act: Callable[[], None]) -> bool:
    """Do `act` in a child that is killed at that step; False when it ended before. Raises when it failed."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            with watched(Steps(step)):
                act()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    assert os.WIFEXITED(status), status
    assert os.WEXITSTATUS(status) == 0, "the child raised: see its traceback above"
    return False


@contextmanager
def watched(steps: Steps) -> Iterator[None]:
    """Every database statement, COMMIT and call of the store is a step while the block runs."""
    patches = [
        mock.patch.object(CursorWrapper, "execute", steps.before("statement", CursorWrapper.execute)),
        mock.patch.object(CursorWrapper, "executemany", steps.before("statement", CursorWrapper.executemany)),
        mock.patch.object(
            BaseDatabaseWrapper,
            "_commit",
            steps.around("commit", BaseDatabaseWrapper._commit),  # type: ignore[attr-defined]
        ),
        mock.patch.object(BaseClient, "_make_api_call", steps.around("store", BaseClient._make_api_call)),  # type: ignore[attr-defined]
    ]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def every_step(
    prepare: Callable[[], Any],
    act: Callable[[Any], None],
    check: Callable[[Any, int], None],
    *,
    stride: int = 1,
) -> int:
    """Kill `act(prepare())` at each of its steps (each `stride`th) and `check` what is left, until it ends.

    Returns how many kills there were.
    """
    for kills, step in enumerate(range(1, MOST, stride)):
        thing = prepare()
        died = dies_at(step, lambda: act(thing))  # noqa: B023 - called at once
        check(thing, step)
        if not died:
            return kills
    raise AssertionError(f"it does not end within {MOST} steps")
