"""What was measured of two versions, and whether a difference is more than its interval allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lineage.making import Making, Measured


def compare_metrics(a: Making, b: Making) -> list[dict[str, Any]]:
    """Metrics that were measured of both: by evaluation on the same data, else what the runs measured.

    `low` and `high` are the interval of the difference b - a, null unless both have intervals of their own.
    """
    shared = sorted(set(a.evaluations) & set(b.evaluations))
    if shared:
        return [
            {
                "name": key[3],
                "dataset": b.evaluations[key].dataset,
                "dataset_digest": key[0],
                "split": key[1],
                "slice": key[2],
                **_pair(a.evaluations[key], b.evaluations[key]),
            }
            for key in shared
        ]
    return [
        {
            "name": name,
            "dataset": "",
            "dataset_digest": "",
            "split": "",
            "slice": "",
            **_pair(Measured(a.run_metrics[name]), Measured(b.run_metrics[name])),
        }
        for name in sorted(set(a.run_metrics) & set(b.run_metrics))
    ]


def within_intervals(metrics: Sequence[dict[str, Any]]) -> bool:
    """Whether every difference has an interval, and each holds zero."""
    return bool(metrics) and all(m["low"] is not None and m["low"] <= 0 <= m["high"] for m in metrics)


def _pair(a: Measured, b: Measured) -> dict[str, float | None]:
    """Both values and b - a; null what is no finite number, as the difference of two that are may be."""
    interval = _interval(a, b)
    return {
        "a": _finite(a.value),
        "b": _finite(b.value),
        "difference": _finite(b.value - a.value),
        "low": interval[0] if interval else None,
        "high": interval[1] if interval else None,
    }


def _interval(a: Measured, b: Measured) -> tuple[float, float] | None:
    """The interval of b - a from those of a and b, by their distances from the values (Zou and Donner 2008, "MOVER").

    It holds for measurements that are independent and intervals of one level. On the same examples two versions err
    together, so the true one is narrower: this one claims too little rather than too much.
    """
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return None
    difference = b.value - a.value
    low = difference - math.hypot(b.value - b.low, a.high - a.value)
    high = difference + math.hypot(b.high - b.value, a.value - a.low)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
