"""Taking out text that should never have reached the server: one person asks, another decides.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from assay.http import Connection
from assay.references import API, namespace_path


class RedactionPlace(TypedDict, total=False):
    """A text in a field of a row: `path` leads to it inside JSON, `words` says the same for people.

    `digest` is sha256 of the redaction's salt and the text, both as UTF-8; `part` is value, key or file.
    """

    kind: str
    id: str
    field: str
    path: list[str | int]
    part: str
    words: str
    digest: str
    mark: str | None
    changed_since: bool


class TextFound(TypedDict):
    """Where a text stands in a namespace: what a redaction would take out, and what stays, with the reason. `more`:
    it stands in further places, which take another redaction."""

    where: list[RedactionPlace]
    more: bool
    stays: list[dict[str, str]]


class Redaction(TypedDict):
    """A request to take texts out, and what somebody else decided. `where` and `salt` are of a single one."""

    id: str
    namespace: str
    state: str
    reason: str
    asked_by: str
    asked_at: str
    decided_by: str | None
    decided_at: str | None
    decision_reason: str
    places: int
    fields: dict[str, int]
    more: bool
    redacted: int
    changed_since: int
    where: NotRequired[list[RedactionPlace]]
    salt: NotRequired[str | None]


class Redactions:
    """The calls of a client about redactions. A text to find goes in the body of a call and is kept nowhere."""

    _connection: Connection

    def find_text(self, namespace: str, text: str) -> TextFound:
        """Every place at which a text stands in a namespace; nothing is written. At least four characters."""
        path = f"{namespace_path(namespace)}/redactions/find"
        answer: TextFound = self._connection.call("POST", path, body={"find": text})
        return answer

    def ask_redaction(
        self,
        namespace: str,
        reason: str,
        *,
        text: str | None = None,
        places: Sequence[Mapping[str, Any]] = (),
    ) -> Redaction:
        """Ask for a text to be taken out wherever it stands, or for the texts at places.

        A place is `{"kind": "run", "id": ..., "field": "command", "path": [2]}`. Somebody else decides.
        """
        body: dict[str, Any] = {"reason": reason}
        body |= {"find": text} if text is not None else {"places": [dict(place) for place in places]}
        path = f"{namespace_path(namespace)}/redactions"
        answer: Redaction = self._connection.call("POST", path, body=body)
        return answer

    def redactions(self, namespace: str, *, limit: int | None = None) -> list[Redaction]:
        """The redactions of a namespace, newest first."""
        return list(self._connection.pages(f"{namespace_path(namespace)}/redactions", None, limit))

    def redaction(self, redaction_id: str) -> Redaction:
        """One redaction with its places; for those who verify the journal, with the salt of its digests."""
        answer: Redaction = self._connection.call("GET", f"{API}/redactions/{redaction_id}")
        return answer

    def approve_redaction(self, redaction_id: str, reason: str = "") -> Redaction:
        """Take the texts out, at once and for good."""
        return self._decide_redaction(redaction_id, "approve", reason)

    def reject_redaction(self, redaction_id: str, reason: str) -> Redaction:
        """Leave everything as it is."""
        return self._decide_redaction(redaction_id, "reject", reason)

    def _decide_redaction(self, redaction_id: str, verdict: str, reason: str) -> Redaction:
        body = {"verdict": verdict, "reason": reason}
        path = f"{API}/redactions/{redaction_id}/decide"
        answer: Redaction = self._connection.call("POST", path, body=body)
        return answer
