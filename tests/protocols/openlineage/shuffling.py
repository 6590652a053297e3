"""1,000 events of five jobs in three levels, over fifty days, told in 20 ways: the same answers each time.

As a control, a reader that believes only the event that came last is to be found out. With OPENLINEAGE_SPEC, a folder
`spec` of the standard's repository, what we send is held against its JSON schemas as they are written there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from lineage.actions.reports import receive_events
from lineage.models import LineageEvent, Run
from protocols.openlineage.events import read_events
from protocols.openlineage.reading import told
from protocols.openlineage.telling import facet_schema, run_event
from registry.models import Event
from tests.cast import Cast, make_cast
from tests.figures import print_campaign
from tests.lineage.scenes import a_run, read, wrote
from tests.protocols.openlineage.pipeline import answers, days, ways
from tests.protocols.openlineage.scenes import tell, teller

DAYS = 50
WAYS = 20


def answered(cast: Cast) -> dict[str, Any]:
    """All that is asked of a namespace."""
    client = cast.client("vera")

    def get(path: str, asked: dict[str, Any]) -> dict[str, Any]:
        answer = client.get(path, asked)
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    return answers(get, cast.namespace.name)


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """The parts of the answers that are not the same."""
    return [part for part, told_once in expected.items() if found[part] != told_once]


def told_in(batches: Iterable[list[dict[str, Any]]]) -> Cast:
    """A new namespace in which the events were told in these arrays."""
    cast = make_cast()
    client = teller(cast)
    for batch in batches:
        tell(client, batch)
    return cast


def believing_the_last(batches: Iterable[list[dict[str, Any]]]) -> Cast:
    """The control: each event replaces what the ones before it said."""
    cast = make_cast()
    for batch in batches:
        receive_events(
            namespace=cast.namespace,
            by=cast.principal("ci"),
            events=read_events(batch),
            derive=lambda bodies: told(bodies[-1:]),
        )
    return cast


def campaign() -> bool:
    events = days(DAYS)
    began = time.monotonic()
    expected = answered(told_in([event] for event in events))
    print(f"{len(events)} events in order, and the answers: {time.monotonic() - began:.0f} s", flush=True)
    bad = 0
    for seed in range(WAYS):
        began = time.monotonic()
        cast = told_in(ways(events, seed))
        wrong = differences(expected, answered(cast))
        kept = LineageEvent.objects.filter(namespace=cast.namespace).count()
        bad += bool(wrong) or kept != len(events)
        print(
            f"way {seed}: {kept} kept, different: {wrong or 'nothing'}, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    few = days(4)
    caught = bool(differences(answered(told_in([few])), answered(believing_the_last(ways(few, 0)))))
    green = print_campaign("openlineage_orders", cases=WAYS, bad=bad, control_caught=caught)
    if spec := os.environ.get("OPENLINEAGE_SPEC"):
        green = by_the_schema(Path(spec)) and green
    return green


def by_the_schema(spec: Path) -> bool:
    """Whether what we send fits the schemas in this folder: each event, and each of its facets by its own."""
    cast = make_cast()
    code = {"commit": "1" * 40, "remote": "git@git.example.com:ml/fraud.git", "branch": "main"}
    runs = [
        a_run(cast, uses=[read("in.csv"), wrote("out.csv")], code=code, status=end)
        for end in ("finished", "failed")
    ]
    Run.objects.filter(pk=runs[1].pk).update(failure="ValueError: no rows")
    schemas = {each["$id"]: each for each in _schemas(spec)}
    known: Registry[Any] = Registry().with_resources(
        (address, Resource.from_contents(schema)) for address, schema in schemas.items()
    )
    told_of = Event.objects.filter(namespace=cast.namespace, subject_id__in=[str(run.pk) for run in runs])
    events = [run_event(event, Run.objects.get(pk=event.subject_id)) for event in told_of.order_by("pk")]
    wrong = [problem for event in events for problem in _problems(event, schemas, known)]
    for problem in wrong:
        print(problem, flush=True)
    broken = {**events[0], "run": {"runId": 1, "facets": {"x": {}}}}
    caught = len(list(_problems(broken, schemas, known))) >= 2
    return print_campaign("openlineage_schema", cases=len(events), bad=len(wrong), control_caught=caught)


def _schemas(spec: Path) -> Iterator[dict[str, Any]]:
    for path in [spec / "OpenLineage.json", *sorted((spec / "facets").glob("*.json"))]:
        yield json.loads(path.read_text())
    for name in ("AssayDigestDatasetFacet", "AssayRunFacet"):
        yield facet_schema(name) or {}


def _problems(event: dict[str, Any], schemas: dict[str, Any], known: Registry[Any]) -> Iterator[str]:
    yield from _against({"$ref": event["schemaURL"]}, event, known)
    rows = [event["run"], event["job"], *event["inputs"], *event["outputs"]]
    facets = [
        (name, facet)
        for row in rows
        for kind in ("facets", "inputFacets", "outputFacets")
        for name, facet in row.get(kind, {}).items()
    ]
    for name, facet in facets:
        if "_schemaURL" not in facet:
            continue
        if facet["_schemaURL"].partition("#")[0] not in schemas:
            yield f"{name}: {facet['_schemaURL']} is not among the schemas"
        else:
            yield from _against({"$ref": facet["_schemaURL"]}, facet, known)


def _against(schema: dict[str, Any], given: Any, known: Registry[Any]) -> Iterator[str]:
    checker = Draft202012Validator(schema, registry=known, format_checker=FormatChecker())
    for error in checker.iter_errors(given):
        yield f"{error.json_path}: {error.message[:200]}"
