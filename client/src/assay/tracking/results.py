"""What a program left behind: the file with its metrics, the file or folder of its model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.tracking.outcome import number

_MOST_BYTES = 64 << 20
_MOST = 1_000_000
# A file system may round the time of a change down.
_SECONDS_OFF = 2.0


class NoResult(Exception):
    """There is no such result of this run; the text says why."""


@dataclass(frozen=True)
class Metric:
    """One measurement; without a step, the steps of its name are counted."""

    name: str
    value: float
    step: int | None = None


def metrics(path: Path, since: float) -> tuple[list[Metric], list[str]]:
    """The metrics in a JSON file, and the names of what is in it besides.

    It holds `{"auc": 0.9, "loss": [0.5, 0.4]}`, nested if need be, or `[{"name": "auc", "value": 0.9, "step": 1}]`.
    Raises NoResult when there is none that was written after `since`, in seconds since 1970.
    """
    check_made(path, since)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise NoResult(f"{path} is larger than {_MOST_BYTES >> 20} MiB")
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NoResult(f"{path} cannot be read as JSON: {error}") from error
    found: list[Metric] = []
    others: list[str] = []
    if isinstance(held, list):
        for position, each in enumerate(held):
            _listed(each, f"[{position}]", found, others)
    elif isinstance(held, Mapping):
        for name, value in _flat(held):
            _named(name, value, found, others)
    else:
        raise NoResult(f"{path} holds neither an object nor a list")
    return found[:_MOST], others


def check_made(path: Path, since: float) -> None:
    """That a file or folder is there, and was written after `since`. Raises NoResult."""
    try:
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        newest = max((file.stat().st_mtime for file in files), default=None)
    except OSError as error:
        raise NoResult(f"{path} cannot be read: {error.strerror}") from error
    if newest is None:
        raise NoResult(f"there is nothing at {path}")
    if newest < since - _SECONDS_OFF:
        raise NoResult(f"{path} is older than the run, which did not write it")


def _flat(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _named(name: str, value: Any, found: list[Metric], others: list[str]) -> None:
    values = value if isinstance(value, list) else [value]
    numbers = [number(each) for each in values]
    if not values or None in numbers:
        others.append(name)
        return
    stepped = isinstance(value, list)
    found += [
        Metric(name, float(each), step if stepped else None)
        for step, each in enumerate(numbers)
        if each is not None
    ]


def _listed(each: Any, where: str, found: list[Metric], others: list[str]) -> None:
    if not isinstance(each, Mapping) or number(each.get("value")) is None:
        others.append(where)
        return
    name, step = each.get("name") or each.get("key"), each.get("step")
    value = number(each["value"])
    if isinstance(name, str) and value is not None and (step is None or isinstance(step, int)):
        found.append(Metric(name, value, step))
    else:
        others.append(where)
