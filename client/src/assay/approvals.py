"""Deciding on promotions.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from assay.answers import Promotion
from assay.references import API
from assay.revalidations import Revalidations


class Approvals(Revalidations):
    """The calls of a client about decisions."""

    def approve(
        self,
        promotion_id: str,
        reason: str = "",
        *,
        report: Mapping[str, Any] | None = None,
        attachments: Sequence[str | os.PathLike[str]] = (),
    ) -> Promotion:
        """Approve it. A validation `report` is {"summary", "findings": [{"severity", "text"}], "conditions"}: it is
        kept with the approval for ever, and the files that go with it under their digests."""
        body = {"reason": reason, "report": self._sent(promotion_id, report, attachments)}
        return self._decide(promotion_id, "approve", body)

    def reject(
        self,
        promotion_id: str,
        reason: str,
        *,
        report: Mapping[str, Any] | None = None,
        attachments: Sequence[str | os.PathLike[str]] = (),
    ) -> Promotion:
        """Reject it; the reason is what the requester reads."""
        body = {"reason": reason, "report": self._sent(promotion_id, report, attachments)}
        return self._decide(promotion_id, "reject", body)

    def withdraw(self, promotion_id: str, reason: str = "") -> Promotion:
        """Take back a request that is not decided yet."""
        return self._decide(promotion_id, "withdraw", {"reason": reason})

    def _sent(
        self,
        promotion_id: str,
        report: Mapping[str, Any] | None,
        attachments: Sequence[str | os.PathLike[str]],
    ) -> Mapping[str, Any] | None:
        if not attachments:
            return report
        if report is None:
            raise ValueError("attachments go with a report")
        version = self._connection.call("GET", f"{API}/promotions/{promotion_id}")["version"]
        return self._with_attachments(version, report, attachments)

    def _decide(self, promotion_id: str, verb: str, body: dict[str, Any]) -> Promotion:
        sent = {key: value for key, value in body.items() if value is not None}
        answer: Promotion = self._connection.call(
            "POST", f"{API}/promotions/{promotion_id}/{verb}", body=sent
        )
        return answer
