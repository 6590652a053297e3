"""Deciding on promotions.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.answers import Promotion
from assay.http import Connection
from assay.references import API


class Approvals:
    """The calls of a client about decisions."""

    _connection: Connection

    def approve(
        self, promotion_id: str, reason: str = "", *, report: Mapping[str, Any] | None = None
    ) -> Promotion:
        """Approve it. A validation `report` is {"summary", "findings": [{"severity", "text"}], "conditions"}: it is
        kept with the approval for ever."""
        return self._decide(promotion_id, "approve", {"reason": reason, "report": report})

    def reject(self, promotion_id: str, reason: str, *, report: Mapping[str, Any] | None = None) -> Promotion:
        """Reject it; the reason is what the requester reads."""
        return self._decide(promotion_id, "reject", {"reason": reason, "report": report})

    def withdraw(self, promotion_id: str, reason: str = "") -> Promotion:
        """Take back a request that is not decided yet."""
        return self._decide(promotion_id, "withdraw", {"reason": reason})

    def _decide(self, promotion_id: str, verb: str, body: dict[str, Any]) -> Promotion:
        sent = {key: value for key, value in body.items() if value is not None}
        answer: Promotion = self._connection.call(
            "POST", f"{API}/promotions/{promotion_id}/{verb}", body=sent
        )
        return answer
