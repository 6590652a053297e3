"""Children that die are started again."""

from __future__ import annotations

import time
from collections.abc import Callable

from config.embedded.process import Child, ChildFailed
from config.embedded.supervisor import Stack


class Restarter:
    """Starts the dead again: at once, then after 1, 2, 4 ... 15 s; loudly from the fifth in a minute."""

    WINDOW, LOUD, LONGEST = 60.0, 5, 15.0

    def __init__(
        self, stack: Stack, say: Callable[[str, str], None], clock: Callable[[], float] = time.monotonic
    ):
        self.stack = stack
        self.say = say
        self.clock = clock
        self._deaths: dict[str, list[float]] = {}
        self._due: dict[str, float] = {}

    def look(self) -> None:
        """Notice the dead, start those whose time has come."""
        now = self.clock()
        for name, child in self.stack.children.items():
            if child.running:
                continue
            if name not in self._due:
                self._notice(name, child, now)
            elif now >= self._due[name]:
                del self._due[name]
                self._start(name)

    def _notice(self, name: str, child: Child, now: float) -> None:
        code = child.exit_code
        child.kill()  # whatever it left behind
        deaths = [moment for moment in self._deaths.get(name, []) if now - moment < self.WINDOW] + [now]
        self._deaths[name] = deaths
        delay = min(self.LONGEST, 2.0 ** (len(deaths) - 2)) if len(deaths) > 1 else 0.0
        self._due[name] = now + delay
        when = f"in {delay:.0f} s" if delay else "now"
        self.say(name, f"ended with {code}; starting it again {when}")
        if len(deaths) >= self.LOUD:
            self.say(
                name,
                f"!!! {name} has ended {len(deaths)} times within a minute and cannot do its work. "
                f"Its last lines:\n{child.last_lines()}",
            )

    def _start(self, name: str) -> None:
        try:
            self.stack.start(name, wait=False)
        except (OSError, ChildFailed) as error:
            self.say(name, f"cannot be started: {error}")
