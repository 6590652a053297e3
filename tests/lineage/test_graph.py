"""Up and down from a version, over REST: shared nodes once, what may not be seen as a stub, queries constant."""

from __future__ import annotations

import json
import uuid
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from lineage.graph import (
    Arrow,
    Direction,
    Wanted,
    add_edges,
    add_nodes,
    ancestors,
    arrows,
    descendants,
    path_between,
    walk,
)
from lineage.models import Node
from registry.actions.roles import grant_role
from registry.models import SYSTEM, ModelVersion
from tests.cast import Cast
from tests.lineage.scenes import a_run, a_version, read, wrote


def lineage(client: APIClient, version: ModelVersion, **query: Any) -> Any:
    model = version.model
    path = f"/api/v1/namespaces/{model.namespace.name}/models/{model.name}/versions/{version.number}/lineage"
    return client.get(path, query)


def labels(answer: Any) -> set[tuple[str, str]]:
    return {(node["kind"], node["label"]) for node in answer.json()["nodes"]}


@pytest.fixture
def chain(cast: Cast) -> list[ModelVersion]:
    """raw.csv -> run -> features.csv -> run -> scorer:1 -> (base) scorer:2, trained on features.csv too."""
    a_run(cast, uses=[read("raw.csv"), wrote("features.csv")])
    first = a_version(cast, a_run(cast, uses=[read("features.csv")]))
    second = a_version(cast, a_run(cast, uses=[read("features.csv")]), base=[first.reference])
    return [first, second]


def test_up_reaches_the_raw_data(cast: Cast, chain: list[ModelVersion]) -> None:
    answer = lineage(cast.client("vera"), chain[1])
    assert answer.status_code == 200
    shown = answer.json()
    assert shown["root"] == str(chain[1].pk)
    assert shown["note"] is None
    kinds = sorted(node["kind"] for node in shown["nodes"])
    assert kinds == ["dataset_version"] * 2 + ["model_version"] * 2 + ["run"] * 3
    assert {("dataset_version", "raw.csv"), ("dataset_version", "features.csv")} <= labels(answer)
    assert {("model_version", v.reference) for v in chain} <= labels(answer)
    assert {edge["role"] for edge in shown["edges"]} == {"input", "output", "base"}
    ids = [node["id"] for node in shown["nodes"]]
    assert len(ids) == len(set(ids))
    assert all(edge["from"] in ids and edge["to"] in ids for edge in shown["edges"])
    features = next(node for node in shown["nodes"] if node["label"] == "features.csv")
    assert features["detail"]["produced"] is True
    assert features["distance"] == 2


def test_depth_and_direction(cast: Cast, chain: list[ModelVersion]) -> None:
    client, (first, second) = cast.client("vera"), chain
    near = lineage(client, second, depth=1)
    assert {label for kind, label in labels(near) if kind != "run"} == {first.reference, second.reference}
    down = lineage(client, first, direction="down")
    assert labels(down) == {("model_version", first.reference), ("model_version", second.reference)}
    both = lineage(client, first, direction="both").json()
    assert sum(node["kind"] == "model_version" for node in both["nodes"]) == 2
    assert "raw.csv" in {node["label"] for node in both["nodes"]}


@pytest.mark.parametrize("query", [{"direction": "sideways"}, {"depth": 0}, {"depth": 51}, {"depth": "x"}])
def test_what_is_no_question_is_refused(cast: Cast, query: dict[str, Any]) -> None:
    answer = lineage(cast.client("ben"), a_version(cast), **query)
    assert (answer.status_code, answer.json()["field"]) == (422, next(iter(query)))


def test_a_stranger_is_told_nothing(cast: Cast, chain: list[ModelVersion]) -> None:
    assert lineage(cast.client("mallory"), chain[0]).status_code == 404


def test_a_version_without_a_run_stands_alone(cast: Cast) -> None:
    version = a_version(cast)
    shown = lineage(cast.client("ben"), version).json()
    assert [node["label"] for node in shown["nodes"]] == [version.reference]
    assert shown["edges"] == []


def test_what_may_not_be_seen_keeps_its_place(cast: Cast) -> None:
    """A base from another namespace, with the run and data that made it: the shape stays, the names do not."""
    secret = read("secret.csv", context="secret purpose")
    run = a_run(cast, by="mallory", elsewhere=True, uses=[secret])
    hidden = a_version(cast, run, by="mallory", elsewhere=True, name="secret-model")
    grant_role(namespace=cast.elsewhere, user=cast.user("ada"), role="viewer", by=SYSTEM)
    version = a_version(cast, a_run(cast, by="ada"), by="ada", base=[hidden.reference])
    seen = lineage(cast.client("ada"), version)
    assert ("model_version", hidden.reference) in labels(seen)
    assert {edge["context"] for edge in seen.json()["edges"]} == {"", "training", "secret purpose"}
    stubbed = lineage(cast.client("ben"), version)
    shown = stubbed.json()
    assert sum(node["kind"] == "restricted" for node in shown["nodes"]) == 3
    assert all(node["detail"] == {} for node in shown["nodes"] if node["kind"] == "restricted")
    assert len(shown["edges"]) == len(seen.json()["edges"]) == 5
    assert {edge["context"] for edge in shown["edges"]} == {"", "training"}
    text = json.dumps(shown)
    assert all(secret not in text for secret in ("secret", str(hidden.pk), str(run.pk), cast.elsewhere.name))


def test_the_queries_do_not_grow_with_the_graph(
    cast: Cast, chain: list[ModelVersion], django_assert_max_num_queries: Any
) -> None:
    client = cast.client("vera")
    with django_assert_max_num_queries(13) as counted:
        lineage(client, chain[0])
    for _ in range(3):
        a_version(cast, a_run(cast, uses=[read(f"{n}.csv") for n in range(9)]), base=[chain[1].reference])
    kinds = {"model_version", "run", "dataset_version"}
    with django_assert_max_num_queries(len(counted.captured_queries)):
        assert {node["kind"] for node in lineage(client, chain[0]).json()["nodes"]} == kinds
    with django_assert_max_num_queries(len(counted.captured_queries)):
        assert len(lineage(client, chain[1], direction="both").json()["nodes"]) == 10


def test_the_nearest_are_shown_when_there_are_too_many(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, chain: list[ModelVersion]
) -> None:
    monkeypatch.setattr(walk, "__kwdefaults__", {**(walk.__kwdefaults__ or {}), "most": 3})
    shown = lineage(cast.client("ben"), chain[1]).json()
    assert [node["distance"] for node in shown["nodes"]] == [0, 1, 1]
    assert "nearest" in shown["note"]


def ladder(cast: Cast, rungs: int) -> list[list[uuid.UUID]]:
    """Two nodes a rung, each joined to both of the next: 2 ** rungs paths through 2 * rungs nodes."""
    made = [[uuid.uuid4(), uuid.uuid4()] for _ in range(rungs)]
    add_nodes(Node.Kind.RUN, [node for pair in made for node in pair], cast.namespace)
    add_edges(Arrow(a, b, "input") for above, below in pairwise(made) for a in above for b in below)
    return made


def test_many_paths_are_walked_once(cast: Cast) -> None:
    made = ladder(cast, 40)
    down = walk(made[0][0], Direction.DOWN, depth=50)
    assert len(down.nodes) == 79
    assert not down.more
    assert down.nodes[made[39][1]] == 39
    assert len(ancestors([made[39][0]])) == 79
    assert len(descendants([made[0][0], made[0][1]])) == 80
    assert len(arrows(down)) == 4 * 38 + 2


def test_a_node_is_told_its_shortest_distance(cast: Cast) -> None:
    made = ladder(cast, 5)
    add_edges([Arrow(made[0][0], made[4][1], "base")])
    assert walk(made[0][0], Direction.DOWN).nodes[made[4][1]] == 1


def scans(cast: Cast) -> int:
    """How often this transaction has read the whole table of edges."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'lineage_edge'")
        return int(cursor.fetchone()[0])


def test_the_walk_uses_the_indexes(cast: Cast) -> None:
    """Among many other edges, no step reads the whole table."""
    made = ladder(cast, 30)
    hub = uuid.uuid4()
    leaves = [uuid.uuid4() for _ in range(3000)]
    add_nodes(Node.Kind.RUN, [hub, *leaves], cast.namespace)
    add_edges(Arrow(hub, leaf, "input") for leaf in leaves)
    before = scans(cast)
    found = walk(made[15][0], Direction.BOTH, depth=50)
    assert len(found.nodes) == 2 * 29 + 1
    assert len(arrows(found)) == 2 * 2 + 4 * 27
    first = walk(hub, Direction.DOWN, most=1000)
    assert len(walk(hub, Direction.DOWN, most=1000, after=(1, list(first.nodes)[-1])).nodes) == 1000
    assert len(walk(hub, Direction.DOWN, most=1000, wanted=Wanted(kinds=("run",))).nodes) == 1000
    assert len(path_between(made[0][0], made[29][1])) == 30
    ancestors([made[15][0]])
    descendants([made[15][0]])
    assert scans(cast) == before
