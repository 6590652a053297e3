"""What a tracked function returned: the model, the metrics."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Outcome:
    """`model` is None when there is none; `problem` says why there is none although there might have been."""

    model: Any = None
    metrics: dict[str, float] = field(default_factory=dict)
    problem: str = ""


def interpret(result: object) -> Outcome:
    """`model`, `metrics`, or a tuple of them in any order. Mappings of numbers are metrics."""
    if result is None:
        return Outcome(problem="the function returned nothing")
    items = list(result) if type(result) is tuple else [result]
    outcome = Outcome()
    others = []
    for item in items:
        found = flat_numbers(item) if isinstance(item, Mapping) else None
        if found is not None:
            outcome.metrics.update(found)
        elif number(item) is None and item is not None:
            others.append(item)
    if len(others) == 1:
        outcome.model = others[0]
    elif others:
        names = ", ".join(type(other).__qualname__ for other in others)
        outcome.problem = f"the function returned {names}, and which of them is the model is not clear"
    else:
        outcome.problem = "the function returned no model"
    return outcome


def flat_numbers(values: Mapping[Any, Any], prefix: str = "") -> dict[str, float] | None:
    """Numbers by dotted keys; None when something else is among them, or nothing at all."""
    flat: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            inner = flat_numbers(value, f"{prefix}{key}.")
            if inner is None:
                return None
            flat.update(inner)
        else:
            found = number(value)
            if found is None:
                return None
            flat[f"{prefix}{key}"] = found
    return flat or None


def number(value: object) -> float | None:
    """A number of Python, or an array of one element from any library, as a float; None for anything else."""
    if isinstance(value, numbers.Real):
        return float(value)
    if hasattr(value, "item") and getattr(value, "size", None) == 1 and not isinstance(value, str | bytes):
        found = value.item()
        return float(found) if isinstance(found, int | float) else None
    return None
