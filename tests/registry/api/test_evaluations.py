"""Evaluations: finite numbers on data that a digest names, for ever."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.utils import timezone

from registry.models import Evaluation, Event
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


# ---- per-example results


def sent(cast: Cast, content: bytes, by: str = "ci", version: int = 1) -> Any:
    where = at(cast).replace("versions/1/evaluations", f"versions/{version}/example-results")
    return cast.client(by).generic("POST", where, content.decode(), "text/csv")


def of(examples: dict[str, Any], value: float = 0.75) -> dict[str, Any]:
    return body(metrics=[{"name": "accuracy", "value": value, "examples": examples}])


def test_results_are_sent_then_named_and_kept_with_the_evaluation(cast: Cast) -> None:
    version = ready_version(cast)
    content = b"id,value\nb,1\na,1\nc,0\nd,1\n"
    digest = "sha256:" + hashlib.sha256(content).hexdigest()

    first = sent(cast, content)
    assert first.status_code == 201, first.content
    kept = first.json()
    assert (kept["digest"], kept["count"], kept["mean"], kept["ids"]) == (digest, 4, 0.75, True)
    assert sent(cast, content).json() == kept
    ci = cast.client("ci")
    made = ci.post(at(cast), of({"digest": digest, "count": 4}))
    assert made.status_code == 201, made.content
    told = {"digest": digest, "count": 4, "ids": True, "attachment": kept["attachment"]}
    assert made.json()["metrics"][0]["examples"] == told
    assert ci.get(at(cast)).json()["results"] == [made.json()]
    event = Event.objects.get(subject_id=str(version.pk), type="evaluation.recorded")
    assert event.after["examples"] == {"accuracy": digest}  # type: ignore[index]
    there = f"/api/v1/attachments/{kept['attachment']}/content"
    assert cast.client("vera").get(there).content == content
    assert cast.client("mallory").get(there).status_code == 404
    for name, status in (("vera", 403), ("cora", 403), ("mallory", 404)):
        assert sent(cast, content, name).status_code == status, name


@pytest.mark.parametrize(
    ("digest", "count", "value", "said"),
    [
        ("sha256:" + "0" * 64, 4, 0.75, "were sent for"),
        ("{hex}", 4, 0.75, "were sent for"),
        ("sha256:{hex}", 5, 0.75, "5 results are announced, and there are 4"),
        ("sha256:{hex}", 4, 0.76, "accuracy is given as 0.76, and the mean of its 4 results is 0.75"),
        ("sha256:{hex}", 4, 0.7501, "give that, not rounded"),
    ],
)
def test_results_that_are_not_the_metrics_are_refused(
    cast: Cast, digest: str, count: int, value: float, said: str
) -> None:
    ready_version(cast)
    content = b"value\n1\n1\n0\n1\n"
    assert sent(cast, content).status_code == 201
    named = digest.format(hex=hashlib.sha256(content).hexdigest())

    answer = cast.client("ci").post(at(cast), of({"digest": named, "count": count}, value))

    assert answer.status_code == 422, answer.content
    assert said in answer.json()["detail"]
    assert not Evaluation.objects.exists()


def test_those_of_another_version_are_none(cast: Cast) -> None:
    ready_version(cast)
    ready_version(cast)
    kept = sent(cast, b"value\n1\n0\n", version=2).json()
    answer = cast.client("ci").post(at(cast), of({"digest": kept["digest"], "count": 2}, 0.5))
    assert "were sent for" in answer.json()["detail"]


def test_what_is_no_column_is_refused_with_its_line(cast: Cast) -> None:
    ready_version(cast)
    answer = sent(cast, b"value\n1\nnan\n")
    assert (answer.status_code, answer.json()["detail"]) == (
        422, "Line 3: 'nan' is not finite: NaN and infinity are refused.",
    )  # fmt: skip
    # Nor do they come in by the door of other documents, which asks for no form.
    where = at(cast).replace("evaluations", "attachments?kind=example_results&name=x.csv")
    assert cast.client("ben").generic("POST", where, "x", "text/csv").status_code == 422
