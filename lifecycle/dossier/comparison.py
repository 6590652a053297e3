"""A version's measurements beside those of what is in production, what got worse first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from lifecycle.dossier.chart import Axis, Bar, Change, axis_of, change
from registry.api.shows import EVALUATION_ROWS, latest_metrics
from registry.models import ModelVersion


class Trend(StrEnum):
    """How a measurement stands beside production's."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "same"
    CHANGED = "changed"  # which way is better is not known
    NEW = "new"  # production was not measured on this
    MISSING = "missing"  # production was, this one was not


# In the order in which a person who decides should see them.
_ORDER = (Trend.WORSE, Trend.MISSING, Trend.CHANGED, Trend.BETTER, Trend.SAME, Trend.NEW)
# Used only where no gate says which way is better.
_HIGHER = (
    "accuracy",
    "auc",
    "f1",
    "precision",
    "recall",
    "r2",
    "ap",
    "map",
    "ndcg",
    "bleu",
    "rouge",
    "kappa",
    "mcc",
)
_LOWER = (
    "loss",
    "rmse",
    "mae",
    "mse",
    "mape",
    "error",
    "brier",
    "perplexity",
    "latency",
    "ece",
    "fpr",
    "fnr",
)


@dataclass(frozen=True)
class Row:
    """One metric on one dataset, split and slice: this version's value, production's, and what that means."""

    name: str
    dataset: str
    digest: str
    split: str
    slice: str
    value: float | None
    other: float | None
    by: str
    trend: Trend
    # Both None where one of the two was not measured.
    change: Change | None = None
    drawn: Bar | None = None

    @property
    def difference(self) -> float | None:
        if self.value is None or self.other is None:
            return None
        return self.value - self.other

    @property
    def relative(self) -> float:
        """The size of the difference beside production's value, for ordering."""
        if self.difference is None or self.other is None:
            return 0.0
        return abs(self.difference) / max(abs(self.other), 1e-12)

    @property
    def where(self) -> str:
        """`held-out, test, slice country = PT`."""
        told = f"{self.dataset}, {self.split}" if self.split else self.dataset
        return f"{told}, {self.part}" if self.part else told

    @property
    def part(self) -> str:
        return f"slice {self.slice}" if self.slice else ""

    @property
    def percent(self) -> str:
        """`3.8 %`: the size of the difference, of production's value. Empty where that says nothing."""
        if self.change is None or not self.change.by or not math.isfinite(self.change.by):
            return ""
        return f"{abs(self.change.by) * 100:.2g} %" if abs(self.change.by) < 10 else "over 1,000 %"


@dataclass(frozen=True)
class Comparison:
    """The rows, what got worse first, and the axis of their chart. `shared`: the dataset and split, when all were
    measured on the same."""

    rows: list[Row]
    shared: str
    axis: Axis

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def worse(self) -> int:
        return sum(1 for row in self.rows if row.trend == Trend.WORSE)

    @property
    def missing(self) -> int:
        return sum(1 for row in self.rows if row.trend == Trend.MISSING)


def measurements(version: ModelVersion) -> list[dict[str, Any]]:
    """The measurements that count: the newest per dataset digest, split, slice and metric."""
    return list(latest_metrics(EVALUATION_ROWS.filter(version=version)))


def compare(
    mine: Iterable[dict[str, Any]], theirs: Iterable[dict[str, Any]], gates: Iterable[dict[str, Any]] = ()
) -> Comparison:
    """Both versions' measurements joined by what they measured, regressions first. `gates` is a policy's list:
    a gate says which way its metric is better; a well-known name does where none says."""
    lower = _directions(gates)
    ours = {_key(m): m for m in mine}
    others = {_key(m): m for m in theirs}
    rows = [_row(key, ours.get(key), others.get(key), lower) for key in {**ours, **others}]
    # Where nobody knows which way is better there is nothing to draw.
    sided = [(row, row.change) for row in rows if row.change and row.trend != Trend.CHANGED]
    axis = axis_of(moved for _, moved in sided)
    bars = {id(row): axis.bar(moved) for row, moved in sided}
    drawn = [replace(row, drawn=bars.get(id(row))) for row in rows]
    places = {
        (row.digest, row.split): f"{row.dataset}, {row.split}" if row.split else row.dataset for row in rows
    }
    return Comparison(
        rows=sorted(
            drawn, key=lambda r: (_ORDER.index(r.trend), -r.relative, r.name, r.dataset, r.split, r.slice)
        ),
        shared=next(iter(places.values())) if len(places) == 1 else "",
        axis=axis,
    )


def _key(metric: dict[str, Any]) -> tuple[str, str, str, str]:
    return metric["dataset_digest"], metric["split"], metric["slice"], metric["name"]


def _row(
    key: tuple[str, str, str, str],
    mine: dict[str, Any] | None,
    other: dict[str, Any] | None,
    lower: dict[str, bool],
) -> Row:
    told = mine or other or {}
    value, beside = (m["value"] if m else None for m in (mine, other))
    moved = None
    if mine and other and value is not None and beside is not None:
        ends = [(m.get("low"), m.get("high")) for m in (mine, other)]
        turned = lower.get(key[3], _known(key[3])) or False
        moved = change(value, beside, lower_is_better=turned, mine=ends[0], theirs=ends[1])
    return Row(
        name=key[3], dataset=told["dataset"], digest=key[0], split=key[1], slice=key[2],
        value=value, other=beside, by=told["by"], trend=_trend(key[3], value, beside, lower),
        change=moved,
    )  # fmt: skip


def _trend(name: str, value: float | None, other: float | None, lower: dict[str, bool]) -> Trend:
    if value is None:
        return Trend.MISSING
    if other is None:
        return Trend.NEW
    if math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-12):
        return Trend.SAME
    lower_is_better = lower.get(name, _known(name))
    if lower_is_better is None:
        return Trend.CHANGED
    return Trend.BETTER if (value < other) == lower_is_better else Trend.WORSE


def _directions(gates: Iterable[dict[str, Any]]) -> dict[str, bool]:
    """metric -> whether lower is better, as the gates of the policy say."""
    told: dict[str, bool] = {}
    for gate in gates:
        given = gate.get("parameters", {})
        match gate.get("gate"):
            case "metric_at_least":
                told[given["metric"]] = False
            case "metric_at_most":
                told[given["metric"]] = True
            case "no_regression" | "slices_not_worse":
                told[given["metric"]] = given.get("direction") == "lower"
    return told


def _known(name: str) -> bool | None:
    parts = name.lower().replace("-", "_").replace("@", "_").split("_")
    if any(part in _LOWER for part in parts):
        return True
    if any(part in _HIGHER for part in parts):
        return False
    return None
