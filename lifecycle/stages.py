"""The moves between stages: from where, to where, who may, what it needs, what it is called in the journal.

One table. `STATES.md` beside it is generated from it, and a test proves that it covers every legal edge once.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.models import Stage
from registry.roles import Permission

S = Stage


@dataclass(frozen=True)
class Move:
    """One way of changing a stage."""

    name: str
    sources: tuple[Stage, ...]
    target: Stage
    event: str
    # None: nobody asks for it by itself; it follows from a promotion.
    permission: Permission | None
    needs: str
    by_promotion: bool = False
    needs_reason: bool = True


MOVES: tuple[Move, ...] = (
    Move(
        "stage",
        (S.DEVELOPMENT,),
        S.STAGING,
        "version.promoted",
        Permission.PROMOTION_REQUEST,
        "the staging policy's gates",
        by_promotion=True,
        needs_reason=False,
    ),
    Move(
        "produce",
        (S.STAGING,),
        S.PRODUCTION,
        "version.promoted",
        Permission.PROMOTION_REQUEST,
        "the production policy's gates, and approval by designated operators",
        by_promotion=True,
        needs_reason=False,
    ),
    Move("demote", (S.STAGING,), S.DEVELOPMENT, "version.demoted", Permission.PROMOTION_REQUEST, "a reason"),
    Move(
        "step_down",
        (S.PRODUCTION,),
        S.ARCHIVED,
        "version.archived",
        None,
        "a promotion that replaces it: automatic, in the same transaction",
        by_promotion=True,
        needs_reason=False,
    ),
    Move(
        "roll_back",
        (S.ARCHIVED,),
        S.PRODUCTION,
        "version.rolled_back",
        Permission.VERSION_ROLL_BACK,
        "a reason; was in production, never suspended since, not under quarantine; bytes hot, unquarantined, "
        "verified within 24 h",
        by_promotion=True,
    ),
    Move(
        "suspend",
        (S.PRODUCTION,),
        S.DEPRECATED,
        "version.suspended",
        Permission.VERSION_SUSPEND,
        "a reason; leaves no production version; never a rollback target again",
    ),
    Move(
        "deprecate",
        (S.DEVELOPMENT, S.STAGING, S.ARCHIVED),
        S.DEPRECATED,
        "version.deprecated",
        Permission.VERSION_DEPRECATE,
        "a reason",
    ),
    Move(
        "reinstate",
        (S.DEPRECATED,),
        S.DEVELOPMENT,
        "version.reinstated",
        Permission.VERSION_DEPRECATE,
        "a reason; then the whole ladder again",
    ),
    Move(
        "archive", (S.DEPRECATED,), S.ARCHIVED, "version.archived", Permission.VERSION_DEPRECATE, "a reason"
    ),
)
BY_NAME = {move.name: move for move in MOVES}


def move_for(source: str, target: str) -> Move | None:
    """The move that makes this edge, if there is one."""
    return next((m for m in MOVES if source in m.sources and m.target == target), None)
