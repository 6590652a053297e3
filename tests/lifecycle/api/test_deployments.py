"""Deployments over REST: the heartbeat by a narrow token, what runs, and production as it was at any time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from lifecycle.actions.promotions import roll_back
from lifecycle.promotions import settle
from registry.actions.people import issue_token
from registry.models import SYSTEM, IdempotencyKey, ModelVersion, StageChange
from tests.cast import Cast
from tests.factories import ready_version
from tests.lifecycle.running import in_production, runs

OTHER = "sha256:" + "7" * 64


def path(cast: Cast, rest: str = "deployments/eu-1") -> str:
    return f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/{rest}"


def test_it_works(cast: Cast) -> None:
    version = in_production(cast)
    cora = cast.client("cora")
    answer = cora.put(path(cast), {"version": 1, "interval_seconds": 60})
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert (told["version"], told["approved"], told["drift"]) == (version.reference, True, [])
    assert told["digest"] == f"sha256:{version.manifest.digest}"
    assert (told["serves"], told["interval_seconds"]) == ("production", 60)
    vera = cast.client("vera")
    assert vera.get(path(cast, "deployments")).json()["results"] == [told]
    assert vera.get(path(cast, "versions/1")).json()["running"] == [told]
    assert vera.get("/api/v1/resolve", {"ref": version.reference}).json()["running"] == [told]
    gone = cora.delete(path(cast), {"reason": "moved"})
    assert (gone.status_code, gone.content) == (204, b"")
    assert cora.delete(path(cast), {}).status_code == 204  # a call that is made again for a broken connection
    assert cora.delete(path(cast, "deployments/eu-9"), {}).json()["code"] == "not-deployed"
    assert vera.get(path(cast, "deployments")).json()["results"] == []
    history = vera.get(path(cast)).json()["results"]
    assert [(each["what"], each["by"]) for each in history] == [
        ("undeployed", cast.user("cora").username),
        ("deployed", cast.user("cora").username),
    ]


def test_a_heartbeat_is_safe_to_repeat_and_leaves_no_key(cast: Cast) -> None:
    in_production(cast)
    cora = cast.client("cora")
    before = IdempotencyKey.objects.count()
    for _ in range(2):
        sent = cora.put(path(cast), {"version": 1}, headers={"Idempotency-Key": "same"})
        assert sent.status_code == 200
    assert IdempotencyKey.objects.count() == before


def test_by_digest_alone(cast: Cast) -> None:
    version = in_production(cast)
    cora = cast.client("cora")
    told = cora.put(path(cast), {"digest": f"sha256:{version.manifest.digest}"}).json()
    assert (told["version"], told["drift"]) == (version.reference, [])
    unknown = cora.put(path(cast), {"digest": OTHER})
    assert (unknown.status_code, unknown.json()["field"]) == (422, "digest")
    assert "Name the version that should run there" in unknown.json()["detail"]
    told = cora.put(path(cast), {"version": 1, "digest": OTHER}).json()
    assert (told["drift"], told["loud"], told["digest"]) == (["other_bytes"], True, OTHER)
    assert cora.put(path(cast), {}).json()["field"] == "version"


def test_a_token_that_may_do_nothing_else(cast: Cast) -> None:
    in_production(cast)
    _, secret = issue_token(
        user=cast.user("cora"),
        name="serving",
        namespace=cast.namespace,
        scopes=["namespace.read", "deployment.report"],
        by=SYSTEM,
    )
    serving = APIClient()
    serving.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert serving.put(path(cast), {"version": 1}).status_code == 200
    assert serving.post(path(cast, "rollback"), {"reason": "x"}).status_code == 403
    assert serving.delete(path(cast), {}).status_code == 204


def test_who_may_not(cast: Cast) -> None:
    in_production(cast)
    for who in ("ben", "vera", "otto"):
        refused = cast.client(who).put(path(cast), {"version": 1})
        assert refused.status_code == 403
        assert "deployment.report" in refused.json()["detail"]
    assert cast.client("mallory").put(path(cast), {"version": 1}).status_code == 404
    assert cast.client("mallory").get(path(cast, "deployments")).status_code == 404
    assert cast.client("cora").put(path(cast), {"version": 9}).status_code == 404


# ---- production, now and at a time


def production(cast: Cast, at: datetime | None = None) -> dict[str, Any]:
    query = {"at": at.isoformat()} if at else {}
    answer = cast.client("otto").get(path(cast, "production"), query)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def entered(version: ModelVersion) -> datetime:
    return StageChange.objects.filter(version=version, to_stage="production").latest("pk").at


def what(told: dict[str, Any]) -> tuple[str | None, list[str], dict[str, tuple[str, bool]]]:
    """Approved, on whose approval, and what ran where and whether that was what was approved."""
    return (
        told["version"]["reference"] if told["version"] else None,
        [each["by"] for each in told["approved_by"]],
        {each["target"]: (each["version"], each["approved"]) for each in told["running"]},
    )


def test_right_before_between_and_after_a_rollback(cast: Cast) -> None:
    moment = timedelta(microseconds=1)
    one = in_production(cast)
    at_one = entered(one)
    cora = [cast.user("cora").username]
    runs(cast, one)
    two = in_production(cast, 0.95)
    at_two = entered(two)
    runs(cast, two)
    deployed_two = two.deployments.get().since
    rolled = settle(
        promotion_id=roll_back(model=one.model, reason="errors since noon", by=cast.principal("cora")).pk
    )
    back = entered(one)
    runs(cast, one)
    deployed_back = one.deployments.get().since

    assert what(production(cast, at_one - moment)) == (None, [], {})
    assert what(production(cast, at_one)) == (one.reference, cora, {})
    assert what(production(cast, at_two - moment)) == (one.reference, cora, {"eu-1": (one.reference, True)})
    # Approved, and not yet there.
    assert what(production(cast, at_two)) == (two.reference, cora, {"eu-1": (one.reference, False)})
    assert what(production(cast, deployed_two)) == (two.reference, cora, {"eu-1": (two.reference, True)})
    assert what(production(cast, back - moment)) == (two.reference, cora, {"eu-1": (two.reference, True)})
    # Nobody's approval, but one operator's rollback with a reason; what was rolled back still runs.
    after = production(cast, back)
    assert what(after) == (one.reference, [], {"eu-1": (two.reference, False)})
    assert (after["promotion"]["kind"], after["promotion"]["reason"]) == ("rollback", "errors since noon")
    assert after["promotion"]["id"] == str(rolled.pk)
    assert what(production(cast, deployed_back)) == (one.reference, [], {"eu-1": (one.reference, True)})
    now = production(cast)
    assert what(now) == what(production(cast, deployed_back))
    assert (now["running"][0]["last_seen"] is None, now["running"][0]["drift"]) == (False, [])


def test_nothing_in_production_and_something_runs(cast: Cast) -> None:
    version = ready_version(cast)
    runs(cast, version)
    told = production(cast)
    assert (told["version"], told["since"], told["promotion"], told["approved_by"]) == (None, None, None, [])
    assert told["running"][0]["sentence"] == (
        f"eu-1 runs {version.reference}, but nothing of {version.model} is in production."
    )


@pytest.mark.parametrize("at", ["yesterday", "2026-01-31T12:00:00", "2026-13-31T12:00:00Z"])
def test_a_time_is_a_time(cast: Cast, at: str) -> None:
    ready_version(cast)
    refused = cast.client("otto").get(path(cast, "production"), {"at": at})
    assert (refused.status_code, refused.json()["field"]) == (422, "at")


def test_the_pages_name_what_must_not_run(cast: Cast) -> None:
    version = in_production(cast)
    runs(cast, version, digest=OTHER)
    browser = Client()
    browser.force_login(cast.user("vera"))
    for address in (f"/m/{cast.namespace.name}/scorer", f"/m/{cast.namespace.name}/scorer/1"):
        html = browser.get(address).content.decode()
        assert "eu-1 says that it runs" in html
        assert "notice is-error" in html
