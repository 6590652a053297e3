"""What runs where: told by what runs it, and asked beside what is approved.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

from typing import TypedDict
from urllib.parse import quote

from assay.answers import Promotion, Version
from assay.http import Connection
from assay.references import API, Reference, model_path


class Running(TypedDict):
    """What a target is reported to run. `drift` names what is wrong (out_of_use, under_quarantine, other_bytes,
    not_approved, silent), `sentence` says it, `loud` is what must not run; `approved` is None for staging's targets."""

    target: str
    serves: str
    version: str
    number: int
    digest: str
    approved: bool | None
    since: str
    last_seen: str | None
    interval_seconds: int | None
    reported_by: str
    drift: list[str]
    loud: bool
    sentence: str


class Approver(TypedDict):
    """Somebody who approved, why and when."""

    by: str
    reason: str
    at: str


class Production(TypedDict):
    """What is or was in production, on whose approval, and what runs or ran where."""

    version: Version | None
    since: str | None
    promotion: Promotion | None
    approved_by: list[Approver]
    running: list[Running]


class Deployments:
    """The calls of a client about what is in production and what runs."""

    _connection: Connection

    def deployed(
        self,
        ref: str,
        target: str,
        *,
        digest: str | None = None,
        serves: str | None = None,
        interval: int | None = None,
    ) -> Running:
        """Report that a version runs at `target`, as `eu-1`. Nothing is refused for being wrong: look at `drift`.

        `digest` is what really runs, by default the version's own; `serves` production or staging; within `interval`
        seconds it is to be said again, or its silence is an event (0: no longer). What is not given stays as it was
        reported before. Saying it again is a heartbeat.
        """
        number = Reference.parse(ref).number
        if number is None:
            number = self._connection.call("GET", f"{API}/resolve", params={"ref": ref})["number"]
        told = {"version": number, "digest": digest, "serves": serves, "interval_seconds": interval}
        body = {key: value for key, value in told.items() if value is not None}
        answer: Running = self._connection.call("PUT", _target(ref, target), body=body)
        return answer

    def undeployed(self, model: str, target: str, *, reason: str = "") -> None:
        """Report that a model does not run at `target` any more."""
        self._connection.call("DELETE", _target(model, target), body={"reason": reason})

    def deployments(self, model: str) -> list[Running]:
        """Every target that is reported to run a model, and whether it runs what it should."""
        found: list[Running] = self._connection.call("GET", f"{model_path(model)}/deployments")["results"]
        return found

    def production(self, model: str, *, at: str | None = None) -> Production:
        """What is approved and what runs; `at` a time in UTC, as 2026-01-31T12:00:00Z: as it was then."""
        answer: Production = self._connection.call(
            "GET", f"{model_path(model)}/production", params={"at": at}
        )
        return answer


def _target(ref: str, target: str) -> str:
    return f"{model_path(ref)}/deployments/{quote(target, safe='')}"
