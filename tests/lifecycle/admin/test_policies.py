"""The pages of policies: drafted with a field for every parameter, published by somebody else."""

from __future__ import annotations

import re
import secrets
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from lifecycle.models import Policy
from registry.models import User
from tests.console.scene import Scene, make_scene


@pytest.fixture
def scene(db: None) -> Scene:
    return make_scene(f"-{secrets.token_hex(3)}")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def in_force(scene: Scene) -> Policy:
    rows = Policy.objects.filter(namespace=scene.namespace, target="production", state="published")
    return rows.latest("revision")


def page(policy: Policy, verb: str = "change") -> str:
    return reverse("admin:lifecycle_policy_change", args=[policy.pk]).replace("change", verb)


def sent(response: Any) -> dict[str, Any]:
    """What the form of the page would send, untouched."""
    html = response.content.decode()
    given: dict[str, Any] = {"gate": re.findall(r'name="gate" value="(\w+)"', html)}
    form = response.context
    for part in form["gates"]:
        given |= {name: value for name, value in part["form"].initial.items() if value not in (False, None)}
    given |= {name: form["scope"][name].value() or "" for name in form["scope"].fields}
    return given


def test_from_the_page_to_force(scene: Scene) -> None:
    before = in_force(scene)
    ada, cora = signed_in(scene.people["ada"]), signed_in(scene.people["cora"])
    given = sent(ada.get(page(before, "draft")))
    assert given["gate"] == [gate["gate"] for gate in before.gates]
    same = ada.post(page(before, "draft"), {**given, "do": "save"}, follow=True)
    assert "says just this: nothing was drafted" in text(same)
    assert in_force(scene) == before

    given |= {"2.tolerance": "0.02", "approvals": "2", "reason": "Two pairs of eyes."}
    drafted = text(ada.post(page(before, "draft"), {**given, "do": "save"}, follow=True))
    draft = Policy.objects.get(namespace=scene.namespace, state="draft")
    assert f"revision {draft.revision} is drafted." in drafted
    assert "Approvals: 1 before; 2 now." in drafted
    refused = text(ada.post(page(draft, "publish"), {"reason": "Mine."}))
    assert "You drafted this production policy" in refused
    asked = text(cora.get(page(draft, "publish")))
    assert "Two pairs of eyes." in asked
    assert "Approvals: 1 before; 2 now." in asked
    cora.post(page(draft, "publish"), {"reason": "Agreed."})
    assert in_force(scene) == draft
    assert draft.gates[2]["parameters"]["tolerance"] == 0.02
    assert cora.get(page(draft, "publish")).status_code == 200
    assert "is published: only a draft" in text(cora.post(page(draft, "publish"), {"reason": "Again."}))


def test_gates_are_added_moved_and_taken_away_on_the_page(scene: Scene) -> None:
    ada = signed_in(scene.people["ada"])
    where = page(in_force(scene), "draft")
    given = sent(ada.get(where))
    first = list(given["gate"])
    added = sent(ada.post(where, {**given, "do": "add", "new": "soaked"}))
    assert added["gate"] == [*first, "soaked"]
    moved = sent(ada.post(where, {**added, "do": f"up-{len(first)}"}))
    assert moved["gate"] == [*first[:-1], "soaked", first[-1]]
    removed = sent(ada.post(where, {**moved, "do": "remove-0"}))
    assert removed["gate"] == moved["gate"][1:]
    assert removed["0.metric"] == given["1.metric"]
    for odd in ("remove-99", "up-0", "add", "", "remove-", "up-x"):
        assert sent(ada.post(where, {**given, "do": odd, "new": "no-such-gate"}))["gate"] == first
    assert not Policy.objects.filter(namespace=scene.namespace, state="draft").exists()


def test_what_is_wrong_is_said_where_it_is(scene: Scene) -> None:
    ada = signed_in(scene.people["ada"])
    where = page(in_force(scene), "draft")
    given = {**sent(ada.get(where)), "do": "save"}
    answer = ada.post(where, {**given, "2.tolerance": "much"})
    assert "tolerance is a number." in text(answer)
    assert answer.context["gates"][2]["gate"].wrong == {"tolerance": "tolerance is a number."}
    assert 'aria-invalid="true"' in answer.content.decode()
    assert "needs metric" in text(ada.post(where, {**given, "2.metric": ""}))
    assert "There is no gate" in text(ada.post(where, {**given, "gate": ["magic"]}))
    assert "has no model of this name" in text(ada.post(where, {**given, "model": "no-such"}))
    assert "not for both" in text(ada.post(where, {**given, "model": "card-scorer", "risk_tier": "high"}))
    assert "approvals is" in text(ada.post(where, {**given, "approvals": "0"}))
    assert "a list of at most" in text(ada.post(where, {**given, "gate": ["signature_valid"] * 40}))
    assert "&lt;script&gt;" in ada.post(where, {**given, "model": "<script>"}).content.decode()
    assert not Policy.objects.filter(namespace=scene.namespace, state="draft").exists()


def test_a_policy_for_one_model_or_a_tier(scene: Scene) -> None:
    ada = signed_in(scene.people["ada"])
    where = page(in_force(scene), "draft")
    given = {**sent(ada.get(where)), "do": "save"}
    ada.post(where, {**given, "model": "card-scorer"})
    ada.post(where, {**given, "risk_tier": "high"})
    drafts = Policy.objects.filter(namespace=scene.namespace, state="draft")
    assert {(str(each.model), each.risk_tier) for each in drafts} == {
        (f"{scene.namespace}/card-scorer", ""),
        ("None", "high"),
    }
    listed = text(ada.get(reverse("admin:lifecycle_policy_changelist")))
    assert f"{scene.namespace}, tier high" in listed


def test_who_may_what(scene: Scene) -> None:
    policy = in_force(scene)
    for who, code in (("cora", 403), ("ben", 403)):
        assert signed_in(scene.people[who]).get(page(policy, "draft")).status_code == code
    ada = signed_in(scene.people["ada"])
    ada.post(page(policy, "draft"), {**sent(ada.get(page(policy, "draft"))), "approvals": "3", "do": "save"})
    draft = Policy.objects.get(namespace=scene.namespace, state="draft")
    assert signed_in(scene.people["ben"]).get(page(draft, "publish")).status_code == 403
    cora = signed_in(scene.people["cora"])
    assert "Publish" in text(cora.get(page(draft)))
    assert "is withdrawn." in text(cora.post(page(draft, "withdraw"), {"reason": "Not now."}, follow=True))
