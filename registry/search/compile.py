"""From a search tree to one query: fields by allowlist, conditions built by code, visibility first.

A comparison with something that a version does not have (a tag, a metric, a parameter) is false, `!=` included;
`not` of it is true. `metric.K` is the value in the newest evaluation that measured K, on whatever dataset:
figures on one dataset are compared by `compare`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from django.db.models import (
    Case,
    Expression,
    F,
    FloatField,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast
from django.utils.dateparse import parse_date, parse_datetime

from registry.models import EvaluationMetric, ModelVersion, Stage
from registry.search.grammar import Comparison, Field, Junction, Not, SearchError, parse
from registry.search.grammar import Expression as Tree
from registry.search.grammar import Value as Literal

LOOKUPS = {"=": "exact", "!=": "exact", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte", "~": "icontains"}
TEXT_OPERATORS = ("=", "!=", "~", "in")
CHOICE_OPERATORS = ("=", "!=", "in")
ORDERED_OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in")
# Text that the database can read as a number without failing, at either end of the range.
NUMERIC = r"^[+-]?([0-9]{1,200}(\.[0-9]{0,200})?|\.[0-9]{1,200})([eE][+-]?[0-9]{1,2})?$"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")
MOST_METRICS = 10


@dataclass(frozen=True)
class Compiled:
    """The condition, and the values it needs beside the columns: name -> expression."""

    condition: Q
    values: dict[str, Expression]


class Compiler:
    """Turns one tree into a condition. Names of computed values are ours (`value_0`), never the caller's."""

    def __init__(self) -> None:
        self.values: dict[str, Expression] = {}
        self.named: dict[tuple[str, str], str] = {}

    def compile(self, tree: Tree | None) -> Compiled:
        """Raises SearchError."""
        return Compiled(Q() if tree is None else self.condition(tree), self.values)

    def condition(self, tree: Tree) -> Q:
        match tree:
            case Not(inner):
                return ~self.condition(inner)
            case Junction(word, parts):
                made = [self.condition(part) for part in parts]
                joined = made[0]
                for part in made[1:]:
                    joined = joined & part if word == "and" else joined | part
                return joined
            case Comparison():
                return self.comparison(tree)

    def comparison(self, tree: Comparison) -> Q:
        field = tree.field
        if field.key is None:
            if field.name in KEYED:
                raise SearchError(f"{field.name} needs a key: {field.name}.NAME.", position=field.position)
            if (plain := PLAIN.get(field.name)) is None:
                _unknown(field)
            return plain(tree)
        if (keyed := KEYED.get(field.name)) is None:
            if field.name in PLAIN:
                raise SearchError(f"{field.name} has no keys.", position=field.position)
            _unknown(field)
        return keyed(self, tree)

    def metric(self, tree: Comparison) -> Q:
        _allow(tree, ORDERED_OPERATORS)
        return _compare(self.metric_value(tree.field), tree, [_number(value) for value in tree.values])

    def metric_value(self, field: Field) -> str:
        """The name of the metric's value in the query."""
        measured = sum(name == "metric" for name, _ in self.named)
        if ("metric", field.key) not in self.named and measured >= MOST_METRICS:
            raise SearchError(f"a query names at most {MOST_METRICS} metrics.", position=field.position)
        newest = EvaluationMetric.objects.filter(evaluation__version=OuterRef("pk"), name=field.key)
        newest = newest.order_by("-evaluation__at", "-evaluation_id")
        return self.name("metric", field.key or "", Subquery(newest.values("value")[:1]))

    def text_in(self, column: str) -> Callable[[Comparison], Q]:
        """Comparisons with the text under a key of a JSON column; with a number, as a number."""

        def compared(tree: Comparison) -> Q:
            key = tree.field.key or ""
            text = Func(
                F(column),
                Value(key),
                template="(%(expressions)s)",
                arg_joiner=" ->> ",
                output_field=TextField(),
            )
            if all(isinstance(value.content, float) for value in tree.values) and tree.operator != "~":
                _allow(tree, ORDERED_OPERATORS)
                number = Case(
                    When(
                        Q((f"{self.name(column, key, text)}__regex", NUMERIC)), then=Cast(text, FloatField())
                    ),
                    default=None,
                    output_field=FloatField(),
                )
                return _compare(
                    self.name(f"{column} number", key, number), tree, [v.content for v in tree.values]
                )
            _allow(tree, TEXT_OPERATORS)
            return _compare(self.name(column, key, text), tree, [value.text for value in tree.values])

        return compared

    def name(self, kind: str, key: str, expression: Expression | Subquery) -> str:
        """The name under which the query computes an expression; one for each kind and key."""
        if (kind, key) not in self.named:
            self.named[kind, key] = f"value_{len(self.named)}"
            self.values[self.named[kind, key]] = expression  # type: ignore[assignment]
        return self.named[kind, key]


def _allow(tree: Comparison, operators: tuple[str, ...]) -> None:
    if tree.operator not in operators:
        raise SearchError(
            f"{tree.field.label} is compared by {' '.join(operators)}, not by {tree.operator}.",
            position=tree.field.position,
        )


def _unknown(field: Field) -> NoReturn:
    fields = ", ".join([*sorted(PLAIN), *(f"{name}.NAME" for name in sorted(KEYED))])
    raise SearchError(f"there is no field {field.label}. Fields: {fields}.", position=field.position)


def _compare(column: str, tree: Comparison, values: list[Any]) -> Q:
    """One condition that is true or false, never null: what is missing satisfies no comparison."""
    present = Q((f"{column}__isnull", False))
    if tree.operator == "in":
        return present & Q((f"{column}__in", values))
    condition = Q((f"{column}__{LOOKUPS[tree.operator]}", values[0]))
    return present & (~condition if tree.operator == "!=" else condition)


def _number(value: Literal) -> float:
    if not isinstance(value.content, float):
        raise SearchError("a number is expected here.", position=value.position)
    return value.content


def _text(column: str) -> Callable[[Comparison], Q]:
    def compared(tree: Comparison) -> Q:
        _allow(tree, TEXT_OPERATORS)
        return _compare(column, tree, [value.text for value in tree.values])

    return compared


def _choice(column: str, choices: list[str]) -> Callable[[Comparison], Q]:
    def compared(tree: Comparison) -> Q:
        _allow(tree, CHOICE_OPERATORS)
        for value in tree.values:
            if value.text not in choices:
                raise SearchError(
                    f"{value.text[:40]!r} is no {column}: {', '.join(choices)} are.", position=value.position
                )
        return _compare(column, tree, [value.text for value in tree.values])

    return compared


def _integer(column: str) -> Callable[[Comparison], Q]:
    def compared(tree: Comparison) -> Q:
        _allow(tree, ORDERED_OPERATORS)
        numbers = []
        for value in tree.values:
            number = _number(value)
            if number != int(number) or abs(number) >= 2**31:
                raise SearchError("a whole number is expected here.", position=value.position)
            numbers.append(int(number))
        return _compare(column, tree, numbers)

    return compared


def _instant(column: str) -> Callable[[Comparison], Q]:
    def compared(tree: Comparison) -> Q:
        _allow(tree, ORDERED_OPERATORS)
        return _compare(column, tree, [_time(value) for value in tree.values])

    return compared


def _time(value: Literal) -> datetime:
    """A date, which is its midnight in UTC, or a time with its offset."""
    text = value.text
    try:
        if _INSTANT.match(text):
            found = parse_datetime(text)
        else:
            day = parse_date(text)
            found = datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None
        if found is not None and found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise SearchError(
        "a date (2026-03-31) or a time with its offset (2026-03-31T12:00:00Z) is expected here.",
        position=value.position,
    )


PLAIN: dict[str, Callable[[Comparison], Q]] = {
    "created_at": _instant("created_at"),
    "created_by": _text("created_by__username"),
    "format": _text("format"),
    "model": _text("model__name"),
    "name": _text("model__name"),
    "namespace": _text("model__namespace__name"),
    "number": _integer("number"),
    "stage": _choice("stage", list(Stage.values)),
    "status": _choice("status", list(ModelVersion.Status.values)),
    "task": _text("model__task"),
}
KEYED: dict[str, Callable[[Compiler, Comparison], Q]] = {
    "metric": Compiler.metric,
    "parameter": lambda compiler, tree: compiler.text_in("parameters")(tree),
    "tag": lambda compiler, tree: compiler.text_in("tags")(tree),
}


def search(rows: QuerySet[ModelVersion], q: str) -> tuple[QuerySet[ModelVersion], Compiler]:
    """The rows, which are visible ones already, that match. Raises SearchError."""
    compiler = Compiler()
    made = compiler.compile(parse(q))
    return _with_values(rows, made.values).filter(made.condition), compiler


def _with_values(rows: QuerySet[ModelVersion], values: dict[str, Any]) -> QuerySet[ModelVersion]:
    for name, expression in values.items():
        rows = rows.alias(**{name: expression})
    return rows
