"""Letting a gate's result stand: asked by one person, granted or refused by another.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypedDict

from assay.http import Connection
from assay.references import API


class GateWaiver(TypedDict):
    """A waiver as it stands beside a gate: `state` asked, granted, refused or expired."""

    id: str
    state: str
    reason: str
    until: str
    asked_by: str
    asked_at: str
    decided_by: str | None
    decided_at: str | None
    decided_reason: str


class Waiver(GateWaiver):
    """A waiver, with the result that it is about: what `gate` said of `version` on its way to `target`."""

    promotion: str
    version: str
    namespace: str
    target: str
    gate: str
    verdict: str
    sentence: str


class Waivers:
    """The calls of a client about waivers."""

    _connection: Connection

    def ask_waiver(
        self, promotion_id: str, gate: str, reason: str, *, days: float = 14, until: datetime | None = None
    ) -> Waiver:
        """Ask that what the gate (its key in the promotion) says be let stand, for so many days or until a time."""
        ends = (until or datetime.now(UTC) + timedelta(days=days)).astimezone(UTC)
        body = {"gate": gate, "reason": reason, "until": ends.isoformat().replace("+00:00", "Z")}
        asked: Waiver = self._connection.call("POST", f"{API}/promotions/{promotion_id}/waivers", body=body)
        return asked

    def grant_waiver(self, waiver_id: str, reason: str) -> Waiver:
        """Let it stand. A promotion that waited goes on; one that failed is asked for again."""
        return self._decide_waiver(waiver_id, "grant", reason)

    def refuse_waiver(self, waiver_id: str, reason: str) -> Waiver:
        return self._decide_waiver(waiver_id, "refuse", reason)

    def waivers(
        self, *, namespace: str | None = None, state: str | None = None, limit: int | None = None
    ) -> list[Waiver]:
        """Newest first; `state` is asked, granted, refused or expired."""
        wanted = {"namespace": namespace, "state": state}
        return list(self._connection.pages(f"{API}/waivers", wanted, limit))

    def _decide_waiver(self, waiver_id: str, verb: str, reason: str) -> Waiver:
        decided: Waiver = self._connection.call(
            "POST", f"{API}/waivers/{waiver_id}/{verb}", body={"reason": reason}
        )
        return decided
