"""The lines that benchmarks and campaigns print: one JSON object each, for a dashboard to read."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Literal

Better = Literal["lower", "higher"]


def ratio(ours: float, reference: float | None, better: Better) -> float | None:
    """How many times better ours is than the reference (above 1: ours is better); None without one."""
    if reference is None or not ours or not reference:
        return None
    return round(ours / reference if better == "higher" else reference / ours, 3)


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of `values`; `share` is between 0 and 1."""
    if not values:
        raise ValueError("There is no percentile of nothing.")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]


def print_figure(
    name: str,
    *,
    ours: float,
    unit: str,
    n: int,
    reference: float | None = None,
    better: Better = "lower",
    milliseconds: Sequence[float] = (),
) -> None:
    """Print one figure of a benchmark.

    `ours` and `reference` are in `unit`; `milliseconds` are the single calls' durations, if there were
    calls; `n` is how many measurements stand behind `ours`.
    """
    line = {
        "name": name,
        "ours": ours,
        "reference": reference,
        "ratio": ratio(ours, reference, better),
        "unit": unit,
        "p50_ms": round(statistics.median(milliseconds), 3) if milliseconds else None,
        "p95_ms": round(percentile(milliseconds, 0.95), 3) if milliseconds else None,
        "n": n,
    }
    print(json.dumps(line), flush=True)


def print_campaign(name: str, *, cases: int, bad: int, control_caught: bool) -> bool:
    """Print one run of a campaign and say whether it is green.

    `control_caught` is whether the bug that was seeded on purpose was found: a campaign that misses it has
    proved nothing, however few bad cases it counts.
    """
    print(
        json.dumps({"name": name, "cases": cases, "bad": bad, "control_caught": control_caught}), flush=True
    )
    return cases > 0 and bad == 0 and control_caught
