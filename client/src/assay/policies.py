"""Policies: what it takes to reach a stage, drafted by one person and published by another.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from assay.http import Connection
from assay.references import API, model_path, namespace_path


class PolicyChange(TypedDict):
    """What a revision changes: `what` is removed, changed, added, moved or approvals."""

    what: str
    sentence: str
    gate: NotRequired[str]
    parameters: NotRequired[dict[str, list[Any]]]


class Policy(TypedDict):
    """A revision for a model, for the models of a risk tier, or for all of the namespace.

    `state` is draft, published or withdrawn; `replaces` the revision that was in force when it was drafted.
    """

    id: str
    namespace: str
    model: str | None
    risk_tier: str
    target: str
    revision: int
    state: str
    gates: list[dict[str, Any]]
    approvals: dict[str, Any]
    reason: str
    replaces: int | None
    drafted_at: str
    drafted_by: str
    published_at: str | None
    published_by: str | None
    since: NotRequired[int | None]
    changes: NotRequired[list[PolicyChange]]


class CheckedPolicy(TypedDict):
    """What a policy would change about the revision in force; no changes when it says the same."""

    in_force: int | None
    gates: list[dict[str, Any]]
    approvals: dict[str, Any]
    changes: list[PolicyChange]


class Policies:
    """The calls of a client about policies."""

    _connection: Connection

    def policies(
        self,
        namespace: str,
        *,
        state: str = "in_force",
        target: str | None = None,
        model: str | None = None,
        risk_tier: str | None = None,
        limit: int | None = None,
    ) -> list[Policy]:
        """Newest first; `state` is in_force, draft, published or withdrawn, `risk_tier` "" for those of no tier."""
        wanted = {"state": state, "target": target, "model": model, "risk_tier": risk_tier}
        return list(self._connection.pages(f"{namespace_path(namespace)}/policies", wanted, limit))

    def policies_of(self, model: str) -> list[Policy]:
        """What a version of `namespace/model` has to pass: for each stage its own policy, else its tier's, else its
        namespace's."""
        found: list[Policy] = self._connection.call("GET", f"{model_path(model)}/policies")["results"]
        return found

    def policy(self, policy_id: str, *, since: int | None = None) -> Policy:
        """One revision, with its changes to the one it replaces, or to revision `since`."""
        found: Policy = self._connection.call("GET", f"{API}/policies/{policy_id}", params={"since": since})
        return found

    def check_policy(
        self,
        namespace: str,
        target: str,
        gates: list[dict[str, Any]],
        approvals: dict[str, Any],
        *,
        model: str | None = None,
        risk_tier: str = "",
    ) -> CheckedPolicy:
        """What it would change, were it drafted. Raises Invalid, whose `field` points at what is wrong."""
        body = _body(target, gates, approvals, model, risk_tier)
        checked: CheckedPolicy = self._connection.call(
            "POST", f"{namespace_path(namespace)}/policies/check", body=body
        )
        return checked

    def draft_policy(
        self,
        namespace: str,
        target: str,
        gates: list[dict[str, Any]],
        approvals: dict[str, Any],
        *,
        model: str | None = None,
        risk_tier: str = "",
        reason: str = "",
    ) -> Policy:
        """A revision that waits to be published. What says the same as one that is there makes none: that one."""
        body = {**_body(target, gates, approvals, model, risk_tier), "reason": reason}
        drafted: Policy = self._connection.call("POST", f"{namespace_path(namespace)}/policies", body=body)
        return drafted

    def publish_policy(self, policy_id: str, reason: str = "") -> Policy:
        """Put a draft in force; for production somebody else than who drafted it does."""
        return self._decide_policy(policy_id, "publish", reason)

    def withdraw_policy(self, policy_id: str, reason: str = "") -> Policy:
        """End a draft that is not to be published."""
        return self._decide_policy(policy_id, "withdraw", reason)

    def _decide_policy(self, policy_id: str, verb: str, reason: str) -> Policy:
        decided: Policy = self._connection.call(
            "POST", f"{API}/policies/{policy_id}/{verb}", body={"reason": reason}
        )
        return decided


def _body(
    target: str,
    gates: list[dict[str, Any]],
    approvals: dict[str, Any],
    model: str | None,
    risk_tier: str,
) -> dict[str, Any]:
    return {
        "target": target,
        "model": model,
        "risk_tier": risk_tier,
        "gates": gates,
        "approvals": approvals,
    }
