"""The stages of a version: the enum, the one table of legal moves, and the transition shells of django-fsm.

Who may make a move and what it needs is `lifecycle.stages`; that a move is only ever made by
`lifecycle.promotions.advance` is kept by a trigger.
"""

from __future__ import annotations

from django.db import models
from django_fsm import FSMField, FSMModelMixin, transition


class Stage(models.TextChoices):
    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"
    DEPRECATED = "deprecated"


S = Stage
EDGES: tuple[tuple[Stage, Stage], ...] = (
    (S.DEVELOPMENT, S.STAGING),
    (S.STAGING, S.PRODUCTION),
    (S.STAGING, S.DEVELOPMENT),
    (S.PRODUCTION, S.ARCHIVED),
    (S.ARCHIVED, S.PRODUCTION),
    (S.PRODUCTION, S.DEPRECATED),
    (S.DEVELOPMENT, S.DEPRECATED),
    (S.STAGING, S.DEPRECATED),
    (S.ARCHIVED, S.DEPRECATED),
    (S.DEPRECATED, S.DEVELOPMENT),
    (S.DEPRECATED, S.ARCHIVED),
)


def sources(target: Stage) -> list[str]:
    """The stages from which `target` can be reached."""
    return [str(a) for a, b in EDGES if b == target]


class Staged(FSMModelMixin, models.Model):
    """A row with a stage. The transitions are empty: what a move means is written where it is made."""

    stage = FSMField(choices=Stage.choices, default=Stage.DEVELOPMENT, protected=True)

    class Meta:
        abstract = True

    @transition(field=stage, source=sources(S.DEVELOPMENT), target=S.DEVELOPMENT)
    def to_development(self) -> None:
        """Back to the start: demoted or reinstated."""

    @transition(field=stage, source=sources(S.STAGING), target=S.STAGING)
    def to_staging(self) -> None:
        """The staging policy is satisfied."""

    @transition(field=stage, source=sources(S.PRODUCTION), target=S.PRODUCTION)
    def to_production(self) -> None:
        """Approved, or rolled back to."""

    @transition(field=stage, source=sources(S.ARCHIVED), target=S.ARCHIVED)
    def to_archived(self) -> None:
        """Replaced, or put away."""

    @transition(field=stage, source=sources(S.DEPRECATED), target=S.DEPRECATED)
    def to_deprecated(self) -> None:
        """Suspended, or given up."""
