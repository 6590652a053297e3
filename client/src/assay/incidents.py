"""What is asked and done when something turns out bad: the graph around anything, what it went into, quarantine,
incidents.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict
from urllib.parse import parse_qs, urlsplit

from assay.answers import Edge, Graph, Node
from assay.http import Connection
from assay.references import API, Reference, model_path

PAGE = 1000


class Path(TypedDict):
    """A shortest path between two nodes: `direction` down, up, or None where there is none."""

    direction: str | None
    nodes: list[Node]
    edges: list[Edge]


class Affected(TypedDict):
    """A version that something went into, and the way to it, both ends included."""

    id: str
    reference: str
    stage: str
    distance: int
    detail: dict[str, Any]
    path: list[Node]


class Sources(TypedDict):
    """Where the walk began: how many nodes, and the first of them."""

    count: int
    nodes: list[Node]


# `stages` counts every version by stage, `restricted` those that the caller may not see.
Impact = TypedDict(
    "Impact",
    {
        "from": Sources,
        "stages": dict[str, int],
        "restricted": int,
        "notes": list[str],
        "results": list[Affected],
        "next": str | None,
    },
)


class Quarantine(TypedDict):
    """A version that somebody doubts, and why."""

    id: str
    version: str
    namespace: str
    stage: str
    reason: str
    found_by: dict[str, list[str]]
    by: str
    at: str


class Placed(TypedDict):
    """What one call put under quarantine. Those in `in_production` stay there; `not_yours` and `restricted` (a
    number) are affected too and were left alone."""

    quarantined: list[Quarantine]
    already: list[str]
    in_production: list[str]
    voided: list[dict[str, str]]
    not_yours: list[str]
    restricted: int


class Incident(TypedDict):
    """Something is wrong with `about`, a version or a model: `state` open or closed, `resolution` what became of it."""

    id: str
    about: str
    namespace: str
    severity: str
    title: str
    detail: str
    state: str
    opened_by: str
    opened_at: str
    closed_by: str | None
    closed_at: str | None
    resolution: str


class Incidents:
    """The calls of a client about what came of what, and about versions that are doubted."""

    _connection: Connection

    def graph(
        self,
        node: str,
        *,
        direction: str = "up",
        depth: int | None = None,
        kind: Sequence[str] = (),
        since: str | None = None,
        until: str | None = None,
        limit: int = PAGE,
    ) -> Iterator[Graph]:
        """The pages of the graph around any node: an id, a version, or `namespace/dataset@sha256:...`.

        Nearest first; `kind` (run, dataset_version, model_version, logged_model) and times choose what is shown. An
        edge is on the page of that of its two ends which comes later.
        """
        wanted: dict[str, Any] = {"node": node, "direction": direction, "depth": depth, "limit": limit}
        wanted |= {"kind": ",".join(kind) or None, "since": since, "until": until}
        while True:
            page: Any = self._connection.call("GET", f"{API}/lineage/graph", params=wanted)
            yield page
            if not page["next"]:
                return
            wanted["cursor"] = _cursor(page["next"])

    def path(self, source: str, target: str) -> Path:
        """A shortest path between two nodes, whichever was made from the other; no nodes where neither was."""
        answer: Path = self._connection.call(
            "GET", f"{API}/lineage/path", params={"from": source, "to": target}
        )
        return answer

    def impact(
        self,
        *,
        dataset: Sequence[str] = (),
        commit: Sequence[str] = (),
        package: Sequence[str] = (),
        image: Sequence[str] = (),
        base: Sequence[str] = (),
    ) -> Impact:
        """Every version that what is doubted went into, at any distance, each with its stage and a path to it.

        A dataset is an id, a digest, or `namespace/dataset@sha256:...`; a commit its first 7 digits or more; a package
        `numpy` or `numpy<2.1`; an image a digest; a base a reference. Asks for page after page until none is left.
        """
        body = _question(dataset, commit, package, image, base)
        found: Impact | None = None
        cursor: str | None = None
        while True:
            page: Impact = self._connection.call(
                "POST", f"{API}/impact", params={"limit": PAGE, "cursor": cursor}, body=body
            )
            if found is not None:
                page["results"] = found["results"] + page["results"]
            found = page
            if not page["next"]:
                return found
            cursor = _cursor(page["next"])

    def quarantine(self, *refs: str, reason: str) -> Placed:
        """Put versions under quarantine, all or none: they enter neither staging nor production until somebody else
        lifts it. What is in production stays there and is named."""
        return self._place({"versions": [_checked(ref) for ref in refs], "reason": reason})

    def quarantine_impact(
        self,
        *,
        reason: str,
        dataset: Sequence[str] = (),
        commit: Sequence[str] = (),
        package: Sequence[str] = (),
        image: Sequence[str] = (),
        base: Sequence[str] = (),
    ) -> Placed:
        """Put every version under quarantine that what is doubted went into, where you may; the others are told."""
        return self._place({"impact": _question(dataset, commit, package, image, base), "reason": reason})

    def lift_quarantine(self, *refs: str, reason: str) -> list[str]:
        """Lift what somebody else placed; the versions that are free again."""
        body = {"versions": [_checked(ref) for ref in refs], "reason": reason}
        lifted: list[str] = self._connection.call("POST", f"{API}/quarantine/lift", body=body)["lifted"]
        return lifted

    def quarantines(self, *, namespace: str | None = None, limit: int | None = None) -> list[Quarantine]:
        """The quarantines that stand, newest first."""
        return list(self._connection.pages(f"{API}/quarantine", {"namespace": namespace}, limit))

    def open_incident(
        self, about: str, title: str, *, severity: str = "medium", detail: str = ""
    ) -> Incident:
        """Something is wrong with `namespace/model:3`, or with `namespace/model` whatever the version.

        `severity` is low, medium, high or critical. Raises ReferenceInvalid.
        """
        number = Reference.parse(about).number
        body = {"title": title, "severity": severity, "detail": detail, "version": number}
        opened: Incident = self._connection.call("POST", f"{model_path(about)}/incidents", body=body)
        return opened

    def close_incident(self, incident_id: str, reason: str) -> Incident:
        """Close it for good; the reason is what became of it."""
        closed: Incident = self._connection.call(
            "POST", f"{API}/incidents/{incident_id}/close", body={"reason": reason}
        )
        return closed

    def incidents(
        self, *, namespace: str | None = None, state: str | None = None, limit: int | None = None
    ) -> list[Incident]:
        """Newest first; `state` is open or closed."""
        wanted = {"namespace": namespace, "state": state}
        return list(self._connection.pages(f"{API}/incidents", wanted, limit))

    def _place(self, body: Mapping[str, Any]) -> Placed:
        answer: Placed = self._connection.call("POST", f"{API}/quarantine", body=body)
        return answer


def _checked(ref: str) -> str:
    """Raises ReferenceInvalid."""
    Reference.parse(ref)
    return ref


def _question(
    dataset: Sequence[str],
    commit: Sequence[str],
    package: Sequence[str],
    image: Sequence[str],
    base: Sequence[str],
) -> dict[str, list[str]]:
    asked = {"dataset": dataset, "commit": commit, "package": package, "image": image, "base": base}
    return {name: list(values) for name, values in asked.items() if values}


def _cursor(address: str) -> str:
    """Where the next page begins: its host is what a proxy sees, so only this is taken."""
    return parse_qs(urlsplit(address).query)["cursor"][0]
