"""A version with a past: approved, deployed, doubted and cleared, replaced; and the one that replaced it, waived."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.actions.deployments import remove_deployment, report_deployment
from lifecycle.actions.incidents import close_incident, open_incident
from lifecycle.actions.quarantine import lift_quarantine, quarantine_versions
from registry.actions.people import create_user
from registry.models import SYSTEM, ModelVersion, Principal
from tests.cast import Cast, hold_role
from tests.factories import evaluate, fresh, promotion_at, staged_version


@dataclass
class Past:
    cast: Cast
    first: ModelVersion
    second: ModelVersion


def past(cast: Cast, *, words: str = "as it should be") -> Past:
    """`words` are what people wrote, wherever they could."""
    dora = create_user(username=f"dora-{cast.namespace.name}", by=SYSTEM)
    hold_role(cast.namespace, dora, "production_operator")
    first = promotion_at(cast, "applied").version
    cora = cast.principal("cora")
    report_deployment(version=first, target="eu-1", by=cora)
    report_deployment(version=first, target="us-1", by=cora)
    incident = open_incident(
        model=first.model, version=first, severity="high", title=words[:200], detail=words, by=cora
    )
    close_incident(incident=incident, reason=words, by=cora)
    quarantine_versions(versions=[first], reason=words, by=cora)
    lift_quarantine(versions=[first], reason=words, by=Principal(user=dora))
    second = staged_version(cast, 0.95)
    evaluate(cast, second, 0.91, part=words[:200], low=0.9, high=0.93)
    promotion_at(cast, "applied", version=second, value=0.95)
    report_deployment(version=second, target="eu-1", by=cora)
    remove_deployment(model=first.model, target="us-1", reason=words, by=cora)
    return Past(cast, fresh(first), fresh(second))
