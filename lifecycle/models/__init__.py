"""The lifecycle's tables."""

from lifecycle.models.comparisons import PairedComparison
from lifecycle.models.deployments import Deployment, DeploymentChange, Drift
from lifecycle.models.freezes import FreezeWindow
from lifecycle.models.glass import BreakGlass
from lifecycle.models.holds import HoldDecision, HoldLift, LegalHold
from lifecycle.models.incidents import Incident, Severity
from lifecycle.models.policies import Policy
from lifecycle.models.promotions import (
    Approval,
    CheckReport,
    GateResult,
    Promotion,
    StagedAlias,
    StagedChange,
    StagedEdge,
    StagedVersion,
)
from lifecycle.models.quarantine import Quarantine, QuarantineLift
from lifecycle.models.retention import RetentionPolicy, TierMove
from lifecycle.models.revalidations import OverdueReview, Revalidation
from lifecycle.models.states import OPEN, STATE_EDGES, State
from lifecycle.models.waivers import Waiver, WaiverDecision

__all__ = [
    "OPEN",
    "STATE_EDGES",
    "Approval",
    "BreakGlass",
    "CheckReport",
    "Deployment",
    "DeploymentChange",
    "Drift",
    "FreezeWindow",
    "GateResult",
    "HoldDecision",
    "HoldLift",
    "Incident",
    "LegalHold",
    "OverdueReview",
    "PairedComparison",
    "Policy",
    "Promotion",
    "Quarantine",
    "QuarantineLift",
    "RetentionPolicy",
    "Revalidation",
    "Severity",
    "StagedAlias",
    "StagedChange",
    "StagedEdge",
    "StagedVersion",
    "State",
    "TierMove",
    "Waiver",
    "WaiverDecision",
]
