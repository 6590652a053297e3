"""The facts of a run as they are sent at its start: what is known has its shape, the rest is kept."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from lineage.models import Run
from tests.cast import Cast
from tests.lineage.scenes import CODE


def start(client: APIClient, cast: Cast, **facts: Any) -> Any:
    return client.post(f"/api/v1/namespaces/{cast.namespace.name}/runs", facts)


@pytest.fixture
def ben(cast: Cast) -> APIClient:
    return cast.client("ben")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("code.commit", {"a": 1}),
        ("code.commit", None),
        ("code.remote", 1),
        ("code.branch", []),
        ("code.dirty", "yes"),
        ("code.diff_digest", {}),
        ("code.untracked", "a.py"),
        ("code.untracked", ["a.py", 1]),
        ("environment.image_digest", 1),
        ("environment.python", 3.11),
        ("environment.os", {}),
        ("environment.packages", ["numpy"]),
        ("environment.packages", {"numpy": 2}),
        ("environment.hardware", "big"),
        ("config.path", []),
        ("config.digest", 1),
        ("config.values", "x"),
    ],
)
def test_facts_of_another_shape_are_refused_by_name(
    cast: Cast, ben: APIClient, field: str, value: Any
) -> None:
    fact, _, key = field.partition(".")
    answer = start(ben, cast, **{fact: {key: value}})
    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert "This is " in answer.json()["detail"]
    assert not Run.objects.filter(namespace=cast.namespace).exists()


def test_facts_that_nobody_asked_for_are_kept(cast: Cast, ben: APIClient) -> None:
    made = start(ben, cast, code={**CODE, "pipeline": {"id": 7}}, environment={"hardware": {"cpus": 2}})
    assert made.status_code == 201
    assert made.json()["code"]["pipeline"] == {"id": 7}
