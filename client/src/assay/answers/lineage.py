"""Runs, the graph around them, and why two versions differ."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class MetricDifference(TypedDict):
    """One metric of two versions on the same dataset, split and slice; `low` and `high` are the interval of the
    difference, where both have one."""

    name: str
    dataset: str
    split: str
    slice: NotRequired[str]
    a: float | None
    b: float | None
    difference: float | None
    low: NotRequired[float | None]
    high: NotRequired[float | None]


class Difference(TypedDict):
    """One difference in what made two versions; `kind` data, split, base, code, parameters, config, seed,
    environment, image or hardware.

    `told` are both sides in words, `more` is what else is known of it; `follows` is the kind of the difference that
    this one is a consequence of.
    """

    kind: str
    what: NotRequired[str]
    sentence: str
    told: NotRequired[list[str]]
    more: NotRequired[str]
    a: Any
    b: Any
    follows: NotRequired[str]
    link: NotRequired[str]


class Why(TypedDict):
    """Why two versions differ: the metrics beside what was different in making them.

    `cause` is the one kind that differs; None where none does, or several do. `reservations` are what is not known;
    the sentence is the verdict with these behind it.
    """

    a: Any
    b: Any
    cause: NotRequired[str | None]
    verdict: NotRequired[str]
    reservations: NotRequired[list[str]]
    metrics: list[MetricDifference]
    differences: list[Difference]
    sentence: str


class Node(TypedDict):
    """A run, dataset version, model version or logged model in the lineage."""

    id: str
    kind: str
    label: str
    detail: dict[str, Any]


Edge = TypedDict("Edge", {"from": str, "to": str, "role": str, "context": NotRequired[str]})


class Graph(TypedDict):
    """The lineage around the node `root`."""

    root: str
    nodes: list[Node]
    edges: list[Edge]


class Run(TypedDict):
    """One execution that trained or evaluated something."""

    id: str
    experiment: str
    name: str
    status: str
    started_at: str
    ended_at: str | None
    created_by: str
    entry_point: str
    command: list[str]
    code: dict[str, Any] | None
    environment: dict[str, Any]
    config: dict[str, Any] | None
    parameters: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    datasets: list[dict[str, Any]]
    capture: dict[str, Any]
