"""The graph around any node, over REST: every node once, page by page; chosen by kind and time; and shortest paths."""

from __future__ import annotations

import json
import random
import uuid
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from lineage.graph import Arrow, add_edges, add_nodes
from lineage.models import DatasetVersion, Experiment, Node, Run
from registry.actions.roles import grant_role
from registry.models import SYSTEM, ModelVersion
from tests.cast import Cast
from tests.lineage.scenes import a_run, a_version, digest_of, read, wrote


def graph(client: APIClient, node: Any, **query: Any) -> Any:
    return client.get("/api/v1/lineage/graph", {"node": str(node), **query})


def path(client: APIClient, source: Any, target: Any) -> Any:
    return client.get("/api/v1/lineage/path", {"from": str(source), "to": str(target)})


def pages(client: APIClient, node: Any, **query: Any) -> list[Any]:
    """Every page's answer."""
    answer = graph(client, node, **query)
    found = []
    while True:
        assert answer.status_code == 200, answer.json()
        found.append(answer.json())
        if not found[-1]["next"]:
            return found
        answer = client.get(found[-1]["next"])


def bare_runs(cast: Cast, count: int) -> list[uuid.UUID]:
    """Runs of which nothing is known but that they are."""
    experiment, _ = Experiment.objects.get_or_create(
        namespace=cast.namespace, name="bare", defaults={"created_by": cast.user("ben")}
    )
    made = Run.objects.bulk_create(
        Run(
            namespace=cast.namespace,
            experiment=experiment,
            started_at=timezone.now(),
            created_by=cast.user("ben"),
        )
        for _ in range(count)
    )
    add_nodes(Node.Kind.RUN, [run.pk for run in made], cast.namespace)
    return [run.pk for run in made]


@pytest.fixture
def tangle(cast: Cast) -> tuple[list[uuid.UUID], set[tuple[uuid.UUID, uuid.UUID]]]:
    """A hundred nodes with shortcuts between levels, from the first of which all others were made."""
    chance = random.Random(4)
    made = bare_runs(cast, 100)
    edges = {(made[chance.randrange(max(0, i - 30), i)], made[i]) for i in range(1, 100)}
    edges |= {(made[a], made[b]) for a, b in (sorted(chance.sample(range(100), 2)) for _ in range(150))}
    add_edges(Arrow(a, b, "input") for a, b in edges)
    return made, edges


def distances(root: uuid.UUID, edges: set[tuple[uuid.UUID, uuid.UUID]]) -> dict[uuid.UUID, int]:
    """Breadth first, the plain way."""
    found, level = {root: 0}, {root}
    while level:
        level = {b for a, b in edges if a in level and b not in found}
        found.update({node: max(found.values()) + 1 for node in level})
    return found


@pytest.mark.parametrize(("direction", "limit"), [("down", 7), ("both", 4), ("up", 3)])
def test_pages_give_every_node_and_edge_once(
    cast: Cast, tangle: tuple[list[uuid.UUID], set[tuple[uuid.UUID, uuid.UUID]]], direction: str, limit: int
) -> None:
    made, edges = tangle
    root = {"down": made[0], "up": made[-1], "both": made[50]}[direction]
    expected: dict[uuid.UUID, int] = {}
    if direction != "up":
        expected |= distances(root, edges)
    if direction != "down":
        expected |= distances(root, {(b, a) for a, b in edges})
    found = pages(cast.client("vera"), root, direction=direction, depth=50, limit=limit)
    assert len(found) > 3
    shown = [(node["distance"], uuid.UUID(node["id"])) for page in found for node in page["nodes"]]
    assert shown == sorted((distance, node) for node, distance in expected.items())
    told = [(uuid.UUID(edge["from"]), uuid.UUID(edge["to"])) for page in found for edge in page["edges"]]
    assert len(told) == len(set(told))
    assert set(told) == {(a, b) for a, b in edges if a in expected and b in expected}
    whole = pages(cast.client("vera"), root, direction=direction, depth=50)
    assert len(whole) == 1
    assert [node["id"] for node in whole[0]["nodes"]] == [str(node) for _, node in shown]


def test_a_page_that_is_just_full_is_the_last(cast: Cast) -> None:
    hub, *leaves = bare_runs(cast, 7)
    add_edges(Arrow(hub, leaf, "input") for leaf in leaves)
    assert graph(cast.client("vera"), hub, direction="down", limit=7).json()["next"] is None
    assert graph(cast.client("vera"), hub, direction="down", limit=6).json()["next"]
    assert graph(cast.client("vera"), hub, direction="down", depth=1, limit=7).json()["next"] is None


def test_what_is_shown_is_chosen_by_kind_and_all_is_walked_through(cast: Cast) -> None:
    a_run(cast, uses=[read("raw.csv"), wrote("features.csv")])
    version = a_version(cast, a_run(cast, uses=[read("features.csv")]))
    client = cast.client("vera")
    found = graph(client, version.reference, kind="dataset_version").json()
    assert [(node["label"], node["distance"]) for node in found["nodes"]] == [
        ("features.csv", 2),
        ("raw.csv", 4),
    ]
    assert found["edges"] == []
    several = pages(client, version.pk, kind="dataset_version,model_version", limit=1)
    assert [page["nodes"][0]["distance"] for page in several] == [0, 2, 4]
    raw = DatasetVersion.objects.get(dataset__name="raw.csv", dataset__namespace=cast.namespace)
    down = graph(client, raw.pk, direction="down", kind="model_version").json()
    assert [node["label"] for node in down["nodes"]] == [version.reference]
    assert down["root"] == str(raw.pk)


def test_what_is_shown_is_chosen_by_time(cast: Cast) -> None:
    hub, early, late = bare_runs(cast, 3)
    add_edges([Arrow(hub, early, "input"), Arrow(hub, late, "input")])
    rows = dict(Node.objects.filter(pk__in=[hub, early, late]).values_list("pk", "created_at"))
    client = cast.client("vera")

    def shown(**chosen: str) -> set[uuid.UUID]:
        found = graph(client, hub, direction="down", **chosen).json()
        return {uuid.UUID(node["id"]) for node in found["nodes"]}

    for at in rows.values():
        assert shown(since=at.isoformat()) == {key for key, made in rows.items() if made >= at}
        assert shown(until=at.isoformat()) == {key for key, made in rows.items() if made < at}
    assert shown(since="2100-01-01T00:00:00Z") == set()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"kind": "table"}, "kind"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-01-01T00:00:00"}, "until"),
        ({"limit": 1001}, "limit"),
        ({"cursor": "abc"}, "cursor"),
        ({"direction": "sideways"}, "direction"),
    ],
)
def test_what_is_no_question_is_refused(cast: Cast, query: dict[str, Any], field: str) -> None:
    answer = graph(cast.client("ben"), a_run(cast).pk, **query)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.fixture
def half_hidden(cast: Cast) -> tuple[ModelVersion, ModelVersion, Run]:
    """A version from another team's base, which ada may see and ben may not."""
    run = a_run(cast, by="mallory", elsewhere=True, uses=[read("secret.csv", context="secret purpose")])
    hidden = a_version(cast, run, by="mallory", elsewhere=True, name="secret-model")
    grant_role(namespace=cast.elsewhere, user=cast.user("ada"), role="viewer", by=SYSTEM)
    return a_version(cast, a_run(cast, by="ada"), by="ada", base=[hidden.reference]), hidden, run


def test_stubs_keep_the_shape_over_pages_and_match_no_choice(
    cast: Cast, half_hidden: tuple[ModelVersion, ModelVersion, Run]
) -> None:
    version, hidden, run = half_hidden
    seen = pages(cast.client("ada"), version.pk, limit=2)
    stubbed = pages(cast.client("ben"), version.pk, limit=2)
    nodes = [node for page in stubbed for node in page["nodes"]]
    edges = [edge for page in stubbed for edge in page["edges"]]
    assert len(nodes) == len({node["id"] for node in nodes}) == sum(len(page["nodes"]) for page in seen) == 6
    assert len(edges) == sum(len(page["edges"]) for page in seen) == 5
    assert {end for edge in edges for end in (edge["from"], edge["to"])} == {node["id"] for node in nodes}
    assert sum(node["kind"] == "restricted" for node in nodes) == 3
    text = json.dumps(stubbed)
    assert all(secret not in text for secret in ("secret", str(hidden.pk), str(run.pk), cast.elsewhere.name))
    # What is chosen tells nothing of what is hidden: whatever it is, the same is left out, and that is said.
    for kind in Node.Kind.values:
        found = graph(cast.client("ben"), version.pk, kind=kind).json()
        assert {node["kind"] for node in found["nodes"]} <= {kind}
        assert "not shown" in found["note"]
    late = graph(cast.client("ben"), version.pk, until="2100-01-01T00:00:00Z").json()["nodes"]
    assert len(late) == 3
    assert all(node["kind"] != "restricted" for node in late)
    other = pages(cast.client("vera"), version.pk)[0]["nodes"]
    assert {n["id"] for n in other if n["kind"] == "restricted"} & {n["id"] for n in nodes} == set()


def test_a_stranger_finds_no_node(cast: Cast, half_hidden: tuple[ModelVersion, ModelVersion, Run]) -> None:
    version, hidden, run = half_hidden
    ben = cast.client("ben")
    for node in (hidden.pk, run.pk, hidden.reference, uuid.uuid4()):
        assert graph(ben, node).status_code == 404
        assert path(ben, version.pk, node).status_code == 404


def test_the_queries_do_not_grow(cast: Cast, django_assert_max_num_queries: Any) -> None:
    version = a_version(cast, a_run(cast, uses=[read("a.csv")]))
    client = cast.client("vera")
    with django_assert_max_num_queries(12) as counted:
        last = graph(client, version.pk).json()["nodes"][-1]["id"]
    with django_assert_max_num_queries(12) as counted_path:
        assert len(path(client, version.pk, last).json()["nodes"]) == 3
    more = version
    for number in range(4):
        more = a_version(
            cast, a_run(cast, uses=[read(f"{number}-{n}.csv") for n in range(9)]), base=[more.reference]
        )
    with django_assert_max_num_queries(len(counted.captured_queries)):
        found = graph(client, more.pk).json()
        assert len(found["nodes"]) == 3 + 4 * 11
    with django_assert_max_num_queries(len(counted_path.captured_queries)):
        assert len(path(client, more.pk, found["nodes"][-1]["id"]).json()["nodes"]) > 3


def test_a_shortest_path_either_way(cast: Cast) -> None:
    made = bare_runs(cast, 8)
    add_edges(Arrow(a, b, "input") for a, b in pairwise(made))
    add_edges([Arrow(made[1], made[5], "base")])
    client = cast.client("vera")
    down = path(client, made[0], made[7]).json()
    short = [str(made[i]) for i in (0, 1, 5, 6, 7)]
    assert ([node["id"] for node in down["nodes"]], down["direction"]) == (short, "down")
    assert [node["distance"] for node in down["nodes"]] == [0, 1, 2, 3, 4]
    assert [edge["role"] for edge in down["edges"]] == ["input", "base", "input", "input"]
    up = path(client, made[7], made[0]).json()
    assert ([node["id"] for node in up["nodes"]], up["direction"]) == (short[::-1], "up")
    assert [edge["to"] for edge in up["edges"]] == short[::-1][:-1]
    alone = path(client, made[3], made[3]).json()
    assert ([node["id"] for node in alone["nodes"]], alone["edges"]) == ([str(made[3])], [])
    (stranger,) = bare_runs(cast, 1)
    nothing = path(client, made[0], stranger).json()
    assert (nothing["nodes"], nothing["direction"]) == ([], None)


def test_a_path_leads_through_what_may_not_be_seen(
    cast: Cast, half_hidden: tuple[ModelVersion, ModelVersion, Run]
) -> None:
    _, hidden, _ = half_hidden
    ours = a_run(cast, by="ada", uses=[read("ours.csv")])
    middle = a_version(cast, by="mallory", elsewhere=True, name="middle", base=[hidden.reference])
    add_edges([Arrow(ours.pk, middle.pk, "output")])
    last = a_version(cast, by="ada", base=[middle.reference])
    for name, label in (("ada", middle.reference), ("ben", "restricted")):
        found = path(cast.client(name), ours.pk, last.pk).json()
        assert [node["label"] for node in found["nodes"]][1:] == [label, last.reference]
        assert len(found["edges"]) == 2


def test_nodes_are_named_in_several_ways(cast: Cast) -> None:
    run = a_run(cast, uses=[read("a.csv"), wrote("b.csv")])
    other = a_run(cast, uses=[wrote("b.csv")])
    version = a_version(cast, run)
    client = cast.client("vera")
    space = cast.namespace.name
    assert graph(client, version.reference).json()["root"] == str(version.pk)
    assert graph(client, run.pk.hex).json()["root"] == str(run.pk)
    named = graph(client, f"{space}/a.csv@{digest_of('a.csv')}", direction="down").json()
    assert {node["label"] for node in named["nodes"]} >= {"a.csv", version.reference}
    twice = graph(client, f"{space}/b.csv@{digest_of('b.csv')}")
    assert twice.status_code == 422
    made = DatasetVersion.objects.filter(produced_by__in=[run, other])
    assert all(str(each.pk) in twice.json()["detail"] for each in made)
    for nobody in (f"{space}/c.csv@{digest_of('c.csv')}", f"{space}/scorer:99", uuid.uuid4()):
        assert graph(client, nobody).status_code == 404
    for nothing in ("", "scorer", f"{space}/a.csv@sha256:12"):
        assert graph(client, nothing).status_code == 422
