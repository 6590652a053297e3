"""What happened, and who somebody is."""

from __future__ import annotations

from typing import Any, TypedDict


class Event(TypedDict, total=False):
    """One row of the journal: what happened, to whom, by whom, when and why."""

    id: int
    type: str
    namespace: str
    subject: dict[str, Any]
    actor: str
    reason: str
    at: str
    timestamp: str
    before: Any
    after: Any


class Identity(TypedDict, total=False):
    """Who the token speaks for, and what that person may do where."""

    user: str
    display_name: str
    email: str
    service: bool
    token: dict[str, Any] | None
    namespaces: list[dict[str, Any]]
    version: str
