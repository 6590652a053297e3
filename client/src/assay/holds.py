"""Keeping a version for a case, whatever retention says: one person places a hold, two lift it.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

from typing import TypedDict

from assay.http import Connection
from assay.references import API, Reference, version_path


class HoldLift(TypedDict):
    """Somebody asks that a hold be lifted; `verdict` is grant, refuse, or None while nobody has decided."""

    id: str
    reason: str
    asked_by: str
    asked_at: str
    verdict: str | None
    decided_by: str | None
    decided_at: str | None
    decided_reason: str


class Hold(TypedDict):
    """A legal hold with all that was asked about it; `state` is standing, lift_asked (it stands) or lifted."""

    id: str
    version: str
    namespace: str
    state: str
    reason: str
    placed_by: str
    placed_at: str
    lifted_by: str | None
    lifted_at: str | None
    lifts: list[HoldLift]


class Holds:
    """The calls of a client about legal holds."""

    _connection: Connection

    def place_hold(self, ref: str, reason: str) -> Hold:
        """Keep a version (`namespace/model:3`, or any other reference): it is neither deleted nor put away."""
        reference = Reference.parse(ref)
        if reference.number is None:
            found = self._connection.call("GET", f"{API}/resolve", params={"ref": ref})
            path = version_path(found["namespace"], found["model"], found["number"])
        else:
            path = version_path(reference.namespace, reference.model, reference.number)
        placed: Hold = self._connection.call("POST", f"{path}/holds", body={"reason": reason})
        return placed

    def lift_hold(self, hold_id: str, reason: str) -> Hold:
        """Ask that it be lifted. It stands until somebody else grants that."""
        return self._about_hold(hold_id, "lift", reason)

    def grant_hold_lift(self, hold_id: str, reason: str) -> Hold:
        """Lift it, as somebody else asked."""
        return self._about_hold(hold_id, "grant", reason)

    def refuse_hold_lift(self, hold_id: str, reason: str) -> Hold:
        """Keep it, though somebody else asked."""
        return self._about_hold(hold_id, "refuse", reason)

    def holds(
        self, *, namespace: str | None = None, state: str | None = None, limit: int | None = None
    ) -> list[Hold]:
        """Newest first; `state` is standing (asked about or not), lift_asked or lifted."""
        wanted = {"namespace": namespace, "state": state}
        return list(self._connection.pages(f"{API}/holds", wanted, limit))

    def _about_hold(self, hold_id: str, verb: str, reason: str) -> Hold:
        answer: Hold = self._connection.call("POST", f"{API}/holds/{hold_id}/{verb}", body={"reason": reason})
        return answer
