"""Search and compare over REST: visibility first, pages that neither lose nor repeat."""

from __future__ import annotations

from typing import Any

import pytest

from registry.actions.models import edit_version
from tests.cast import Cast
from tests.factories import HELD_OUT, TRAINING, evaluate, promotion_at, ready_version


def found(cast: Cast, who: str = "ben", **query: Any) -> list[str]:
    """The references on all pages, in order."""
    client, seen = cast.client(who), []
    answer = client.get("/api/v1/search", {"namespace": cast.namespace.name, **query})
    while True:
        assert answer.status_code == 200, answer.content
        seen += [row["reference"].removeprefix(f"{cast.namespace.name}/") for row in answer.json()["results"]]
        if not answer.json()["next"]:
            return seen
        answer = client.get(answer.json()["next"])


def test_it_works(cast: Cast) -> None:
    promotion_at(cast, "applied", value=0.9)
    other = ready_version(cast)
    edit_version(version=other, tags={"team": "risk"}, by=cast.principal("ben"))
    assert found(cast, q="stage = production and metric.accuracy >= 0.9") == ["scorer:1"]
    assert found(cast, q='tag.team = "risk"') == ["scorer:2"]
    assert found(cast, q="not stage = production") == ["scorer:2"]
    assert found(cast) == ["scorer:2", "scorer:1"]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
@pytest.mark.parametrize("order", ["metric.accuracy", "-metric.accuracy"])
def test_pages_by_a_metric_hold_every_version_once(cast: Cast, limit: int, order: str) -> None:
    values = [0.1, 0.3, 0.3, None, 0.2, None, 0.3]
    for value in values:
        version = ready_version(cast)
        if value is not None:
            evaluate(cast, version, value)
    seen = found(cast, order_by=order, limit=limit)
    assert len(seen) == len(set(seen)) == len(values)
    by_reference = {f"scorer:{number + 1}": value for number, value in enumerate(values)}
    ordered = [by_reference[reference] for reference in seen]
    measured = [value for value in ordered if value is not None]
    assert measured == sorted(measured, reverse=order.startswith("-"))
    assert ordered[len(measured) :] == [None, None]


@pytest.mark.parametrize("order", ["created_at", "-created_at", "name", "-name", "number", "-number"])
def test_pages_by_a_column(cast: Cast, order: str) -> None:
    made = [
        ready_version(cast, model=model).reference.partition("/")[2] for model in ("b", "a", "b", "c", "a")
    ]
    one_by_one = found(cast, order_by=order, limit=1)
    assert one_by_one == found(cast, order_by=order)
    assert set(one_by_one) == set(made)
    if order.endswith("created_at"):
        assert one_by_one == (made if order[0] != "-" else made[::-1])


def test_the_filter_and_the_order_may_name_the_same_metric(cast: Cast) -> None:
    for value in (0.7, 0.9, 0.8):
        evaluate(cast, ready_version(cast), value)
    seen = found(cast, q="metric.accuracy > 0.7", order_by="-metric.accuracy", limit=1)
    assert seen == ["scorer:2", "scorer:3"]


def test_the_stranger_finds_nothing_whatever_they_ask(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.9)
    mallory = cast.client("mallory")
    for q in ("", "metric.accuracy > 0", f'namespace = "{cast.namespace.name}"', "not name = x or name ~ s"):
        for order in ("", "-metric.accuracy", "name"):
            answer = mallory.get("/api/v1/search", {"q": q, "order_by": order})
            assert answer.json()["results"] == [], q
    assert mallory.get("/api/v1/search", {"namespace": cast.namespace.name}).status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"q": "stage = "}, "q"),
        ({"q": "x" * 1001}, "q"),
        ({"q": "a\x00b"}, None),
        ({"order_by": "pk"}, "order_by"),
        ({"order_by": "metric."}, "order_by"),
        ({"order_by": "model__namespace"}, "order_by"),
        ({"order_by": "?"}, "order_by"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1e3"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "WyIxIiwgIjIiXQ"}, "cursor"),
        ({"cursor": "W1tbW1tbW1tbW1tbW1tbW1tb" * 200}, "cursor"),
        ({"cursor": "WyIxIiwgIngiXQ", "order_by": "number"}, "cursor"),
        ({"cursor": "WyJuYW4iLCAiMSJd", "order_by": "metric.a"}, "cursor"),
    ],
)
def test_refused(cast: Cast, query: dict[str, str], field: str | None) -> None:
    answer = cast.client("ben").get("/api/v1/search", query)
    assert answer.status_code == 422, answer.content
    assert answer.json().get("field") == field


def test_compare_puts_the_same_data_side_by_side(cast: Cast) -> None:
    first, second = ready_version(cast), ready_version(cast)
    evaluate(cast, first, 0.8)
    evaluate(cast, second, 0.9)
    evaluate(cast, second, 0.7, digest=TRAINING)
    ben = cast.client("ben")
    answer = ben.get("/api/v1/compare", {"ref": [second.reference, first.reference]}).json()
    assert [v["number"] for v in answer["versions"]] == [2, 1]
    assert {(m["dataset_digest"], tuple(m["values"])) for m in answer["metrics"]} == {
        (HELD_OUT, (0.9, 0.8)),
        (TRAINING, (0.7, None)),
    }
    assert ben.get("/api/v1/compare", {"ref": [first.reference]}).json()["field"] == "ref"
    assert ben.get("/api/v1/compare", {"ref": [first.reference] * 11}).status_code == 422
    same = ben.get("/api/v1/compare", {"ref": [first.reference] * 2}).json()
    assert same["metrics"][0]["values"] == [0.8, 0.8]
