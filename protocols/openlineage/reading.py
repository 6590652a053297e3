"""What the events of one run add up to, in whatever order they are given."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from lineage.actions.reports import Told, ToldUse, short_name
from lineage.models import Edge, Run
from protocols.openlineage.privacy import VARIABLES

DIGEST_FACET = "assay_digest"
LONGEST_FAILURE = 20_000
MOST_PARAMETERS = 1000
BIGGEST = 2**63 - 1
# How a run ended, the graver later: of two ends at one moment, that one counts.
ENDS = {"COMPLETE": Run.Status.FINISHED, "ABORT": Run.Status.KILLED, "FAIL": Run.Status.FAILED}
GRAVITY = {
    kind: place for place, kind in enumerate(("START", "RUNNING", "OTHER", "COMPLETE", "ABORT", "FAIL"))
}
CAPTURE = {
    "state": "unknown",
    "notes": ["It was reported by OpenLineage events: what they did not tell is not known."],
}
_DIGEST = re.compile(r"(sha256|frame-v1):[0-9a-f]{64}")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9-]{1,14}:[0-9a-f]{32,128}")

Facets = Mapping[str, Any]


def told(bodies: Sequence[dict[str, Any]]) -> Told:
    """A run by its events, of which there is one at least.

    They count in the order of their own times: of a facet that is told twice, the last stands. A run starts with its
    first START, or with the first that is told of it; it has ended when any event says so, whatever comes after.
    """
    events = sorted(bodies, key=_place)
    run = _merged(event["run"].get("facets") for event in events)
    job = _merged(event["job"].get("facets") for event in events)
    started = next((event for event in events if event.get("eventType") == "START"), events[0])
    ended = next((event for event in reversed(events) if event.get("eventType") in ENDS), None)
    started_at = _at(started)
    failure = _shaped(run, "errorMessage")
    named = events[0]["job"]
    return Told(
        experiment=short_name(f"{named['namespace']}/{named['name']}"),
        name=short_name(named["name"]),
        status=(ENDS[ended["eventType"]] if ended else Run.Status.RUNNING).value,
        started_at=started_at,
        # Clocks differ: nothing ends before it began.
        ended_at=max(_at(ended), started_at) if ended else None,
        reported={
            "run": events[0]["run"]["runId"],
            "job": {"namespace": named["namespace"], "name": named["name"]},
            "parent": _parent(run),
            "nominal_time": _texts(
                run, "nominalTime", {"nominalStartTime": "from", "nominalEndTime": "to"}
            ) or None,
            "parameters": _parameters(run),
        },
        entry_point=_text(_shaped(job, "sourceCodeLocation").get("path"))[:1000],
        code=_code(job),
        environment=_environment(run),
        capture=CAPTURE,
        failure="\n".join(
            filter(None, (_text(failure.get("message")), _text(failure.get("stackTrace"))))
        )[:LONGEST_FAILURE],
        uses=[
            *_uses(events, "inputs", Edge.Role.INPUT.value),
            *_uses(events, "outputs", Edge.Role.OUTPUT.value),
        ],
    )  # fmt: skip


def _place(event: dict[str, Any]) -> tuple[datetime, int, str]:
    """Where an event stands among those of its run: by its time, then its kind, then what it holds."""
    whole = json.dumps(event, sort_keys=True, ensure_ascii=False).encode()
    return _at(event), GRAVITY.get(event.get("eventType") or "OTHER", 0), hashlib.sha256(whole).hexdigest()


def _at(event: dict[str, Any]) -> datetime:
    found = parse_datetime(event["eventTime"])
    if found is None:  # it was checked when it came
        raise ValueError(f"no time: {event['eventTime']!r}")
    return found.astimezone(UTC)


def _merged(told_of: Iterable[Any]) -> dict[str, Any]:
    """Facets by name: the last stands, and may take itself away."""
    found: dict[str, Any] = {}
    for facets in told_of:
        for name, facet in (facets or {}).items():
            if facet is None or facet.get("_deleted") is True:
                found.pop(name, None)
            else:
                found[name] = facet
    return found


def _shaped(facets: Facets, name: str) -> Mapping[str, Any]:
    found = facets.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(facets: Facets, name: str, keys: Mapping[str, str]) -> dict[str, str]:
    """What texts a facet holds, under the names that they have here."""
    facet = _shaped(facets, name)
    return {ours: facet[theirs] for theirs, ours in keys.items() if _text(facet.get(theirs))}


def _rows(facet: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    rows = facet.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value <= BIGGEST else None


def _parent(run: Facets) -> dict[str, Any] | None:
    """How its tool calls the run that began this one, and that run's job."""
    facet = _shaped(run, "parent")
    of, job = _shaped(facet, "run"), _shaped(facet, "job")
    if not _text(of.get("runId")):
        return None
    return {
        "run": of["runId"],
        "job": {"namespace": _text(job.get("namespace")), "name": _text(job.get("name"))},
    }


def _parameters(run: Facets) -> dict[str, str]:
    rows = _rows(_shaped(run, "executionParameters"), "parameters")
    found: dict[str, str] = {}
    for row in rows[:MOST_PARAMETERS]:
        key, value = _text(row.get("key"))[:250], row.get("value")
        if key and value is not None:
            found[key] = value if isinstance(value, str) else json.dumps(value)
    return found


def _code(job: Facets) -> dict[str, Any] | None:
    keys = {"version": "commit", "repoUrl": "remote", "branch": "branch", "tag": "tag"}
    found = _texts(job, "sourceCodeLocation", keys)
    if not found:
        return None
    url = _texts(job, "sourceCodeLocation", {"url": "remote"})
    return {**url, **found}


def _environment(run: Facets) -> dict[str, Any]:
    found: dict[str, Any] = {}
    engine = _texts(run, "processing_engine", {"name": "name", "version": "version"})
    if engine:
        found["engine"] = engine
    variables = {
        row["name"]: row["value"]
        for row in _rows(_shaped(run, "environmentVariables"), "environmentVariables")
        if _text(row.get("name")) in VARIABLES and _text(row.get("value"))
    }
    image = variables.pop("ASSAY_IMAGE_DIGEST", "")
    if _IMAGE.fullmatch(image):
        found["image_digest"] = image
    if variables:
        found["variables"] = variables
    return found


def _uses(events: Sequence[dict[str, Any]], where: str, role: str) -> list[ToldUse]:
    """Every dataset that any of the events names in this role, with what all of them tell of it."""
    facets: dict[str, list[Any]] = {}
    for event in events:
        for row in event.get(where) or []:
            name = dataset_name(row["namespace"], row["name"])
            facets.setdefault(name, []).append(
                {**(row.get("facets") or {}), **(row.get(f"{where.removesuffix('s')}Facets") or {})}
            )
    return [_use(name, role, _merged(facets[name])) for name in sorted(facets)]


def _use(name: str, role: str, facets: Facets) -> ToldUse:
    counted = _shaped(facets, f"{role}Statistics")
    quality = _shaped(facets, "dataQualityMetrics")
    digest = _text(_shaped(facets, DIGEST_FACET).get("digest"))
    fields = _rows(_shaped(facets, "schema"), "fields")
    return ToldUse(
        dataset=name,
        role=role,
        version=_text(_shaped(facets, "version").get("datasetVersion")),
        digest=digest if _DIGEST.fullmatch(digest) else "",
        size=_first(_count, counted.get("size"), quality.get("bytes")),
        files=_first(_count, counted.get("fileCount"), quality.get("fileCount")),
        rows=_first(_count, counted.get("rowCount"), quality.get("rowCount")),
        schema={row["name"]: _text(row.get("type")) for row in fields if _text(row.get("name"))} or None,
    )


def _first(kind: Callable[[Any], int | None], *values: Any) -> int | None:
    return next((found for value in values if (found := kind(value)) is not None), None)


def dataset_name(namespace: str, name: str) -> str:
    """How a dataset is called here: `s3://bucket` and `a/b.csv` are s3://bucket/a/b.csv."""
    return short_name(
        f"{namespace.rstrip('/')}/{name.lstrip('/')}" if "://" in namespace else f"{namespace}/{name}"
    )
