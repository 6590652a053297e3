"""Events in any order, doubled and late, give the same answers."""

from __future__ import annotations

from typing import Any

import pytest

from lineage.models import LineageEvent, Run
from tests.cast import Cast, make_cast
from tests.protocols.openlineage.pipeline import answers, days, run_id, ways
from tests.protocols.openlineage.scenes import tell, teller

EVENTS = days(4)


def answered(cast: Cast) -> dict[str, Any]:
    client = cast.client("ben")

    def get(path: str, asked: dict[str, Any]) -> dict[str, Any]:
        answer = client.get(path, asked)
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    return answers(get, cast.namespace.name)


@pytest.fixture(scope="module")
def _in_order() -> dict[str, Any]:
    return {}


@pytest.fixture
def in_order(cast: Cast, _in_order: dict[str, Any]) -> dict[str, Any]:
    """What is answered when the events come one by one, as they happened."""
    if not _in_order:
        client = teller(cast)
        for event in EVENTS:
            tell(client, event)
        _in_order.update(answered(cast))
    return _in_order


def test_the_graph_is_the_pipeline(in_order: dict[str, Any]) -> None:
    runs = {run["run"]: run for run in in_order["runs"]}
    assert len(runs) == 20
    train = runs[f"run {run_id('train', 2)}"]
    read = {use["name"]: use["id"] for use in train["datasets"] if use["role"] == "input"}
    assert read == {
        "s3://lake/features": f"s3://lake/features of run {run_id('features', 1)}",  # by its version
        "s3://lake/clean": f"s3://lake/clean of run {run_id('clean', 2)}",  # the newest that was there
    }
    # On day 3 cleaning failed: what it began to write is nobody's input, and yesterday's was read.
    late = runs[f"run {run_id('features', 3)}"]
    assert [use["id"] for use in late["datasets"] if use["role"] == "input"] == [
        f"s3://lake/clean of run {run_id('clean', 2)}"
    ]
    assert (runs[f"run {run_id('clean', 3)}"]["status"], runs[f"run {run_id('clean', 3)}"]["failure"]) == (
        "failed",
        "The table is empty.",
    )
    edges = in_order["up"]["edges"]
    assert (
        f"s3://lake/raw/orders of run {run_id('extract_orders', 2)}",
        f"run {run_id('clean', 2)}",
        "input",
    ) in edges
    assert (
        "postgres://warehouse:5432/shop.public.orders of nobody",
        f"run {run_id('extract_orders', 2)}",
        "input",
    ) in edges
    # extract, orders, clean, clean's table, train; an edge between each two of them
    assert in_order["path"] == {"direction": "down", "steps": 5, "edges": 4}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_any_order_and_doubled_the_answers_are_the_same(in_order: dict[str, Any], seed: int) -> None:
    other = make_cast()
    client = teller(other)
    new = sum(tell(client, events)["new"] for events in ways(EVENTS, seed))
    assert new == len(EVENTS) == LineageEvent.objects.filter(namespace=other.namespace).count()
    found = answered(other)
    for part, told in in_order.items():
        assert found[part] == told, part
    assert Run.objects.filter(namespace=other.namespace).count() == 20
