"""Lineage's tables."""

from lineage.models.graph import Dataset, DatasetVersion, Edge, LineageEvent, Node
from lineage.models.runs import (
    Experiment,
    LatestMetric,
    Lifecycle,
    LoggedModel,
    Run,
    RunMetric,
    RunParameter,
    RunTag,
)
from lineage.models.supply import Supply

__all__ = [
    "Dataset",
    "DatasetVersion",
    "Edge",
    "Experiment",
    "LatestMetric",
    "Lifecycle",
    "LineageEvent",
    "LoggedModel",
    "Node",
    "Run",
    "RunMetric",
    "RunParameter",
    "RunTag",
    "Supply",
]
