"""Evaluations: finite numbers on data that a digest names, for ever."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from registry.models import Event
from tests.cast import Cast
from tests.factories import ready_version

DIGEST = "sha256:" + "a" * 64


def at(cast: Cast) -> str:
    return f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/1/evaluations"


def body(**changes: Any) -> dict[str, Any]:
    return {
        "dataset": {"name": "held-out.csv", "digest": DIGEST},
        "split": "test",
        "metrics": [
            {"name": "accuracy", "value": 0.9, "low": 0.88, "high": 0.93},
            {"name": "log loss", "value": 1},
        ],
        **changes,
    }


def test_it_works(cast: Cast) -> None:
    version = ready_version(cast)
    ci = cast.client("ci")
    made = ci.post(at(cast), body(evaluator="ci 1.2"))
    assert made.status_code == 201, made.content
    assert made.json()["metrics"][0] == {"name": "accuracy", "value": 0.9, "low": 0.88, "high": 0.93}
    assert ci.get(at(cast)).json()["results"] == [made.json()]
    event = Event.objects.get(subject_id=str(version.pk), type="evaluation.recorded")
    assert event.after["metrics"] == {"accuracy": 0.9, "log loss": 1.0}  # type: ignore[index]
    assert event.actor == cast.user("ci")


def test_a_table_in_memory_has_its_own_digest(cast: Cast) -> None:
    ready_version(cast)
    made = cast.client("ci").post(at(cast), body(dataset={"name": "x", "digest": "frame-v1:" + "b" * 64}))
    assert made.status_code == 201


METRIC: dict[str, Any] = {"name": "accuracy", "value": 0.9}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"dataset": {"name": "x", "digest": "a" * 64}}, "dataset.digest"),
        ({"dataset": {"name": "x", "digest": "sha256:" + "A" * 64}}, "dataset.digest"),
        ({"dataset": {"name": "x", "digest": "md5:" + "a" * 32}}, "dataset.digest"),
        ({"dataset": {"name": "x"}}, "dataset.digest"),
        ({"dataset": "x"}, "dataset"),
        ({"metrics": []}, "metrics"),
        ({"metrics": {}}, "metrics"),
        ({"metrics": [METRIC, METRIC]}, "metrics"),
        ({"metrics": [{"name": "accuracy", "value": None}]}, "metrics[0].value"),
        ({"metrics": [{"name": "accuracy", "value": "inf"}]}, "metrics[0].value"),
        ({"metrics": [{"name": "accuracy", "value": "nan"}]}, "metrics[0].value"),
        ({"metrics": [{"name": "accuracy", "value": True, "low": "-Infinity"}]}, "metrics[0].low"),
        ({"metrics": [{**METRIC, "low": 0.91}]}, "metrics"),
        ({"metrics": [{**METRIC, "high": 0.89}]}, "metrics"),
        ({"metrics": [{"name": "accuracy\nx", "value": 1}]}, "metrics"),
        ({"metrics": [{"name": " ", "value": 1}]}, "metrics[0].name"),
        ({"run": "no-uuid"}, "run"),
    ],
)
def test_refused(cast: Cast, changes: dict[str, Any], field: str) -> None:
    ready_version(cast)
    answer = cast.client("ci").post(at(cast), body(**changes))
    assert answer.status_code == 422, answer.content
    assert answer.json().get("field") == field, answer.json()


def test_nothing_is_measured_of_a_version_that_is_gone(cast: Cast) -> None:
    version = ready_version(cast)
    type(version).objects.filter(pk=version.pk).update(status="deleted", deleted_at=timezone.now())
    answer = cast.client("ci").post(at(cast), body())
    assert (answer.status_code, answer.json()["code"]) == (409, "version-gone")
