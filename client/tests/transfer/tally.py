"""A progress that counts."""

from __future__ import annotations

from collections import Counter
from threading import Lock

from assay.transfer.progress import Step


class Tally:
    """Remembers the totals announced and the bytes done, and the most that was ever done of a step."""

    def __init__(self) -> None:
        self.total: dict[Step, int] = {}
        self.done: Counter[Step] = Counter()
        self.most: Counter[Step] = Counter()
        self._lock = Lock()

    def begin(self, step: Step, total: int) -> None:
        with self._lock:
            self.total[step] = total
            self.done[step] = 0

    def advance(self, step: Step, amount: int) -> None:
        with self._lock:
            self.done[step] += amount
            self.most[step] = max(self.most[step], self.done[step])
