"""What waits beside promotions: offered to exactly those whom the actions let decide, and gone once it is decided."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from lifecycle.actions.policies import draft_policy, publish_policy
from lifecycle.actions.waivers import decide_waiver
from lifecycle.dossier.inbox import count_waiting, inbox
from lifecycle.dossier.matters import Matter, open_waivers, troubles
from lifecycle.models import Policy, Waiver
from registry.actions.people import create_user
from registry.errors import DomainError
from registry.models import SYSTEM, Principal, Webhook
from registry.roles import Role
from tests.cast import Cast, hold_role
from tests.console.scene import Scene, make_scene


class _Undone(Exception):
    """Takes back what was only tried."""


def lets(act: Callable[[], Any]) -> bool:
    """Whether the action would be done; it is taken back."""
    try:
        with transaction.atomic():
            act()
            raise _Undone
    except _Undone:
        return True
    except DomainError:
        return False


def drafted(scene: Scene, by: str, target: str = "production") -> Policy:
    policy, _ = draft_policy(
        namespace=scene.namespace, target=target, gates=[], approvals={"count": 2}, reason="two from now on",
        by=scene.principal(by),
    )  # fmt: skip
    return policy


def of_kind(scene: Scene, who: str, kind: str) -> list[Matter]:
    return [each for each in inbox(scene.principal(who)).matters if each.kind == kind]


def offered(scene: Scene, kind: str) -> set[str]:
    return {name for name in scene.people if any(each.mine for each in of_kind(scene, name, kind))}


def may(scene: Scene, act: Callable[[Principal], Any]) -> set[str]:
    return {name for name in scene.people if lets(lambda name=name: act(scene.principal(name)))}  # type: ignore[misc]


@pytest.fixture
def crowd(db: None) -> Scene:
    """The scene, with everybody an operator as well, and one operator who is nothing else."""
    scene = make_scene(f"-{secrets.token_hex(3)}")
    scene.people["olaf"] = create_user(username=f"olaf-{secrets.token_hex(3)}", by=SYSTEM)
    for name in ("olaf", "eve", "ben", "ada"):
        hold_role(scene.namespace, scene.people[name], Role.PRODUCTION_OPERATOR)
    return scene


def test_what_waits_is_offered_to_those_who_may_decide_on_it(crowd: Scene) -> None:
    before = count_waiting(crowd.principal("cora"))
    crowd.stand_in_the_way()
    waiver = Waiver.objects.get(result__promotion=crowd.refused)
    can = may(crowd, lambda by: decide_waiver(waiver=waiver, verdict="refuse", reason="no", by=by))
    assert offered(crowd, "Waiver") == can == {"cora", "olaf", "ada"}, "not who asked (eve) or made it (ben)"
    assert of_kind(crowd, "mallory", "Waiver") == []
    (shown,) = of_kind(crowd, "vera", "Waiver")
    assert (shown.mine, shown.by, shown.tier) == (False, crowd.people["eve"].username, "high")
    assert "no_regression" in shown.to

    production, staging = drafted(crowd, "ada"), drafted(crowd, "ada", "staging")
    can = may(crowd, lambda by: publish_policy(policy=production, by=by))
    assert offered(crowd, "Policy") - {"ada"} == can == {"cora", "olaf", "eve", "ben"}, "not who drafted it"
    assert "ada" in may(crowd, lambda by: publish_policy(policy=staging, by=by))
    titles = {each.to: each.mine for each in of_kind(crowd, "ada", "Policy")}
    assert titles == {
        f"production, revision {production.revision}": False,
        f"staging, revision {staging.revision}": True,
    }

    found = inbox(crowd.principal("cora"))
    assert count_waiting(crowd.principal("cora")) == before + 3 == len(found.mine) + len(found.my_matters)
    assert count_waiting(crowd.principal("vera")) == 0
    after_its_term = waiver.until + timedelta(seconds=1)
    assert not open_waivers(crowd.principal("cora"), after_its_term).exists()
    decide_waiver(waiver=waiver, verdict="refuse", reason="no", by=crowd.principal("cora"))
    for policy in (production, staging):
        publish_policy(policy=policy, by=crowd.principal("cora"))
    assert inbox(crowd.principal("cora")).matters == []


def test_what_is_not_as_it_should_be_is_told_to_those_whom_it_concerns(cast: Cast) -> None:
    now = timezone.now()
    hook = Webhook.objects.create(
        namespace=cast.namespace, name="ci", url="https://ci.example/hook", secret="x", events=["*"],
        created_by=cast.people["ada"], failing_since=now - timedelta(hours=25),
    )  # fmt: skip
    told = troubles(cast.principal("ada"), now)
    assert [(each.title, each.kinds) for each in told] == [(f"Webhook {hook.reference}", ["failing"])]
    assert troubles(cast.principal("ada"), now - timedelta(hours=2)) == [], "not within its first day"
    # An address may hold a key of the receiver's: who does not edit webhooks does not hear of them.
    assert troubles(cast.principal("cora"), now) == troubles(cast.principal("mallory"), now) == []
