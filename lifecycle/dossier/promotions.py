"""A promotion as somebody who decides reads it, and the list of what waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lifecycle.actions.promotions import check_can_decide
from lifecycle.api.shows import promotion_json, promotion_rows
from lifecycle.approvals import Tally, approver, tally
from lifecycle.deployments import Running
from lifecycle.dossier.comparison import Comparison, compare, measurements
from lifecycle.dossier.production import running_of
from lifecycle.dossier.versions import in_production_since, run_of
from lifecycle.models import Promotion, State
from lineage.models import Run
from lineage.why import explain
from registry.api.shows import version_json
from registry.errors import DomainError
from registry.models import ModelVersion, Principal, Stage

_GATE_ORDER = {"fail": 0, "error": 1, "pending": 2, "waived": 3, "pass": 4}

_NOT_WAITING: dict[str, str] = {
    State.EVALUATING: "Its gates are still being evaluated: there is nothing to decide yet.",
    State.GATES_FAILED: "Its gates refused it: there is nothing to decide.",
    State.APPLIED: "It is in effect.",
    State.REJECTED: "It was rejected.",
    State.EXPIRED: "Nobody decided in time. It can be asked again.",
    State.VOID: "What was asked is not what is there now. It can be asked again.",
    State.WITHDRAWN: "It was taken back.",
}


@dataclass(frozen=True)
class Dossier:
    """Everything one needs to decide, on one page."""

    promotion: Promotion
    told: dict[str, Any]
    version: dict[str, Any]
    run: Run | None
    gates: list[dict[str, Any]]
    comparison: Comparison
    # What it would replace, as it is now; None: nothing is in production.
    incumbent: ModelVersion | None
    incumbent_since: Any
    # What differs between the two in what made them, and that in a sentence.
    changes: list[dict[str, Any]]
    changes_told: str
    # What targets of production are reported to run of this model, what must not run first; empty for staging.
    running: list[Running]
    # Why the reader cannot decide, in a sentence; empty when they can.
    obstacle: str
    # What would be given and missing with the approval of the reader, who can decide.
    with_yours: Tally | None

    @property
    def passed(self) -> int:
        return sum(1 for gate in self.gates if gate["verdict"] in ("pass", "waived"))

    @property
    def mine(self) -> str:
        """What the column of the version in question is called."""
        return f"Version {self.promotion.version.number}"

    @property
    def beside(self) -> str:
        """What the other column is called."""
        return f"Version {self.incumbent.number}" if self.incumbent else ""


def dossier(promotion_id: Any, principal: Principal) -> Dossier:
    """The dossier of a promotion. Raises Promotion.DoesNotExist for what the reader cannot see."""
    promotion = promotion_rows().visible_to(principal).get(pk=promotion_id)  # type: ignore[attr-defined]
    version = promotion.version
    incumbent = _beside(promotion)
    theirs = measurements(incumbent) if incumbent else []
    told = promotion_json(promotion)
    changed: dict[str, Any] = {"differences": [], "sentence": ""}
    if incumbent:
        changed = explain(incumbent, version, principal)
    obstacle = _obstacle(promotion, principal)
    given = promotion.approvals.all()
    return Dossier(
        promotion=promotion,
        told=told,
        version=version_json(version),
        run=run_of(version),
        gates=sorted(told["gates"], key=lambda gate: _GATE_ORDER.get(gate["verdict"], 5)),
        comparison=compare(measurements(version), theirs, promotion.policy_snapshot["gates"]),
        incumbent=incumbent,
        incumbent_since=in_production_since(incumbent) if incumbent else None,
        changes=changed["differences"],
        changes_told=changed["sentence"],
        running=_running(promotion),
        obstacle=obstacle,
        with_yours=None if obstacle else tally(promotion, given, (approver(principal.account, promotion),)),
    )


def _beside(promotion: Promotion) -> ModelVersion | None:
    """What to compare with: what it replaces or replaced; while it is open, what is in production now."""
    rows = ModelVersion.objects.select_related("model__namespace", "manifest", "created_by")
    if promotion.replaces_id:
        return rows.get(pk=promotion.replaces_id)
    if promotion.state == State.APPLIED:
        return None
    production = rows.filter(model=promotion.version.model_id, stage=Stage.PRODUCTION)
    return production.exclude(pk=promotion.version_id).first()


def _running(promotion: Promotion) -> list[Running]:
    if promotion.target != Stage.PRODUCTION:
        return []
    return [each for each in running_of(promotion.version.model) if each.serves == Stage.PRODUCTION]


def _obstacle(promotion: Promotion, principal: Principal) -> str:
    if promotion.state != State.AWAITING_APPROVAL:
        return _NOT_WAITING[promotion.state]
    if any(a.by_id == principal.account.pk for a in promotion.approvals.all()):
        return "You have decided on it already; it waits for somebody else."
    try:
        check_can_decide(principal, promotion)
    except DomainError as refusal:
        return refusal.sentence
    return ""
