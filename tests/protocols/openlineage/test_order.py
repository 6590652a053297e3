"""Events in any order, doubled and late, give the same answers."""

from __future__ import annotations

from typing import Any

import pytest

from lineage.models import LineageEvent, Run
from tests.protocols.openlineage.pipeline import days, run_id, ways
from tests.protocols.openlineage.shuffling import answered, believing_the_last, differences, told_in

EVENTS = days(4)


@pytest.fixture(scope="module")
def _in_order() -> dict[str, Any]:
    return {}


@pytest.fixture
def in_order(db: None, _in_order: dict[str, Any]) -> dict[str, Any]:
    """What is answered when the events come one by one, as they happened."""
    if not _in_order:
        _in_order.update(answered(told_in([event] for event in EVENTS)))
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
    cast = told_in(ways(EVENTS, seed))
    assert LineageEvent.objects.filter(namespace=cast.namespace).count() == len(EVENTS)
    assert Run.objects.filter(namespace=cast.namespace).count() == 20
    found = answered(cast)
    assert {part: found[part] for part in differences(in_order, found)} == {}


def test_one_who_believes_the_last_event_is_found_out(in_order: dict[str, Any]) -> None:
    assert differences(in_order, answered(believing_the_last(ways(EVENTS, 1))))
