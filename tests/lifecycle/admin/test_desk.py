"""The desk: what lies on it for whom, what the page says, and what a decision does."""

from __future__ import annotations

import re
import secrets
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from lifecycle.dossier.inbox import count_waiting, inbox
from lifecycle.models import Promotion, State
from registry.actions.people import create_user, issue_token
from registry.models import SYSTEM, Event, Principal, User
from registry.roles import Role
from tests.cast import hold_role
from tests.console.scene import Scene, make_scene


@pytest.fixture
def scene(db: None) -> Scene:
    return make_scene(f"-{secrets.token_hex(3)}")


def signed_in(user: User, **more: Any) -> Client:
    client = Client(**more)
    client.force_login(user)
    return client


def page(promotion: Promotion) -> str:
    return f"/admin/desk/{promotion.pk}/"


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def decide(scene: Scene, who: str, verdict: str, reason: str = "") -> str:
    """Decide in the web; what the next page says."""
    client = signed_in(scene.people[who])
    sent = {"verdict": verdict, "reason": reason}
    return text(client.post(page(scene.waiting), sent, follow=True))


def state(scene: Scene) -> str:
    return Promotion.objects.get(pk=scene.waiting.pk).state


def test_an_operator_approves_and_it_is_in_production(scene: Scene) -> None:
    assert scene.versions[3].reference in decide(scene, "cora", "approve", "worth the loss in Portugal")
    assert state(scene) == State.APPLIED
    stages = {v.number: type(v).objects.get(pk=v.pk).stage for v in scene.versions}
    assert stages == {1: "archived", 2: "archived", 3: "staging", 4: "production"}
    approval = scene.waiting.approvals.get()
    assert (approval.by, approval.reason) == (scene.people["cora"], "worth the loss in Portugal")


def test_a_rejection_needs_a_reason(scene: Scene) -> None:
    assert "A rejection needs a reason" in decide(scene, "cora", "reject", "  ")
    assert state(scene) == State.AWAITING_APPROVAL
    decide(scene, "cora", "reject", "Portugal got three points worse")
    assert state(scene) == State.REJECTED
    event = Event.objects.get(type="promotion.rejected", namespace=scene.namespace)
    assert (event.actor, event.reason) == (scene.people["cora"], "Portugal got three points worse")


def test_who_asked_cannot_decide(scene: Scene) -> None:
    hold_role(scene.namespace, scene.people["eve"], Role.PRODUCTION_OPERATOR)
    eve = signed_in(scene.people["eve"])
    shown = text(eve.get(page(scene.waiting)))
    assert "You asked for this promotion, so somebody else must decide on it." in shown
    assert 'value="approve"' not in eve.get(page(scene.waiting)).content.decode()
    assert "You asked for this promotion" in decide(scene, "eve", "approve")
    assert state(scene) == State.AWAITING_APPROVAL


def test_who_trained_it_cannot_decide(scene: Scene) -> None:
    hold_role(scene.namespace, scene.people["ben"], Role.PRODUCTION_OPERATOR)
    assert "You trained or registered this version" in decide(scene, "ben", "approve")
    assert state(scene) == State.AWAITING_APPROVAL


@pytest.mark.parametrize("who", ["vera", "ben", "ada"])
def test_without_the_right_one_reads_and_does_not_decide(scene: Scene, who: str) -> None:
    client = signed_in(scene.people[who])
    shown = client.get(page(scene.waiting))
    assert shown.status_code == 200
    assert 'value="approve"' not in shown.content.decode()
    for verdict in ("approve", "reject"):
        client.post(page(scene.waiting), {"verdict": verdict, "reason": "because"})
    assert state(scene) == State.AWAITING_APPROVAL
    assert not scene.waiting.approvals.exists()


def test_for_a_stranger_it_is_not_there(scene: Scene) -> None:
    other = make_scene(f"-{secrets.token_hex(3)}")
    client = signed_in(other.people["cora"])
    assert client.get(page(scene.waiting)).status_code == 404
    assert client.post(page(scene.waiting), {"verdict": "approve"}).status_code == 404
    assert scene.namespace.name not in text(client.get("/admin/desk/"))
    assert signed_in(scene.people["mallory"]).get(page(scene.waiting)).status_code == 302
    assert state(scene) == State.AWAITING_APPROVAL


def test_a_form_from_elsewhere_is_refused(scene: Scene) -> None:
    client = signed_in(scene.people["cora"], enforce_csrf_checks=True)
    assert client.post(page(scene.waiting), {"verdict": "approve"}).status_code == 403
    assert state(scene) == State.AWAITING_APPROVAL


def test_a_token_is_no_way_to_the_desk(scene: Scene) -> None:
    _, secret = issue_token(user=scene.people["cora"], name="x", by=SYSTEM)
    answer = Client().get("/admin/desk/", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 302


@pytest.mark.parametrize("sent", [{}, {"verdict": "yes"}, {"verdict": "approve", "reason": "x" * 4001}])
def test_what_is_no_decision_decides_nothing(scene: Scene, sent: dict[str, str]) -> None:
    client = signed_in(scene.people["cora"])
    assert client.post(page(scene.waiting), sent).status_code == 302
    assert state(scene) == State.AWAITING_APPROVAL


def test_deciding_twice_is_told(scene: Scene) -> None:
    decide(scene, "cora", "approve")
    assert "This promotion is applied" in decide(scene, "cora", "approve")


def test_when_something_changed_nothing_is_decided_and_it_is_said(scene: Scene) -> None:
    """The approver was shown another evidence than what is there at the click."""
    first = scene.versions[3].evaluations.get(slice="")
    client = signed_in(scene.people["cora"])
    client.get(page(scene.waiting))
    scene.measure(scene.versions[3], accuracy=0.9400)
    shown = text(client.post(page(scene.waiting), {"verdict": "approve"}, follow=True))
    assert "Nothing was decided: the evidence changed" in shown
    assert state(scene) == State.VOID
    assert first.metrics.filter(name="accuracy", value=0.9581).exists()


def test_the_page_answers_what_a_decision_needs(scene: Scene) -> None:
    shown = text(signed_in(scene.people["cora"]).get(page(scene.waiting)))
    assert f"{scene.versions[3].reference} to production" in shown
    assert f"replaces version {scene.versions[1].number}" in shown
    assert "Catches the new refund pattern" in shown
    assert "2 worse" in shown
    assert "6 of 6 passed" in shown
    assert "high risk" in shown
    assert "Runs now 1 target eu-1 version 2 as approved since" in shown
    assert "the parameter trees changed: 400" in shown
    # The regression first, whatever improved after it.
    assert "recall slice country = PT 0.788 0.819 ▼ \u22120.031 3.8 % worse" in shown
    assert shown.index("recall slice country = PT 0.788 0.819") < shown.index("0.1604 0.1671")
    scene.drift()
    shown = text(signed_in(scene.people["cora"]).get(page(scene.waiting)))
    assert "Runs now 2 targets us-1 version 1 other bytes since" in shown
    assert f"us-1 says that it runs {scene.versions[0].reference}, but its bytes are sha256:" in shown
    assert shown.index("us-1 version 1") < shown.index("eu-1 version 2")


def test_each_sees_on_the_desk_what_is_theirs(scene: Scene) -> None:
    assert [p.pk for p in inbox(scene.principal("cora")).mine] == [scene.waiting.pk]
    assert inbox(scene.principal("cora")).others == []
    for who in ("eve", "vera", "ada"):
        assert inbox(scene.principal(who)).mine == []
        assert [p.pk for p in inbox(scene.principal(who)).others] == [scene.waiting.pk]
    stranger = inbox(scene.principal("mallory"))
    assert (stranger.mine, stranger.others, stranger.evaluating, stranger.decided) == ([], [], [], [])
    assert "Decide" in text(signed_in(scene.people["cora"]).get("/admin/desk/"))
    assert "Nothing waits for you" in text(signed_in(scene.people["vera"]).get("/admin/desk/"))


def test_the_desk_and_the_rule_agree(scene: Scene) -> None:
    """The inbox's SQL says for everybody what `check_can_decide` says."""
    operator = create_user(username=f"olaf{scene.namespace.name}", by=SYSTEM)
    hold_role(scene.namespace, operator, Role.PRODUCTION_OPERATOR)
    for name in ("eve", "ben", "ada", "ci"):
        hold_role(scene.namespace, scene.people[name], Role.PRODUCTION_OPERATOR)
    scene.people["olaf"] = operator
    offered = {name for name, user in scene.people.items() if count_waiting(Principal(user=user))}
    can = set()
    for name, user in scene.people.items():
        shown = signed_in(user).get(page(scene.waiting))
        if shown.status_code == 200 and 'value="approve"' in shown.content.decode():
            can.add(name)
    assert can - {"ci"} == offered - {"ci"} == {"cora", "olaf", "ada"}


def test_a_promotion_is_withdrawn_from_its_page(scene: Scene) -> None:
    path = f"/admin/lifecycle/promotion/{scene.waiting.pk}/withdraw/"
    refused = signed_in(scene.people["cora"]).post(path, {"reason": "x"}).content.decode()
    assert "needs promotion.request" in refused
    assert state(scene) == State.AWAITING_APPROVAL
    assert signed_in(scene.people["eve"]).post(path, {"reason": "a newer one comes"}).status_code == 302
    assert state(scene) == State.WITHDRAWN


def test_a_desk_full_of_requests_costs_no_more_queries(scene: Scene) -> None:
    client = signed_in(scene.people["cora"])

    def queries() -> int:
        client.get("/admin/desk/")
        with CaptureQueriesContext(connection) as seen:
            assert client.get("/admin/desk/").status_code == 200
        return len(seen)

    before = queries()
    other = make_scene(f"-{secrets.token_hex(3)}")
    hold_role(other.namespace, scene.people["cora"], Role.PRODUCTION_OPERATOR)
    for each in (scene, other):
        each.stand_in_the_way()
        each.drift()
    assert count_waiting(scene.principal("cora")) == 4
    assert len(inbox(scene.principal("cora")).troubles) == 2
    assert queries() <= before
