"""Lineage's tables."""

from lineage.models.graph import Dataset, DatasetVersion, Edge, LineageEvent, Node
from lineage.models.packages import Package
from lineage.models.runs import (
    COMMIT,
    IMAGE,
    PACKAGES,
    Experiment,
    LatestMetric,
    Lifecycle,
    LoggedModel,
    Run,
    RunMetric,
    RunParameter,
    RunTag,
)
from lineage.models.sendings import LineageSending
from lineage.models.supply import Supply
from lineage.models.uses import LineageUse

__all__ = [
    "COMMIT",
    "IMAGE",
    "PACKAGES",
    "Dataset",
    "DatasetVersion",
    "Edge",
    "Experiment",
    "LatestMetric",
    "Lifecycle",
    "LineageEvent",
    "LineageSending",
    "LineageUse",
    "LoggedModel",
    "Node",
    "Package",
    "Run",
    "RunMetric",
    "RunParameter",
    "RunTag",
    "Supply",
]
