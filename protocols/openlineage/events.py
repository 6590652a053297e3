"""Events as they arrive: checked by what the standard asks of every event, and brought into the form they are kept in.

Facets may hold anything: those that are not as the standard says are kept, and nothing is read from them.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from rest_framework import serializers

from lineage.actions.reports import Telling
from lineage.api.fields import Time
from protocols.openlineage.privacy import without_secrets
from registry.errors import InvalidInput

TYPES = ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")
MOST_EVENTS = 1000
MOST_DATASETS = 2000
LONGEST = 2000
KINDS = "a RunEvent (run, job), a JobEvent (job) or a DatasetEvent (dataset)"


def read_events(given: Any) -> list[Telling]:
    """One event, or an array of them. Raises InvalidInput, naming the field."""
    if isinstance(given, list):
        if len(given) > MOST_EVENTS:
            raise InvalidInput(f"An array holds at most {MOST_EVENTS:,} events.")
        return [_event(each, f"[{place}]") for place, each in enumerate(given)]
    return [_event(given, "")]


def _event(given: Any, where: str) -> Telling:
    if not isinstance(given, dict):
        raise InvalidInput(f"{_said(where)}An event is a JSON object: {KINDS}.", field=where or None)
    at = _time(given.get("eventTime"), f"{where}.eventTime")
    for name in ("producer", "schemaURL"):
        _text(given.get(name), f"{where}.{name}")
    run = None
    if "run" in given:
        run = _run(given, where)
    elif "dataset" in given:
        _named(given["dataset"], f"{where}.dataset")
    elif "job" not in given:
        raise _wrong(f"{where}.run", f"is missing: this is {KINDS}")
    if run or "job" in given:
        _named(given.get("job"), f"{where}.job")
    for name in ("inputs", "outputs"):
        _datasets(given.get(name), f"{where}.{name}", name)
    body = without_secrets(given)
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Telling(digest=hashlib.sha256(canonical.encode()).hexdigest(), at=at, run=run, body=body)


def _run(given: dict[str, Any], where: str) -> UUID:
    run = _object(given["run"], f"{where}.run")
    _facets(run, f"{where}.run")
    kind = given.get("eventType")
    if kind is not None and kind not in TYPES:
        raise _wrong(f"{where}.eventType", f"is one of {', '.join(TYPES)}")
    named = run.get("runId")
    try:
        return UUID(named if isinstance(named, str) else "")
    except ValueError:
        raise _wrong(f"{where}.run.runId", "is a UUID") from None


def _datasets(given: Any, where: str, name: str) -> None:
    if given is None:
        return
    if not isinstance(given, list):
        raise _wrong(where, "is an array of datasets")
    if len(given) > MOST_DATASETS:
        raise _wrong(where, f"holds at most {MOST_DATASETS:,} datasets")
    for place, each in enumerate(given):
        _named(each, f"{where}[{place}]", f"{name.removesuffix('s')}Facets")


def _named(given: Any, where: str, *facets: str) -> None:
    """A job or a dataset: both are found by a namespace and a name."""
    row = _object(given, where)
    for name in ("namespace", "name"):
        _text(row.get(name), f"{where}.{name}")
    _facets(row, where, *facets)


def _facets(row: dict[str, Any], where: str, *more: str) -> None:
    for name in ("facets", *more):
        facets = row.get(name)
        if facets is None:
            continue
        for key, facet in _object(facets, f"{where}.{name}").items():
            if facet is not None:
                _object(facet, f"{where}.{name}.{key[:100]}")


def _object(given: Any, where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _wrong(where, "is a JSON object")
    return given


def _text(given: Any, where: str) -> str:
    if not isinstance(given, str) or not given.strip():
        raise _wrong(where, "is a text that is not empty")
    if len(given) > LONGEST:
        raise _wrong(where, f"has at most {LONGEST:,} characters")
    return given


def _time(given: Any, where: str) -> datetime:
    try:
        return Time().to_internal_value(given)
    except serializers.ValidationError:
        raise _wrong(where, "is a time with its zone, such as 2026-05-04T09:30:00.000Z") from None


def _wrong(where: str, what: str) -> InvalidInput:
    field = where.removeprefix(".")
    return InvalidInput(f"{field} {what}.", field=field)


def _said(where: str) -> str:
    return f"{where}: " if where else ""
