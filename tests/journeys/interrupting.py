"""A client that is killed (-9) in the middle of a transfer, and another that goes on.

As a program (`python -m tests.journeys.interrupting push|pull ...`) it is that client: it counts the bytes that
travel and ends with them as JSON, or kills itself at a share of the way. As a module it runs those and says what
was sent twice.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import assay
from assay.transfer import download, upload
from assay.transfer.hashing import PART_SIZE
from assay.transfer.progress import Step
from assay.transfer.target import RANGE

NEVER = 2.0


class Counting:
    """Counts what travels; kills the process when `share` of the bytes of `step` has."""

    def __init__(self, step: Step, share: float) -> None:
        self.step, self.share = step, share
        self.total: dict[Step, int] = {}
        self.moved: Counter[Step] = Counter()
        self._lock = Lock()

    def begin(self, step: Step, total: int) -> None:
        self.total[step] = total

    def advance(self, step: Step, amount: int) -> None:
        with self._lock:
            self.moved[step] += max(amount, 0)
            if step == self.step and self.moved[step] >= self.share * self.total[step]:
                os.kill(os.getpid(), signal.SIGKILL)


def client(way: str, what: str, where: str, share: float, side_by_side: int) -> dict[str, Any]:
    """Push the folder `what` to the model `where`, or pull the version `what` to the folder `where`."""
    for module in (upload, download):
        vars(module)["WORKERS"] = side_by_side
    counting = Counting("upload" if way == "push" else "download", share)
    began = time.monotonic()
    with assay.Client() as ours:
        if way == "push":
            version = ours.push(what, where, progress=counting)
        else:
            ours.pull(what, where, progress=counting)
            version = ours.version(what)
    return {
        "reference": version["reference"],
        "moved": counting.moved[counting.step],
        "total": counting.total.get(counting.step, 0),
        "hashed": counting.moved["hash"],
        "seconds": time.monotonic() - began,
    }


def run(env: Mapping[str, str], *arguments: object) -> dict[str, Any] | None:
    """What the client told; None when it was killed."""
    command = [sys.executable, "-m", "tests.journeys.interrupting", *map(str, arguments)]
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def push_killed_half_way(
    env: Mapping[str, str], folder: Path, model: str, *, side_by_side: int
) -> tuple[str, int, int]:
    """The version, the bytes that the second client sent, and the most that it should have had to."""
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert run(env, "push", folder, model, 0.5, side_by_side) is None
    told = run(env, "push", folder, model, NEVER, side_by_side)
    assert told is not None
    # What had not left, and what was on its way.
    return told["reference"], told["moved"], size - size // 2 + side_by_side * PART_SIZE


def pull_killed_half_way(
    env: Mapping[str, str], reference: str, folder: Path, size: int, *, side_by_side: int
) -> tuple[int, int]:
    """The bytes that the second client fetched, and the most that it should have had to."""
    assert run(env, "pull", reference, folder, 0.5, side_by_side) is None
    kept = sum(len(path.read_text().splitlines()) - 1 for path in folder.rglob(".*.ranges"))
    told = run(env, "pull", reference, folder, NEVER, side_by_side)
    assert told is not None
    # Ranges that were kept count as moved when they are taken up.
    return told["moved"] - kept * RANGE, size - size // 2 + side_by_side * RANGE


if __name__ == "__main__":
    way, what, where, share, side_by_side = sys.argv[1:]
    print(json.dumps(client(way, what, where, float(share), int(side_by_side))))
