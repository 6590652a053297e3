"""A policy that asks for periodic validation, and what a validator writes."""

from __future__ import annotations

from typing import Any

from lifecycle.actions.revalidations import revalidate_version
from lifecycle.models import Revalidation
from registry.models import ModelVersion
from tests.cast import Cast
from tests.factories import published_policy

REPORT: dict[str, Any] = {
    "summary": "Scored a year of cases again; it holds.",
    "findings": [{"severity": "low", "text": "Fewer cases from Portugal."}],
    "conditions": ["Look at Portugal in spring."],
}


def yearly(cast: Cast, *, days: int = 365, grace: int = 30, **scope: Any) -> None:
    """The production policy asks for a validation a year, and blocks a month later."""
    given = {"every_days": days, "grace_days": grace}
    gates = [{"gate": "review_not_overdue", "parameters": given}]
    published_policy(cast, target="production", gates=gates, approvals={"count": 1}, **scope)


def validate(cast: Cast, version: ModelVersion, verdict: str = "valid", by: str = "cora") -> Revalidation:
    return revalidate_version(version=version, verdict=verdict, report=REPORT, by=cast.principal(by))
