"""What was tried, and what came of it: edges taken, edges refused by the actions and by the database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.lifecycle.machine.things import EDGES, STAGES, STATE_EDGES, STATES

Edge = tuple[str, str, str]


class Tally:
    """Counts over all examples of a run."""

    def __init__(self) -> None:
        self.steps = 0
        self.taken: Counter[Edge] = Counter()
        self.refused: dict[Edge, Counter[str]] = defaultdict(Counter)
        self.forced: Counter[Edge] = Counter()
        # Every refusal, of whatever call.
        self.codes: Counter[str] = Counter()

    def refuse(self, tried: Edge | None, code: str) -> None:
        self.codes[code] += 1
        if tried:
            self.refused[tried][code] += 1

    def untaken(self) -> list[Edge]:
        """The legal edges that nobody took."""
        legal = [("stage", *edge) for edge in EDGES] + [("promotion", *edge) for edge in STATE_EDGES]
        return sorted(edge for edge in legal if not self.taken[edge])

    def untried(self) -> list[Edge]:
        """The illegal edges that nobody tried: of stages by the actions, of promotions by SQL at least."""
        stages = [("stage", a, b) for a in STAGES for b in STAGES if (a, b) not in EDGES]
        states = [("promotion", a, b) for a in STATES for b in STATES if a != b and (a, b) not in STATE_EDGES]
        return sorted(
            [edge for edge in stages if not self.refused.get(edge)]
            + [edge for edge in states if not self.refused.get(edge) and not self.forced[edge]]
        )

    def lines(self) -> Iterator[str]:
        """A table: each edge, whether it is legal, how often it was taken, refused by whom."""
        yield f"{'':9} {'from':18} {'to':18} {'legal':5} {'taken':>6} {'refused':>8} {'by SQL':>7}  said"
        for kind, names, legal in (("stage", STAGES, EDGES), ("promotion", STATES, STATE_EDGES)):
            for edge in [
                (kind, a, b) for a in names for b in names if (a, b) in legal or a != b or kind == "stage"
            ]:
                said = self.refused.get(edge, Counter())
                codes = ", ".join(f"{code} {count}" for code, count in said.most_common())
                yes = "yes" if edge[1:] in legal else ""
                yield (
                    f"{kind:9} {edge[1]:18} {edge[2]:18} {yes:5} {self.taken[edge]:6} {said.total():8} "
                    f"{self.forced[edge]:7}  {codes}"
                ).rstrip()
