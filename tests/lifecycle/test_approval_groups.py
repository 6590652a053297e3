"""N of M: every group that a policy names gives its approvals, one person for one group; the database counts too."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from lifecycle.actions.policies import draft_policy
from lifecycle.actions.promotions import OwnRequest, decide_promotion
from lifecycle.approvals import Approver, _unfilled, tally
from lifecycle.dossier.inbox import count_waiting
from lifecycle.models import Approval, Policy, Promotion, State
from lifecycle.models.approval_guards import groups_wanted
from lifecycle.policies import snapshot
from registry.actions.people import create_user
from registry.actions.reviewers import designate_reviewer
from registry.actions.roles import NameTaken, create_group, revoke_role
from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.models import SYSTEM, Event
from tests.cast import Cast, hold_role
from tests.factories import fresh, promotion_at, published_policy, staged_version

RISK = {"group": "risk", "count": 1}
GATES = {"gate": ["scan_clean"], "do": "save"}
LEGAL = {"group": "legal", "count": 1}


@pytest.fixture
def team(cast: Cast) -> Cast:
    """rita in risk, lea in legal, both in both; olaf is another operator."""
    for name in ("risk", "legal"):
        create_group(namespace=cast.namespace, name=name, by=cast.principal("ada"))
    for name, groups in (
        ("rita", ["risk"]),
        ("lea", ["legal"]),
        ("both", ["risk", "legal"]),
        ("olaf", ["production_operator"]),
    ):
        cast.people[name] = create_user(username=f"{name}-{cast.namespace.name}", by=SYSTEM)
        for group in groups:
            put(cast, name, group)
    return cast


def put(cast: Cast, who: str, group: str) -> None:
    hold_role(cast.namespace, cast.user(who), group)


def policy(cast: Cast, count: int, *groups: dict[str, Any], **more: Any) -> Policy:
    return published_policy(
        cast, target="production", gates=[], approvals={"count": count, "groups": list(groups), **more}
    )


def approve(cast: Cast, promotion: Promotion, who: str) -> tuple[str, str]:
    """The state after it, and what is said of what is missing."""
    row = decide_promotion(promotion=promotion, verdict="approve", by=cast.principal(who))
    return row.state, tally(row).sentence


def applied_by_hand(promotion: Promotion) -> str:
    """What the database says to a program that calls it applied."""
    with pytest.raises(IntegrityError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s", [promotion.pk])
    return str(refusal.value).splitlines()[0]


def test_the_group_is_asked_however_many_others_approve(team: Cast) -> None:
    policy(team, 2, RISK)
    promotion = promotion_at(team, "awaiting_approval")
    assert tally(promotion).sentence == "0 of 2; still wanted: risk (1), 1 more"

    assert approve(team, promotion, "cora") == (State.AWAITING_APPROVAL, "1 of 2; still wanted: risk (1)")
    assert "1 of 2 approvals are given" in applied_by_hand(promotion)
    assert approve(team, promotion, "olaf") == (State.AWAITING_APPROVAL, "2 of 2; still wanted: risk (1)")
    assert applied_by_hand(promotion) == "a group whose approval is asked has not given it"

    assert approve(team, promotion, "rita")[0] == State.APPLIED
    assert fresh(promotion.version).stage == "production"


def test_one_person_stands_for_one_group(team: Cast) -> None:
    policy(team, 2, RISK, LEGAL)
    promotion = promotion_at(team, "awaiting_approval")

    assert approve(team, promotion, "both") == (State.AWAITING_APPROVAL, "1 of 2; still wanted: legal (1)")
    assert approve(team, promotion, "cora") == (State.AWAITING_APPROVAL, "2 of 2; still wanted: legal (1)")
    # Who is in both stands for the other one where that is of use.
    assert approve(team, promotion, "rita")[0] == State.APPLIED


def test_who_leaves_the_group_does_not_count(team: Cast) -> None:
    policy(team, 2, RISK)
    promotion = promotion_at(team, "awaiting_approval")
    approve(team, promotion, "rita")
    revoke_role(namespace=team.namespace, user=team.user("rita"), role="risk", by=team.principal("ada"))
    assert tally(promotion).sentence == "0 of 2; still wanted: risk (1), 1 more"
    approve(team, promotion, "olaf")
    assert approve(team, promotion, "cora") == (State.AWAITING_APPROVAL, "2 of 2; still wanted: risk (1)")
    assert applied_by_hand(promotion) == "a group whose approval is asked has not given it"


def test_only_the_groups_that_the_policy_names_decide(team: Cast) -> None:
    policy(team, 1, RISK)
    promotion = promotion_at(team, "awaiting_approval")
    with pytest.raises(Forbidden, match="asks for people of risk, and who holds"):
        approve(team, promotion, "lea")
    with pytest.raises(NotVisible):
        approve(team, promotion, "mallory")
    for who, told in (("lea", "active person"), ("mallory", "active person")):
        with pytest.raises(IntegrityError, match=told), transaction.atomic():
            Approval.objects.create(
                promotion=promotion,
                by=team.user(who),
                verdict="approve",
                binding=promotion.binding,
                at=timezone.now(),
            )
    answers = {
        who: team.client(who).post(f"/api/v1/promotions/{promotion.pk}/reject", {"reason": ""}).status_code
        for who in ("rita", "cora", "lea", "vera", "mallory")
    }
    assert answers == {"rita": 422, "cora": 422, "lea": 403, "vera": 403, "mallory": 404}
    assert {who: count_waiting(team.principal(who)) for who in ("rita", "lea", "cora", "both")} == {
        "rita": 1,
        "lea": 0,
        "cora": 1,
        "both": 1,
    }


def test_who_asked_is_no_less_so_in_a_group(team: Cast) -> None:
    policy(team, 1, RISK)
    promotion = promotion_at(team, "awaiting_approval")
    for who in ("eve", "ben"):
        put(team, who, "risk")
        with pytest.raises(OwnRequest):
            approve(team, promotion, who)
        assert count_waiting(team.principal(who)) == 0


def designate(cast: Cast, who: str, promotion: Promotion) -> None:
    user, model = cast.user(who), promotion.version.model
    assert designate_reviewer(model=model, user=user, by=cast.principal("ada"))


def test_designated_reviewers_are_asked_for(team: Cast) -> None:
    policy(team, 2, {"group": "designated_reviewers", "count": 1})
    promotion = promotion_at(team, "awaiting_approval")
    designate(team, "otto", promotion)
    approve(team, promotion, "cora")
    assert approve(team, promotion, "olaf")[1] == "2 of 2; still wanted: designated_reviewers (1)"
    assert applied_by_hand(promotion) == "a group whose approval is asked has not given it"
    assert approve(team, promotion, "otto")[0] == State.APPLIED


def test_designated_reviewers_do_not_count_where_the_policy_says_so(team: Cast) -> None:
    policy(team, 1, designated_reviewers=False)
    promotion = promotion_at(team, "awaiting_approval")
    designate(team, "otto", promotion)
    assert count_waiting(team.principal("otto")) == 0
    with pytest.raises(Forbidden):
        approve(team, promotion, "otto")
    with pytest.raises(IntegrityError, match="active person"), transaction.atomic():
        Approval.objects.create(
            promotion=promotion,
            by=team.user("otto"),
            verdict="approve",
            binding=promotion.binding,
            at=timezone.now(),
        )
    policy(team, 1)
    again = promotion_at(team, "awaiting_approval", version=staged_version(team))
    assert count_waiting(team.principal("otto")) == 1
    assert approve(team, again, "otto")[0] == State.APPLIED


@pytest.mark.parametrize(
    ("approvals", "field", "told"),
    [
        ({"count": 2, "groups": [{"group": "rsk"}]}, "groups[0].group", "there are .*legal, .*risk"),
        ({"count": 2, "groups": [RISK, RISK]}, "groups[1].group", "listed twice"),
        ({"count": 2, "groups": [{"group": "risk", "count": 0}]}, "groups[0].count", "from 1 to 10"),
        ({"count": 2, "groups": [{"group": "risk", "count": True}]}, "groups[0].count", "from 1 to 10"),
        ({"count": 5, "groups": [{"group": "risk", "count": 3}]}, "groups[0].count", "2 active people are in risk"),
        ({"count": 1, "groups": [RISK, LEGAL]}, "count", "ask for 2 people"),
        ({"count": 1, "groups": "risk"}, "groups", "a list of at most 5"),
        ({"count": 1, "groups": ["risk"]}, "groups[0]", "A group is"),
        ({"count": 1, "groups": [{**RISK, "who": "me"}]}, "groups[0]", "A group is"),
        ({"count": 1, "number": 2}, "number", "it has count, groups"),
        ({"count": 1, "designated_reviewers": "no"}, "designated_reviewers", "true or false"),
        (
            {"count": 1, "groups": [{"group": "designated_reviewers"}], "designated_reviewers": False},
            "designated_reviewers",
            "one of the two",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_pointed_at(team: Cast, approvals: Any, field: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told) as refusal:
        draft_policy(
            namespace=team.namespace,
            target="production",
            gates=[],
            approvals=approvals,
            by=team.principal("ada"),
        )
    assert refusal.value.field == f"approvals.{field}"


def test_a_promotion_carries_the_groups_of_its_policy(team: Cast) -> None:
    held = policy(team, 2, RISK, designated_reviewers=False)
    version = staged_version(team)
    frozen = snapshot(held)
    assert frozen["approvals"] == {"count": 2, "groups": [RISK], "designated_reviewers": False}
    for forged in ({"count": 2}, {**frozen["approvals"], "groups": [LEGAL]}, {"count": 2, "groups": [RISK]}):
        with pytest.raises(IntegrityError, match="does not carry"), transaction.atomic():
            Promotion.objects.create(
                version=version,
                target="production",
                policy=held,
                policy_snapshot={**frozen, "approvals": forged},
                requested_by=team.user("eve"),
                requested_at=timezone.now(),
                expires_at=timezone.now(),
            )


def test_groups_are_made_and_filled_by_the_namespaces_admin(cast: Cast) -> None:
    create_group(namespace=cast.namespace, name="risk", by=cast.principal("ada"))
    assert Event.objects.get(type="group.created", namespace=cast.namespace).after == {"group": "risk"}
    for name in ("risk", "viewer", "designated_reviewers"):
        with pytest.raises(NameTaken):
            create_group(namespace=cast.namespace, name=name, by=cast.principal("ada"))
    for name in ("", "Risk", "a b", "x" * 41, "risk\n"):
        with pytest.raises(InvalidInput):
            create_group(namespace=cast.namespace, name=name, by=cast.principal("ada"))
    for who in ("eve", "cora", "otto"):
        with pytest.raises(Forbidden):
            create_group(namespace=cast.namespace, name="mine", by=cast.principal(who))
    with pytest.raises(InvalidInput, match=r"Groups of .*: risk"):
        put(cast, "vera", "rsk")
    there = f"/api/v1/namespaces/{cast.namespace.name}"
    ada, mallory = cast.client("ada"), cast.user("mallory").username
    assert ada.post(f"{there}/groups", {"name": "legal"}).status_code == 201
    assert ada.post(f"{there}/members", {"user": mallory, "role": "risk"}).status_code == 201
    # Who is in a group reads, and no more.
    assert cast.client("mallory").get(f"{there}/groups").json()["results"] == [
        {"name": "legal", "people": []},
        {"name": "risk", "people": [mallory]},
    ]
    mine = [
        n for n in cast.client("mallory").get("/api/v1/whoami").json()["namespaces"] if n["roles"] == ["risk"]
    ]
    assert [n["permissions"] for n in mine] == [["journal.read", "namespace.read"]]
    assert ada.delete(f"{there}/members/{mallory}/risk").status_code == 204
    assert cast.client("mallory").get(f"{there}/groups").status_code == 404
    page = Client()
    page.force_login(cast.user("ada"))
    address = f"/admin/registry/namespace/{cast.namespace.pk}"
    assert page.post(f"{address}/new-group/", {"name": "safety"}).status_code == 302
    assert page.post(f"{address}/grant/", {"user": mallory, "role": "safety"}).status_code == 302
    assert "group safety" in page.get(f"{address}/change/").content.decode()


def test_it_is_said_over_rest_and_on_the_pages(team: Cast) -> None:
    policy(team, 2, RISK)
    promotion = promotion_at(team, "awaiting_approval")
    approve(team, promotion, "cora")
    shown = team.client("vera").get(f"/api/v1/promotions/{promotion.pk}").json()
    assert shown["approvals_wanted"] == {
        "given": 1,
        "asked": 2,
        "groups": [{"group": "risk", "count": 1}],
        "sentence": "1 of 2; still wanted: risk (1)",
    }
    for who, path, told in (
        ("vera", f"/promotions/{promotion.pk}", "1 of 2; still wanted: risk (1)"),
        ("olaf", f"/admin/desk/{promotion.pk}/", "With yours 2 of 2; still wanted: risk (1)."),
        ("rita", f"/admin/desk/{promotion.pk}/", "Approved, it is in production at once"),
    ):
        page = Client()
        page.force_login(team.user(who))
        assert told in page.get(path).content.decode(), who
    approve(team, promotion, "rita")
    done = team.client("vera").get(f"/api/v1/promotions/{promotion.pk}").json()
    assert [each["groups"] for each in done["approvals"]] == [[], ["risk"]]
    assert done["approvals_wanted"] is None


def test_the_policy_is_written_in_the_admin(team: Cast) -> None:
    row = policy(team, 1)
    page = Client()
    page.force_login(team.user("ada"))
    address = f"/admin/lifecycle/policy/{row.pk}/draft/"
    wrong = page.post(address, {**GATES, "approvals": 2, "groups": "risk: many"})
    assert "is not of the form" in wrong.content.decode()
    assert "risk has" not in wrong.content.decode()
    missing = page.post(address, {**GATES, "approvals": 2, "groups": "rsk: 1"})
    assert "has no group" in missing.content.decode()
    assert page.post(address, {**GATES, "approvals": 2, "groups": "risk: 1\n\nlegal"}).status_code == 302
    newest = Policy.objects.filter(namespace=team.namespace, target="production").latest("revision")
    assert newest.approvals == {"count": 2, "groups": [RISK, LEGAL]}
    assert "risk: 1" in page.get(f"/admin/lifecycle/policy/{newest.pk}/draft/").content.decode()
    assert "2, 1 of risk, 1 of legal" in page.get("/admin/lifecycle/policy/").content.decode()


def test_python_and_the_database_count_alike(team: Cast) -> None:
    """Forty draws of people in groups and of what is asked: the same answer by seating and by Hall's condition."""
    create_group(namespace=team.namespace, name="safety", by=team.principal("ada"))
    names = ["risk", "legal", "safety"]
    drawn = random.Random(7)
    people = [create_user(username=f"p{n}-{team.namespace.name}", by=SYSTEM) for n in range(6)]
    belongs = {person: drawn.sample(names, drawn.randint(0, 3)) for person in people}
    for person, groups in belongs.items():
        for group in groups:
            hold_role(team.namespace, person, group)
    condition = groups_wanted(
        "SELECT unnest(%s::uuid[]) AS by_id", snapshot="%s::jsonb", model="NULL::uuid", namespace="%s::uuid"
    )
    seen = set()
    for _ in range(40):
        some = drawn.sample(people, drawn.randint(0, 6))
        asked = {name: drawn.randint(1, 3) for name in drawn.sample(names, drawn.randint(1, 3))}
        standing = [Approver(frozenset(belongs[person]), decides=False) for person in some]
        listed = (
            '{"approvals": {"groups": ['
            + ", ".join(f'{{"group": "{name}", "count": {count}}}' for name, count in asked.items())
            + "]}}"
        )
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {condition}", [listed, [person.pk for person in some], team.namespace.pk])
            (found,) = cursor.fetchone()
        assert found == bool(_unfilled(standing, asked)), (belongs, some, asked)
        seen.add(found)
    assert seen == {True, False}
