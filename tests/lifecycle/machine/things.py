"""What the oracle remembers of the world, in plain Python, and who may do what in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# From where to where a version goes. Written down here once more, so that an edge added elsewhere is found.
STAGES = ("development", "staging", "production", "archived", "deprecated")
MOVES: dict[str, tuple[tuple[str, ...], str]] = {
    "stage": (("development",), "staging"),
    "produce": (("staging",), "production"),
    "demote": (("staging",), "development"),
    "step_down": (("production",), "archived"),
    "roll_back": (("archived",), "production"),
    "suspend": (("production",), "deprecated"),
    "deprecate": (("development", "staging", "archived"), "deprecated"),
    "reinstate": (("deprecated",), "development"),
    "archive": (("deprecated",), "archived"),
}
EDGES = frozenset((source, target) for sources, target in MOVES.values() for source in sources)
OPEN = ("evaluating", "awaiting_approval")
ENDS = ("gates_failed", "applied", "rejected", "expired", "void", "withdrawn")
STATES = (*OPEN, *ENDS)
STATE_EDGES = frozenset(
    [("evaluating", "awaiting_approval"), ("awaiting_approval", "rejected"), ("evaluating", "gates_failed")]
    + [(state, end) for state in OPEN for end in ("applied", "void", "expired", "withdrawn")]
)

# max holds two roles; cora and olga are operators; bot is olga's account, ci is ada's; mallory is a stranger.
EVERYBODY = ("ada", "ben", "eve", "max", "cora", "olga", "otto", "vera", "ci", "bot", "mallory")
OWNERS = {"ci": "ada", "bot": "olga"}
TRAINERS = ("ben", "max", "bot")
ENGINEERS = frozenset({"ada", "eve", "max"})
OPERATORS = frozenset({"cora", "olga", "max"})
MAKERS = ENGINEERS | {"ben", "ci", "bot"}
ADMINS = frozenset({"ada"})


class Refused(Exception):
    """The oracle's prediction that a call is refused under this code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def allow(by: str, group: frozenset[str]) -> None:
    """A stranger is told nothing, a member without the right is told so."""
    if by == "mallory":
        raise Refused("not-found")
    if by not in group:
        raise Refused("forbidden")


def accounts_of(people: set[str]) -> set[str]:
    """These, the owners of those that are service accounts, and the service accounts of all of them."""
    everyone = people | {OWNERS[name] for name in people if name in OWNERS}
    return everyone | {name for name, owner in OWNERS.items() if owner in everyone}


@dataclass(eq=False)
class Version:
    """A version, and all that was said of it. `row` is what the database calls it."""

    model: str
    maker: str
    row: Any
    stage: str = "development"
    deleted: bool = False
    # (by, reason), each with the row that placed it
    quarantines: list[tuple[str, str]] = field(default_factory=list)
    # (serial, by, value), and (serial, by, passed)
    measured: list[tuple[int, str, float]] = field(default_factory=list)
    checks: list[tuple[int, str, bool]] = field(default_factory=list)
    # The moves it made, the first one first: (from, to, move).
    moves: list[tuple[str, str, str]] = field(default_factory=list)
    # Whether it was in production and has not been given up since.
    may_return: bool = False

    @property
    def key(self) -> str:
        return str(self.row.pk)


@dataclass(eq=False)
class Policy:
    """A published revision: the gates by key, and how many have to approve."""

    gates: tuple[str, ...]
    approvals: int


@dataclass(frozen=True)
class Found:
    """What a gate says, without its sentence: two that are equal are told alike."""

    verdict: str
    evidence: Any
    waiver: int | None = None


@dataclass(eq=False)
class Promotion:
    """A request. `binding` is what was shown to those who approve; `results` are rows: key -> (serial, found)."""

    version: Version
    target: str
    policy: Policy
    by: str
    is_rollback: bool = False
    row: Any = None
    state: str = "evaluating"
    late: bool = False
    # Which revision of the policy for its stage was in force.
    revision: int = 0
    binding: Any = None
    replaces: Version | None = None
    # by whom -> verdict
    decisions: dict[str, str] = field(default_factory=dict)
    results: dict[str, tuple[int, Found]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return str(self.row.pk)

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


@dataclass(eq=False)
class Waiver:
    """Asked for one result of one promotion; `verdict` once it is decided."""

    serial: int
    promotion: Promotion
    gate: str
    by: str
    result: tuple[int, Found] = (0, Found("", None))
    row: Any = None
    verdict: str = ""


@dataclass(eq=False)
class Incident:
    """Of a version, or of the whole model."""

    serial: int
    model: str
    version: Version | None
    row: Any = None
    closed: bool = False


# What happened, and to what: the type of an event, and the thing that it is about.
Happened = list[tuple[str, Any]]
