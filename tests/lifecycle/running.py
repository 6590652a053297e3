"""Targets that report, at times that a test names."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from lifecycle.actions.deployments import Report, remove_deployment, report_deployment
from lifecycle.deployments import ROWS
from lifecycle.models import Deployment
from registry.models import Event, ModelVersion
from tests.cast import Cast
from tests.factories import fresh, promotion_at, staged_version


class Clock:
    """Hours after now, which is when the test began."""

    def __init__(self) -> None:
        self.began = timezone.now()

    def at(self, hours: float) -> datetime:
        return self.began + timedelta(hours=hours)


def runs(
    cast: Cast,
    version: ModelVersion,
    target: str = "eu-1",
    *,
    by: str = "cora",
    now: datetime | None = None,
    digest: str | None = None,
    serves: str | None = None,
    interval: int | None = None,
) -> Deployment:
    """The target says what it runs."""
    return report_deployment(
        version=version,
        target=target,
        report=Report(digest=digest, serves=serves, interval=interval),
        by=cast.principal(by),
        now=now,
    )


def stops(cast: Cast, version: ModelVersion, target: str = "eu-1", now: datetime | None = None) -> None:
    """The target says that it runs nothing of the model any more."""
    remove_deployment(model=version.model, target=target, by=cast.principal("cora"), now=now)


def in_production(cast: Cast, value: float = 0.9, model: str = "scorer") -> ModelVersion:
    """A version that was just approved."""
    return fresh(promotion_at(cast, "applied", version=staged_version(cast, value, model=model)).version)


def deployment(row: Deployment) -> Deployment:
    """As the database has it now."""
    return ROWS.get(pk=row.pk)


def events(row: Deployment, *types: str) -> list[Event]:
    """The deployment's events of these types (all, without), the first one first."""
    found = Event.objects.filter(subject_kind="deployment", subject_id=str(row.pk)).order_by("pk")
    return list(found.filter(type__in=[f"deployment.{each}" for each in types]) if types else found)


def told(row: Deployment) -> list[str]:
    """What the events say, in a word each."""
    return [event.type.removeprefix("deployment.") for event in events(row)]
