"""What search results are ordered by: one rank a row, and the row's id where ranks are equal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet

from registry.errors import InvalidInput
from registry.models import ModelVersion
from registry.search.compile import Compiler
from registry.search.grammar import Field

COLUMNS = {"created_at": "created_at", "name": "model__name", "model": "model__name", "number": "number"}
LONGEST_KEY = 250


@dataclass(frozen=True)
class Order:
    """A column or a metric, and the direction."""

    name: str
    metric: str | None
    descending: bool

    def ranked(self, rows: QuerySet[ModelVersion], compiler: Compiler) -> QuerySet[ModelVersion]:
        """The rows with `rank`; a metric that the query names is not computed twice."""
        if self.metric is None:
            return rows.annotate(rank=F(COLUMNS[self.name]))
        known = dict(compiler.values)
        name = compiler.metric_value(Field("metric", self.metric, 0))
        if name not in known:
            rows = rows.alias(**{name: compiler.values[name]})
        return rows.annotate(rank=F(name))

    def written(self, rank: Any) -> str:
        """A rank as a cursor holds it; empty for none."""
        if rank is None:
            return ""
        return rank.isoformat() if isinstance(rank, datetime) else repr(rank) if self.metric else str(rank)

    def read(self, written: Any) -> Any:
        """A rank out of a cursor. Raises ValueError, TypeError."""
        kinds: dict[str, Callable[[Any], Any]] = {"created_at": _instant, "number": int}
        return _finite(written) if self.metric else kinds.get(self.name, str)(written)


def parse_order(text: str) -> Order:
    """`-metric.accuracy`, `created_at`. Raises InvalidInput, listing what there is."""
    name = text.removeprefix("-")
    head, dot, key = name.partition(".")
    if dot and head == "metric" and 1 <= len(key) <= LONGEST_KEY:
        return Order("metric", key.strip('`"'), text.startswith("-"))
    if name not in COLUMNS:
        raise InvalidInput(
            f"Results are ordered by {', '.join(COLUMNS)} or metric.NAME, with `-` for the largest first; "
            f"not by {text[:60]!r}.",
            field="order_by",
        )
    return Order(name, None, text.startswith("-"))


def _finite(written: Any) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise ValueError(written)
    return number


def _instant(written: Any) -> datetime:
    if not isinstance(written, datetime) or written.tzinfo is None:
        raise ValueError(written)
    return written
