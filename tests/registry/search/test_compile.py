"""What a query finds is what it says, told by a naive reading of the same tree in Python."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from registry.actions.models import edit_model, edit_version
from registry.models import ModelVersion
from registry.search.compile import search
from registry.search.grammar import Comparison, Expression, Junction, Not, SearchError, parse
from tests.cast import Cast
from tests.factories import TRAINING, evaluate, ready_version

TEXTS = [
    "a",
    "B",
    "0.5",
    "12",
    "1e3",
    "",
    "x y",
    "%",
    "_",
    "'",
    '"',
    "\\",
    "a%b",
    "\u00e9",
    "1e999",
    "-0",
    "+.5",
    ".",
]
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "~": lambda a, b: b.lower() in a.lower(),
}


@pytest.fixture
def versions(cast: Cast) -> list[ModelVersion]:
    """Two dozen versions that differ in everything that can be asked for."""
    chance = random.Random(7)
    made = []
    for number in range(24):
        version = ready_version(cast, model=f"m{number % 3}", by=chance.choice(["ben", "eve"]))
        tags = {key: chance.choice(TEXTS) for key in ("team", "1", "a.b") if chance.random() < 0.7}
        edit_version(version=version, tags=tags, by=cast.principal("ben"))
        for metric in ("accuracy", "log loss"):
            for _ in range(chance.choice([0, 1, 2])):
                evaluate(
                    cast,
                    version,
                    chance.choice([0.0, 0.5, -0.25, 1e300, 0.1]),
                    metric=metric,
                    digest=TRAINING,
                )
        made.append(version)
    edit_model(model=made[0].model, task="fraud", by=cast.principal("ben"))
    parameters = [{"lr": "0.1", "depth": "3"}, {"lr": "0.01"}, {"lr": "auto"}, {}]
    for version in made:
        # Written before it is ready, by whoever registers it; the trigger freezes it from then on.
        twin = ModelVersion.objects.create(
            model=version.model,
            number=1000 + len(made) + version.number,
            manifest=version.manifest,
            created_by=version.created_by,
            parameters=chance.choice(parameters),
            tags=version.tags,
        )
        assert twin.status == "pending"
    return list(
        ModelVersion.objects.filter(model__namespace=cast.namespace).select_related("model__namespace")
    )


def naive(tree: Expression | None, version: ModelVersion) -> bool:
    """Whether the version matches, read off the tree and the row alone."""
    match tree:
        case None:
            return True
        case Not(inner):
            return not naive(inner, version)
        case Junction("and", parts):
            return all(naive(part, version) for part in parts)
        case Junction(_, parts):
            return any(naive(part, version) for part in parts)
        case Comparison():
            return _holds(tree, version)
    raise AssertionError(tree)


def _holds(tree: Comparison, version: ModelVersion) -> bool:
    have: Any
    wanted: list[Any] = [value.text for value in tree.values]
    numbers = all(isinstance(value.content, float) for value in tree.values)
    key = tree.field.key or ""
    match tree.field.name:
        case "metric":
            have, wanted = _newest(version, key), [value.content for value in tree.values]
        case "tag" | "parameter":
            have = (version.tags if tree.field.name == "tag" else version.parameters).get(key)
            if numbers and tree.operator != "~":
                have, wanted = _number(have), [value.content for value in tree.values]
        case "number":
            have, wanted = version.number, [value.content for value in tree.values]
        case "created_at":
            have = version.created_at
            wanted = [datetime.fromisoformat(w).replace(tzinfo=UTC) for w in wanted]
        case "name" | "model":
            have = version.model.name
        case "task":
            have = version.model.task
        case "created_by":
            have = version.created_by.username
        case name:
            have = getattr(version, name)
    if have is None:
        return False
    if tree.operator == "in":
        return have in wanted
    return OPERATORS[tree.operator](have, wanted[0])


def _newest(version: ModelVersion, metric: str) -> float | None:
    found = version.evaluations.filter(metrics__name=metric).order_by("-at", "-pk").first()
    return found.metrics.get(name=metric).value if found else None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if abs(number) < 1e300 else None


def queries(chance: random.Random) -> Iterator[str]:
    """Queries of the language, by chance."""
    while True:
        yield _tree(chance, 3)


def _tree(chance: random.Random, depth: int) -> str:
    roll = chance.random()
    if depth == 0 or roll < 0.35:
        return _comparison(chance)
    inner = _tree(chance, depth - 1)
    if roll < 0.5:
        return chance.choice(["not {}", "not ({})"]).format(inner)
    return f"({inner}) {chance.choice(['and', 'or'])} ({_tree(chance, depth - 1)})"


def _comparison(chance: random.Random) -> str:
    pick = chance.choice
    text = '"' + pick(TEXTS).replace("\\", "\\\\").replace('"', '\\"') + '"'
    metric = pick(["metric.accuracy", "metric.`log loss`", "metric.never"])
    keyed = pick(["tag.team", "tag.1", "tag.'a.b'", "parameter.lr", "parameter.depth", "tag.never"])
    return pick(
        [
            f"{metric} {pick(['=', '!=', '<', '<=', '>', '>='])} {pick(['0.5', '0', '-1', '1e300'])}",
            f"{keyed} {pick(['=', '!=', '<', '>='])} {pick(['0.5', '12', '0', '-1e3'])}",
            f"{keyed} {pick(['=', '!=', '~'])} {text}",
            f"{pick(['task', 'name', 'created_by'])} {pick(['=', '!=', '~'])} {text}",
            f"name in (m0, {text})",
            f"number {pick(['<', '>', '=', '!='])} {chance.randint(0, 9)}",
            f"created_at {pick(['<', '>='])} {pick(['2020-01-01', '2100-01-01'])}",
            pick(["stage = development", "status != ready", "status in (ready, pending)"]),
        ]
    )


def test_it_finds_what_a_naive_reading_finds(cast: Cast, versions: list[ModelVersion]) -> None:
    rows = ModelVersion.objects.filter(model__namespace=cast.namespace)
    hits = 0
    for _, query in zip(range(300), queries(random.Random(11)), strict=False):
        tree = parse(query)
        found = set(search(rows, query)[0].values_list("pk", flat=True))
        meant = {version.pk for version in versions if naive(tree, version)}
        assert found == meant, query
        hits += 0 < len(found) < len(versions)
    assert hits > 100


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("owner = x", "there is no field owner. Fields: created_at, created_by"),
        ("owner.x = x", "there is no field owner.x"),
        ("metric = 1", "metric needs a key: metric.NAME"),
        ("stage.x = 1", "stage has no keys"),
        ("stage = live", "is no stage: development, staging"),
        ("stage > staging", "stage is compared by = != in"),
        ("metric.a ~ 1", "not by ~"),
        ("metric.a > high", "a number is expected"),
        ("task > a", "task is compared by = != ~ in"),
        ("number = 1.5", "a whole number"),
        ("number = 99999999999", "a whole number"),
        ("created_at > yesterday", "a date (2026-03-31) or a time with its offset"),
        ("created_at > 2026-03-01T10:00:00", "with its offset"),
        ("created_at > 2026-13-01", "a date"),
        ("created_at > 0001-01-01T00:00:00+14:00", "a date"),
        ("tag.a > x", "not by >"),
        ("id = 1", "there is no field id"),
        ("model__namespace__name = x", "there is no field"),
        ("pk = 1", "there is no field"),
    ],
)
def test_what_it_does_not_know_it_says(query: str, told: str) -> None:
    with pytest.raises(SearchError) as refused:
        search(ModelVersion.objects.none(), query)
    assert told in refused.value.sentence


def test_there_is_a_limit_to_metrics() -> None:
    with pytest.raises(SearchError, match="at most 10 metrics"):
        search(ModelVersion.objects.none(), " and ".join(f"metric.m{n} > 0" for n in range(11)))


def test_the_newest_evaluation_counts(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.95)
    evaluate(cast, version, 0.5)
    rows = ModelVersion.objects.filter(model__namespace=cast.namespace)
    assert not search(rows, "metric.accuracy >= 0.9")[0].exists()
    assert search(rows, "metric.accuracy = 0.5")[0].exists()
