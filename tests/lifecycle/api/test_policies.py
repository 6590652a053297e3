"""Policies over REST: drafted, checked, published by another, and compared."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from registry.models import Event
from tests.cast import Cast
from tests.factories import published_policy, ready_version

RULE: dict[str, Any] = {
    "target": "production",
    "gates": [{"gate": "metric_at_least", "parameters": {"metric": "accuracy", "bound": 0.8}}],
    "approvals": {"count": 1},
}


def path(cast: Cast, rest: str = "") -> str:
    return f"/api/v1/namespaces/{cast.namespace.name}/policies{rest}"


def test_from_draft_to_force(cast: Cast) -> None:
    ada, cora, vera = cast.client("ada"), cast.client("cora"), cast.client("vera")
    drafted = ada.post(path(cast), {**RULE, "reason": "Nothing below 0.8."}, format="json")
    assert (drafted.status_code, drafted.json()["state"]) == (201, "draft")
    assert ada.post(path(cast), RULE, format="json").status_code == 200
    one = f"/api/v1/policies/{drafted.json()['id']}"
    assert ada.post(f"{one}/publish", {}, format="json").json()["code"] == "own-policy"
    assert [each["id"] for each in vera.get(path(cast, "?state=draft")).json()["results"]] == [
        drafted.json()["id"]
    ]
    shown = vera.get(one).json()
    assert (shown["since"], shown["reason"]) == (1, "Nothing below 0.8.")
    assert shown["changes"][-1]["sentence"] == "Newly asked: accuracy on test is at least 0.8."
    published = cora.post(f"{one}/publish", {"reason": "Agreed."}, format="json").json()
    assert (published["state"], published["published_by"]) == ("published", cast.user("cora").username)
    again = cora.post(f"{one}/withdraw", {}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "policy-not-draft")
    types = Event.objects.filter(namespace=cast.namespace, type__startswith="policy.")
    assert sorted(types.values_list("type", flat=True)) == ["policy.drafted", "policy.published"]


def test_checking_makes_nothing_and_points(cast: Cast) -> None:
    vera = cast.client("vera")
    checked = vera.post(path(cast, "/check"), {**RULE, "approvals": {"count": 2}}, format="json").json()
    assert checked["in_force"] == 1
    assert checked["gates"][0]["parameters"]["split"] == "test"
    assert checked["changes"][-1]["sentence"] == "Approvals: 1 before; 2 now."
    assert not Event.objects.filter(namespace=cast.namespace, type="policy.drafted").exists()
    wrong = {**RULE, "gates": [{"gate": "metric_at_least", "parameters": {"metric": "a", "bound": "x"}}]}
    refused = vera.post(path(cast, "/check"), wrong, format="json")
    assert (refused.status_code, refused.json()["field"]) == (422, "gates[0].parameters.bound")
    odd: tuple[dict[str, Any], ...] = ({"gates": {}}, {"gates": [[]]}, {"approvals": 1}, {"model": "no-such"})
    for hostile in odd:
        assert vera.post(path(cast, "/check"), {**RULE, **hostile}, format="json").status_code in (404, 422)


def test_which_policy_counts_for_a_model(cast: Cast) -> None:
    model = ready_version(cast).model
    own = published_policy(cast, target="staging", model=model, gates=[], approvals={"count": 2})
    found = (
        cast.client("ben")
        .get(f"/api/v1/namespaces/{cast.namespace.name}/models/{model.name}/policies")
        .json()["results"]
    )
    assert [(each["target"], each["model"]) for each in found] == [
        ("staging", model.name),
        ("production", None),
    ]
    assert found[0]["id"] == str(own.pk)


@pytest.mark.parametrize("since", ["0", "x", "99999999999", "-1", "1.5"])
def test_a_revision_that_is_not_there(cast: Cast, since: str) -> None:
    policy = published_policy(cast, target="staging", gates=[], approvals={"count": 2})
    refused = cast.client("vera").get(f"/api/v1/policies/{policy.pk}?since={since}")
    assert (refused.status_code, refused.json()["field"]) == (422, "since")
    assert "is the number of a revision: 1, 2" in refused.json()["detail"]


def test_lists_take_as_many_queries_for_many_as_for_few(cast: Cast) -> None:
    vera = cast.client("vera")
    counts = []
    vera.get(path(cast))
    for number in range(1, 7):
        published_policy(cast, target="staging", risk_tier=f"t{number}", gates=[], approvals={"count": 1})
        if number in (2, 6):
            with CaptureQueriesContext(
                connection,
            ) as asked:
                found = vera.get(path(cast, "?state=in_force")).json()["results"]
            counts.append(len(asked))
            assert len(found) == number + 2
    assert counts[0] == counts[1]
    assert vera.get(path(cast, "?state=gone")).status_code == 422
