"""Promotions over REST: what is answered, and what a caller may see."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from registry.models import StageChange
from tests.cast import Cast
from tests.factories import fresh, promotion_at, ready_version, staged_version


def path(cast: Cast, rest: str = "", number: int = 1) -> str:
    return f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/{number}{rest}"


def test_asking_answers_202_and_where_to_look(cast: Cast) -> None:
    ready_version(cast)

    answer = cast.client("eve").post(path(cast, "/promotions"), {"target": "staging", "reason": "try it"})

    assert answer.status_code == 202
    body = answer.json()
    assert body["state"] == "evaluating"
    assert body["url"].endswith(f"/promotions/{body['id']}")
    assert [gate["verdict"] for gate in body["gates"]] == ["pending"] * len(body["gates"])
    assert cast.client("vera").get(f"/api/v1/promotions/{body['id']}").json()["reason"] == "try it"


def test_deciding(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")

    answer = cast.client("cora").post(f"/api/v1/promotions/{promotion.pk}/approve", {"reason": "fine"})

    assert answer.status_code == 200
    assert answer.json()["state"] == "applied"
    assert [a["verdict"] for a in answer.json()["approvals"]] == ["approve"]
    again = cast.client("cora").post(f"/api/v1/promotions/{promotion.pk}/approve", {})
    assert (again.status_code, again.json()["code"]) == (409, "promotion-closed")


def test_rejecting_needs_a_reason(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")

    answer = cast.client("cora").post(f"/api/v1/promotions/{promotion.pk}/reject", {})

    assert (answer.status_code, answer.json()["field"]) == (422, "reason")


def test_a_repeated_key_decides_once(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    there = f"/api/v1/promotions/{promotion.pk}/approve"

    first, second = (cast.client("cora").post(there, {}, HTTP_IDEMPOTENCY_KEY="one") for _ in range(2))

    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"


def test_a_stranger_sees_none_of_it(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    mallory = cast.client("mallory")

    assert mallory.get(f"/api/v1/promotions/{promotion.pk}").status_code == 404
    assert mallory.post(f"/api/v1/promotions/{promotion.pk}/approve", {}).status_code == 404
    assert mallory.get("/api/v1/promotions").json()["results"] == []


def test_the_list_is_filtered_and_costs_the_same_however_long(
    cast: Cast, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    promotion_at(cast, "awaiting_approval")
    client = cast.client("cora")
    listed = f"/api/v1/promotions?namespace={cast.namespace.name}"
    assert [p["target"] for p in client.get(f"{listed}&state=awaiting_approval").json()["results"]] == [
        "production"
    ]
    assert client.get(f"{listed}&state=nonsense").status_code == 422
    with django_assert_max_num_queries(20) as few:
        client.get(listed)
    for _ in range(3):
        staged_version(cast)
    with django_assert_max_num_queries(20) as many:
        client.get(listed)

    assert len(few.captured_queries) == len(many.captured_queries)


def test_what_was_in_production_then(cast: Cast) -> None:
    first = promotion_at(cast, "applied").version
    second = promotion_at(cast, "applied", value=0.95).version
    there = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/production"
    client = cast.client("otto")
    since = StageChange.objects.get(version=second, to_stage="production").at
    before_any = StageChange.objects.get(version=first, to_stage="production").at - timedelta(seconds=1)

    def at(moment: object) -> str | None:
        answer = client.get(there, {"at": str(moment).replace(" ", "T").replace("+00:00", "Z")}).json()
        return answer["version"] and str(answer["version"]["reference"])

    assert client.get(there).json()["version"]["reference"] == second.reference
    assert client.get(there).json()["promotion"]["approvals"][0]["by"] == cast.user("cora").username
    assert at(since - timedelta(microseconds=1)) == first.reference
    assert at(since) == second.reference
    assert at(before_any) is None
    assert at(timezone.now()) == second.reference


@pytest.mark.parametrize("at", ["yesterday", "2026-01-01", "2026-01-01T00:00:00", "2026-99-01T00:00:00Z"])
def test_a_time_is_a_time_in_utc(cast: Cast, at: str) -> None:
    ready_version(cast)

    answer = cast.client("otto").get(
        f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/production", {"at": at}
    )

    assert (answer.status_code, answer.json()["field"]) == (422, "at")


def test_suspending_leaves_no_production_loudly(cast: Cast) -> None:
    version = promotion_at(cast, "applied").version

    answer = cast.client("cora").post(path(cast, "/suspend", version.number), {"reason": "biased"})

    assert answer.status_code == 200
    assert answer.json()["stage"] == fresh(version).stage == "deprecated"
    now = cast.client("vera").get(f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/production").json()
    assert now["version"] is None


def test_a_misspelt_field_is_not_lost_silently(cast: Cast) -> None:
    ready_version(cast)

    answer = cast.client("eve").post(path(cast, "/promotions"), {"target": "staging", "raeson": "typo"})

    assert (answer.status_code, answer.json()["field"]) == (422, "raeson")
