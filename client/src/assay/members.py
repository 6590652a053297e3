"""Who holds which role in a namespace; the operator's role takes two people.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

from typing import TypedDict
from urllib.parse import quote

from assay.http import Connection
from assay.references import API, namespace_path


class Member(TypedDict):
    """A person or service account, and one role or group of theirs."""

    user: str
    display_name: str
    service: bool
    role: str


class Granted(TypedDict):
    """What came of granting a role: `outcome` is granted, held (already) or asked (somebody else confirms it)."""

    user: str
    role: str
    outcome: str


class Grant(TypedDict):
    """A role that takes two, asked for somebody; `state` is asked, granted, refused or expired."""

    id: str
    namespace: str
    user: str
    role: str
    state: str
    reason: str
    asked_by: str
    asked_at: str
    expires_at: str
    decided_by: str | None
    decided_at: str | None
    decided_reason: str


class Members:
    """The calls of a client about members."""

    _connection: Connection

    def members(self, namespace: str, *, limit: int | None = None) -> list[Member]:
        return list(self._connection.pages(f"{namespace_path(namespace)}/members", None, limit))

    def grant_role(self, namespace: str, user: str, role: str, reason: str = "") -> Granted:
        """Give somebody a role, or put them into a group; the operator's role is asked for."""
        body = {"user": user, "role": role, "reason": reason}
        made: Granted = self._connection.call("POST", f"{namespace_path(namespace)}/members", body=body)
        return made

    def revoke_role(self, namespace: str, user: str, role: str) -> None:
        """Take a role away, at once."""
        where = f"{namespace_path(namespace)}/members/{quote(user, safe='')}/{quote(role, safe='')}"
        self._connection.call("DELETE", where)

    def grants(self, namespace: str, *, state: str | None = None, limit: int | None = None) -> list[Grant]:
        """The roles that took, or take, two people, newest first."""
        return list(self._connection.pages(f"{namespace_path(namespace)}/grants", {"state": state}, limit))

    def confirm_grant(self, grant_id: str, reason: str = "") -> Grant:
        """Give the role, as somebody else asked."""
        return self._decide_grant(grant_id, "confirm", reason)

    def refuse_grant(self, grant_id: str, reason: str) -> Grant:
        """Do not give it."""
        return self._decide_grant(grant_id, "refuse", reason)

    def _decide_grant(self, grant_id: str, verb: str, reason: str) -> Grant:
        decided: Grant = self._connection.call(
            "POST", f"{API}/grants/{grant_id}/{verb}", body={"reason": reason}
        )
        return decided
