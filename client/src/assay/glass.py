"""Breaking the glass: a promotion put into effect by one operator, and its review by a second person.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

from typing import TypedDict

from assay.answers import Promotion
from assay.http import Connection
from assay.references import API


class Glass(TypedDict):
    """Broken glass: `overrode` says in spite of what ("approvals", "freeze"), `state` is waiting, overdue or
    reviewed, `verdict` justified or not_justified."""

    id: str
    promotion: str
    version: str
    namespace: str
    target: str
    by: str
    at: str
    reason: str
    overrode: dict[str, str]
    due_at: str
    state: str
    verdict: str | None
    sentence: str
    reviewed_by: str | None
    reviewed_at: str | None


class BrokenGlass:
    """The calls of a client about broken glass."""

    _connection: Connection

    def break_glass(self, promotion_id: str, reason: str) -> Promotion:
        """Put a promotion whose gates have passed into effect alone, in spite of a freeze and without the approvals of
        others. It is told to everybody who listens, and reviewed within 24 h by somebody else."""
        done: Promotion = self._connection.call(
            "POST", f"{API}/promotions/{promotion_id}/break-glass", body={"reason": reason}
        )
        return done

    def review_glass(self, promotion_id: str, verdict: str, sentence: str) -> Glass:
        """Say whether that was `justified` or `not_justified`, and why. It moves nothing."""
        body = {"verdict": verdict, "sentence": sentence}
        row: Glass = self._connection.call(
            "POST", f"{API}/promotions/{promotion_id}/break-glass/review", body=body
        )
        return row

    def broken_glass(self, *, state: str | None = None, limit: int | None = None) -> list[Glass]:
        """Newest first; `state` is waiting, overdue or reviewed."""
        return list(self._connection.pages(f"{API}/break-glass", {"state": state}, limit))
