"""A scheduler's daily pipeline as OpenLineage events, and what Assay answers about it, in words without ids.

Five jobs of three levels, every day: two extractions, a cleaning of both, then features, and a training on features
and the cleaned table. Each is a task of the day's DAG run, which is its parent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import NAMESPACE_URL, uuid3

PRODUCER = "https://github.com/OpenLineage/OpenLineage/tree/1.54.0/integration/airflow"
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
BEGINNING = datetime(2026, 5, 4, 2, 0, tzinfo=UTC)
WAREHOUSE = "postgres://warehouse:5432"
LAKE = "s3://lake"
# job: minutes after the day began, what it reads, what it writes, and whether its events tell versions
JOBS: dict[str, tuple[int, list[tuple[str, str]], tuple[str, str], bool]] = {
    "extract_orders": (0, [(WAREHOUSE, "shop.public.orders")], (LAKE, "raw/orders"), False),
    "extract_people": (5, [(WAREHOUSE, "shop.public.people")], (LAKE, "raw/people"), False),
    "clean": (30, [(LAKE, "raw/orders"), (LAKE, "raw/people")], (LAKE, "clean"), False),
    "features": (60, [(LAKE, "clean")], (LAKE, "features"), True),
    "train": (90, [(LAKE, "features"), (LAKE, "clean")], (LAKE, "scores"), False),
}
PER_RUN = 4


def facet(name: str, /, **values: Any) -> dict[str, Any]:
    return {
        "_producer": PRODUCER,
        "_schemaURL": f"https://openlineage.io/spec/facets/1-0-0/{name}.json",
        **values,
    }


def run_id(job: str, day: int) -> str:
    return str(uuid3(NAMESPACE_URL, f"{job}/{day}"))


def event(job: str, day: int, kind: str, minute: int, **more: Any) -> dict[str, Any]:
    """An event of a task, with its parent, as the scheduler's integration sends it."""
    at = BEGINNING + timedelta(days=day, minutes=minute)
    parent = facet(
        "ParentRunFacet",
        run={"runId": run_id("daily", day)},
        job={"namespace": "airflow", "name": "daily"},
    )
    nominal = facet("NominalTimeRunFacet", nominalStartTime=(BEGINNING + timedelta(days=day)).isoformat())
    return {
        "eventType": kind,
        "eventTime": at.isoformat().replace("+00:00", "Z"),
        "producer": PRODUCER,
        "schemaURL": SPEC + "RunEvent",
        "run": {"runId": run_id(job, day), "facets": {"parent": parent, "nominalTime": nominal}},
        "job": {"namespace": "airflow", "name": f"daily.{job}", "facets": {}},
        "inputs": [],
        "outputs": [],
        **more,
    }


def task(job: str, day: int) -> list[dict[str, Any]]:
    """The events of one task: each tells another part of it. Every seventh cleaning fails."""
    minute, reads, (where, what), versioned = JOBS[job]
    inputs: list[dict[str, Any]] = [{"namespace": a, "name": b, "facets": {}} for a, b in reads]
    output: dict[str, Any] = {"namespace": where, "name": what, "facets": {}}
    schema = facet(
        "SchemaDatasetFacet", fields=[{"name": "id", "type": "INT"}, {"name": "x", "type": "FLOAT"}]
    )
    code = facet(
        "SourceCodeLocationJobFacet", type="git", url="https://git.example.com/etl/dags/daily.py",
        repoUrl="https://git.example.com/etl.git", path="dags/daily.py", version=f"{day // 3:040x}", branch="main",
    )  # fmt: skip
    started = event(job, day, "START", minute, inputs=inputs)
    started["job"]["facets"] = {"sourceCodeLocation": code}
    running = event(job, day, "RUNNING", minute + 2, outputs=[output])
    running["run"]["facets"] |= {
        "processing_engine": facet("ProcessingEngineRunFacet", name="spark", version="3.5.1"),
        "executionParameters": facet(
            "ExecutionParametersRunFacet", parameters=[{"key": "day", "name": "day", "value": str(day)}]
        ),
        "environmentVariables": facet(
            "EnvironmentVariablesRunFacet",
            environmentVariables=[
                {"name": "AIRFLOW_CTX_TASK_ID", "value": job},
                {"name": "WAREHOUSE_URL", "value": "postgres://etl:hunter2@warehouse/shop"},
            ],
        ),
    }
    told = {
        **output,
        "facets": {"schema": schema},
        "outputFacets": {
            "outputStatistics": facet("OutputStatisticsOutputDatasetFacet", rowCount=1000 + day, size=64_000)
        },
    }
    if versioned:
        told["facets"] = {
            "schema": schema,
            "version": facet("DatasetVersionDatasetFacet", datasetVersion=str(day)),
        }
    if job == "clean" and day % 7 == 3:
        ended = event(job, day, "FAIL", minute + 9, outputs=[output])
        ended["run"]["facets"]["errorMessage"] = facet(
            "ErrorMessageRunFacet", message="The table is empty.", programmingLanguage="PYTHON"
        )
    else:
        ended = event(job, day, "COMPLETE", minute + 10, inputs=inputs, outputs=[told])
    if job == "train":
        # It reads yesterday's features, by version, and says so at its end only.
        version = facet("DatasetVersionDatasetFacet", datasetVersion=str(max(day - 1, 0)))
        ended["inputs"] = [{**inputs[0], "facets": {"version": version}}, inputs[1]]
    other = event(job, day, "OTHER", minute + 11)
    return [started, running, ended, other]


def days(count: int) -> list[dict[str, Any]]:
    """The events of so many days, in the order in which they happened: 20 a day."""
    return [each for day in range(count) for job in JOBS for each in task(job, day)]


def ways(events: Sequence[dict[str, Any]], seed: int) -> Iterator[list[dict[str, Any]]]:
    """The same events, each once or twice more, shuffled, in arrays of many sizes."""
    chance = random.Random(seed)
    told = [*events, *events, *chance.sample(list(events), len(events) // 3)]
    chance.shuffle(told)
    while told:
        size = chance.choice([1, 1, 2, 7, 40])
        yield told[:size]
        told = told[size:]


Get = Callable[[str, dict[str, Any]], dict[str, Any]]


def answers(get: Get, namespace: str) -> dict[str, Any]:
    """What is answered of a namespace's runs and graph, with the tools' names in place of ids."""
    runs = list(_pages(get, f"/api/v1/namespaces/{namespace}/runs", {"limit": 100}))
    names = {run["id"]: f"run {run['reported']['run']}" for run in runs}
    wrote = {use["id"]: run["id"] for run in runs for use in run["datasets"] if use["role"] == "output"}
    for run in runs:
        for use in run["datasets"]:
            names.setdefault(use["id"], f"{use['name']} of {names.get(wrote.get(use['id'], ''), 'nobody')}")
    last = max((run for run in runs if run["name"] == "daily.train"), key=lambda run: str(run["started_at"]))
    first = min(runs, key=lambda run: str(run["started_at"]))
    up = _graph(get, last["id"], "up", names)
    ids = {name: key for key, name in names.items()}
    # In a graph that was made wrongly there may be none.
    sources = sorted(name for name, label, *_ in up["nodes"] if label == "daily.extract_orders")
    return {
        "runs": sorted((_run(run, names) for run in runs), key=lambda run: str(run["run"])),
        "up": up,
        "down": _graph(get, first["id"], "down", names),
        "both": _graph(get, last["id"], "both", names, limit=7, depth=6),
        "path": _path(get, ids[sources[0]], last["id"]) if sources else None,
    }


def _run(run: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    told = {
        key: value for key, value in run.items() if key not in ("id", "namespace", "created_by", "datasets")
    }
    uses = [{**use, "id": names[use["id"]]} for use in run["datasets"]]
    return {
        **told,
        "run": names[run["id"]],
        "datasets": sorted(uses, key=lambda use: (use["role"], use["id"])),
    }


def _graph(
    get: Get, node: str, direction: str, names: dict[str, str], limit: int = 1000, depth: int = 50
) -> dict[str, Any]:
    asked = {"node": node, "direction": direction, "depth": depth, "limit": limit}
    nodes: list[dict[str, Any]] = []
    edges: list[tuple[str, ...]] = []
    while True:
        answer = get("/api/v1/lineage/graph", asked)
        nodes += answer["nodes"]
        edges += [(names[e["from"]], names[e["to"]], e["role"]) for e in answer["edges"]]
        if not answer["next"]:
            break
        asked["cursor"] = _cursor(answer["next"])
    told = sorted(
        (names[each["id"]], each["label"], each["distance"], str(_plain(each["detail"]))) for each in nodes
    )
    return {"nodes": told, "edges": sorted(edges)}


def _plain(detail: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted((key, value) for key, value in detail.items() if key != "created_by")


def _path(get: Get, source: str, target: str) -> dict[str, Any]:
    answer = get("/api/v1/lineage/path", {"from": source, "to": target})
    return {"direction": answer["direction"], "steps": len(answer["nodes"]), "edges": len(answer["edges"])}


def _pages(get: Get, path: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    while True:
        answer = get(path, asked)
        yield from answer["results"]
        if not answer["next"]:
            return
        asked = {**asked, "cursor": _cursor(answer["next"])}


def _cursor(following: str) -> str:
    return parse_qs(urlsplit(following).query)["cursor"][0]
