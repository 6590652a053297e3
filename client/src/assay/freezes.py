"""Freezing a stage for a time: nothing is promoted into it meanwhile.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypedDict

from assay.http import Connection
from assay.references import API, namespace_path


class Freeze(TypedDict):
    """A freeze window: `target` None is staging and production, `namespace` None everywhere; `state` standing, coming
    or over."""

    id: str
    about: str
    namespace: str | None
    model: str | None
    target: str | None
    state: str
    starts_at: str
    ends_at: str
    reason: str
    by: str
    at: str
    ended_by: str | None
    ended_at: str | None
    ended_reason: str


class Freezes:
    """The calls of a client about freezes."""

    _connection: Connection

    def freeze(
        self,
        about: str | None,
        until: datetime,
        reason: str,
        *,
        target: str | None = None,
        since: datetime | None = None,
    ) -> Freeze:
        """Freeze staging, production or (without a target) both, for a namespace, a `namespace/model`, or, with None,
        everywhere. What is approved meanwhile takes effect when it is over."""
        body = {
            "target": target,
            "starts_at": _utc(since) if since else None,
            "ends_at": _utc(until),
            "reason": reason,
        }
        where = f"{API}/freezes"
        if about is not None:
            namespace, _, model = about.partition("/")
            where = f"{namespace_path(namespace)}/freezes"
            body["model"] = model or None
        made: Freeze = self._connection.call("POST", where, body=body)
        return made

    def end_freeze(self, freeze_id: str, reason: str) -> Freeze:
        """End it early."""
        ended: Freeze = self._connection.call(
            "POST", f"{API}/freezes/{freeze_id}/end", body={"reason": reason}
        )
        return ended

    def freezes(
        self, *, namespace: str | None = None, state: str | None = None, limit: int | None = None
    ) -> list[Freeze]:
        """Newest first; `state` is standing, coming or over."""
        where = f"{namespace_path(namespace)}/freezes" if namespace else f"{API}/freezes"
        return list(self._connection.pages(where, {"state": state}, limit))


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
