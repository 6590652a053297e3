"""The states of a promotion and the one table of its legal moves."""

from __future__ import annotations

from django.db import models


class State(models.TextChoices):
    EVALUATING = "evaluating"
    GATES_FAILED = "gates_failed"
    AWAITING_APPROVAL = "awaiting_approval"
    APPLIED = "applied"
    REJECTED = "rejected"
    EXPIRED = "expired"
    # What was approved is not what is there now: other evidence, policy, or production version.
    VOID = "void"
    WITHDRAWN = "withdrawn"


S = State
OPEN: tuple[State, ...] = (S.EVALUATING, S.AWAITING_APPROVAL)
STATE_EDGES: tuple[tuple[State, State], ...] = (
    (S.EVALUATING, S.GATES_FAILED),
    (S.EVALUATING, S.AWAITING_APPROVAL),
    (S.EVALUATING, S.APPLIED),
    (S.EVALUATING, S.VOID),
    (S.EVALUATING, S.EXPIRED),
    (S.EVALUATING, S.WITHDRAWN),
    (S.AWAITING_APPROVAL, S.APPLIED),
    (S.AWAITING_APPROVAL, S.REJECTED),
    (S.AWAITING_APPROVAL, S.EXPIRED),
    (S.AWAITING_APPROVAL, S.VOID),
    (S.AWAITING_APPROVAL, S.WITHDRAWN),
)
