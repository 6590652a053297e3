"""A promotion, its gates and its approvals."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class GateResult(TypedDict):
    """One gate's verdict: pass, fail, error, pending or waived, with the sentence that says why."""

    key: str
    gate: str
    claim: str
    verdict: str
    sentence: str
    evidence: dict[str, Any]
    # By which it stands, or which is asked for what it says: {"state", "reason", "until", "asked_by", ...}.
    waiver: NotRequired[dict[str, Any] | None]
    at: str | None


class Approval(TypedDict):
    """One person's decision: approve or reject, and why; `groups` are those asked for that they are in."""

    by: str
    groups: NotRequired[list[str]]
    verdict: str
    reason: str
    # {"summary", "findings": [{"severity", "text"}], "conditions": [text]}, when they wrote one.
    report: NotRequired[dict[str, Any] | None]
    at: str


class WantedApprovals(TypedDict):
    """What is missing of a promotion that waits: `groups` as [{"group", "count"}], all of it in `sentence`."""

    given: int
    asked: int
    groups: list[dict[str, Any]]
    sentence: str


class Promotion(TypedDict):
    """A request to move a version to a stage.

    `state`: evaluating, gates_failed, awaiting_approval, applied, rejected, expired, void or withdrawn.
    """

    id: str
    version: str
    namespace: str
    target: str
    kind: str
    state: str
    reason: str
    requested_by: str
    requested_at: str
    decided_at: str | None
    policy: dict[str, Any]
    gates: list[GateResult]
    approvals: list[Approval]
    approvals_required: int
    approvals_groups: NotRequired[list[dict[str, Any]]]
    # None when it does not wait for approval.
    approvals_wanted: NotRequired[WantedApprovals | None]
    # The freeze that keeps it from taking effect: {"freeze", "until", "sentence"}.
    held: NotRequired[dict[str, Any] | None]
    # Who put it into effect alone, why, and what the review found; None where nobody did.
    break_glass: NotRequired[dict[str, Any] | None]
    replaces: str | None
    reasons: list[str]
    outcome: str
    url: str
