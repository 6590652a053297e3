"""Legal holds: one person places, two lift; nothing of what is held goes; seen wherever the version is."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from lifecycle import retention, tiers
from lifecycle.actions.deletion import VersionInUse, delete_version
from lifecycle.actions.holds import HoldIsLifted, LiftOpen, NoLiftAsked, ask_lift, place_hold
from lifecycle.actions.promotions import AlreadyDecided, OwnRequest, move_version
from lifecycle.actions.retention import edit_retention, run_retention
from lifecycle.audit.export import export_version
from lifecycle.audit.page import page_of
from lifecycle.models import HoldDecision, HoldLift, LegalHold, TierMove
from registry.actions.people import create_user
from registry.actions.roles import grant_role
from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.http.problems import constraint_name
from registry.models import SYSTEM, Event, ModelVersion
from registry.references import VersionDeleted
from tests.cast import Cast
from tests.factories import fresh, ready_version
from tests.lifecycle.holding import CASE, SETTLED, asked, decided, held, lifted
from tests.lifecycle.test_deletion import both_at_once
from tests.registry.artifacts.sending import again, events, published

pytestmark = pytest.mark.django_db


def told(cast: Cast) -> list[tuple[str, str, str]]:
    """Who did what to holds and why, in order."""
    rows = Event.objects.filter(namespace=cast.namespace, type__startswith="hold.").order_by("pk")
    return [(event.type, event.actor_label.partition("-")[0], event.reason) for event in rows]


# ---- what it does


def test_it_works(cast: Cast) -> None:
    version = ready_version(cast)
    hold = held(cast, version)
    with pytest.raises(VersionInUse) as refusal:
        delete_version(version=version, reason="old", by=cast.principal("eve"))
    (reason,) = refusal.value.reasons
    assert reason.startswith(f"It is under a legal hold since {hold.placed_at:%Y-%m-%d} (ada-")
    assert reason.endswith(f"): Case 12. Two people can lift that (assay hold lift {hold.pk}).")
    asked(cast, hold)
    with pytest.raises(VersionInUse):
        delete_version(version=version, reason="asked for is not lifted", by=cast.principal("eve"))
    decided(cast, hold)
    assert delete_version(version=version, reason="old", by=cast.principal("eve")).status == "deleted"
    assert told(cast) == [
        ("hold.placed", "ada", CASE),
        ("hold.lift_asked", "ada", SETTLED),
        ("hold.lifted", "cora", "Seen."),
    ]
    event = Event.objects.get(namespace=cast.namespace, type="hold.lifted")
    assert event.subject_label == version.reference
    assert (event.after or {})["why"] == CASE
    assert (event.after or {})["why_lift"] == SETTLED
    assert (event.after or {})["asked_by"] == cast.user("ada").username


def test_refused_it_stands_and_can_be_asked_again(cast: Cast) -> None:
    hold = held(cast, ready_version(cast))
    asked(cast, hold)
    decided(cast, hold, "refuse")
    hold.refresh_from_db()
    assert hold.lifted_at is None
    with pytest.raises(NoLiftAsked):
        decided(cast, hold)
    lifted(cast, hold)
    hold.refresh_from_db()
    assert hold.lifted_by == cast.user("cora")
    assert [kind for kind, _, _ in told(cast)] == [
        "hold.placed", "hold.lift_asked", "hold.lift_refused", "hold.lift_asked", "hold.lifted",
    ]  # fmt: skip


def test_each_case_is_a_hold_of_its_own(cast: Cast) -> None:
    version = ready_version(cast)
    first, second = held(cast, version), held(cast, version, "Case 13.")
    lifted(cast, first)
    with pytest.raises(VersionInUse, match="this stands against it"):
        delete_version(version=version, reason="old", by=cast.principal("eve"))
    lifted(cast, second)
    delete_version(version=version, reason="old", by=cast.principal("eve"))


def test_nothing_is_held_that_was_deleted(cast: Cast) -> None:
    version = ready_version(cast)
    delete_version(version=version, reason="Obsolete.", by=cast.principal("eve"))
    with pytest.raises(VersionDeleted, match=r"Obsolete\. A hold is placed on a version that is kept"):
        held(cast, version)
    assert told(cast) == []


# ---- who, and what is asked of them


def test_admins_place_and_ask_and_somebody_else_decides(cast: Cast) -> None:
    version = ready_version(cast)
    for who in ("ben", "eve", "cora", "otto", "vera", "ci"):
        with pytest.raises(Forbidden):
            held(cast, version, by=who)
    hold = held(cast, version)
    for who in ("ben", "eve", "cora", "otto", "vera", "ci"):
        with pytest.raises(Forbidden):
            asked(cast, hold, by=who)
    asked(cast, hold)
    for who, verdict in [
        (who, v) for who in ("ben", "eve", "otto", "vera", "ci") for v in ("grant", "refuse")
    ]:
        with pytest.raises(Forbidden):
            decided(cast, hold, verdict, by=who)
    with pytest.raises(OwnRequest, match="somebody else must decide"):
        decided(cast, hold, by="ada")
    with pytest.raises(LiftOpen):
        asked(cast, hold)
    decided(cast, hold)
    with pytest.raises(AlreadyDecided, match="lifted this hold"):
        decided(cast, hold, "refuse")
    with pytest.raises(HoldIsLifted):
        asked(cast, hold)


def test_the_stranger_finds_none(cast: Cast) -> None:
    hold = held(cast, ready_version(cast))
    asked(cast, hold)
    for attempt in (
        lambda: held(cast, hold.version, by="mallory"),
        lambda: asked(cast, hold, by="mallory"),
        lambda: decided(cast, hold, by="mallory"),
    ):
        with pytest.raises(NotVisible):
            attempt()
    assert cast.client("mallory").get("/api/v1/holds").json()["results"] == []
    assert cast.client("mallory").post(f"/api/v1/holds/{hold.pk}/grant", {"reason": "x"}).status_code == 404


def test_accounts_are_no_people_nor_anybody_else(cast: Cast) -> None:
    """A service account neither places nor lifts; who answers for the asker, as an older row may have it, is them."""
    grant_role(namespace=cast.namespace, user=cast.user("ci"), role="namespace_admin", by=SYSTEM)
    version = ready_version(cast)
    with pytest.raises(Forbidden, match="placed by people"):
        held(cast, version, by="ci")
    hold = held(cast, version)
    with pytest.raises(Forbidden, match="lifted by people"):
        asked(cast, hold, by="ci")
    HoldLift.objects.create(hold=hold, reason=SETTLED, by=cast.user("ci"), at=timezone.now())
    with pytest.raises(OwnRequest):
        decided(cast, hold, by="ada")
    decided(cast, hold)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 4001])
def test_each_step_says_why(cast: Cast, reason: str) -> None:
    version = ready_version(cast)
    hold = held(cast, version)
    asked(cast, hold)
    with pytest.raises(InvalidInput) as refusal:
        place_hold(version=version, reason=reason, by=cast.principal("ada"))
    assert refusal.value.field == "reason"
    with pytest.raises(InvalidInput):
        ask_lift(hold=hold, reason=reason, by=cast.principal("ada"))
    answer = cast.client("cora").post(f"/api/v1/holds/{hold.pk}/grant", {"reason": reason})
    assert answer.status_code == 422


# ---- the database's own line


def refused(constraint: str, act: Any) -> None:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        act()
    assert constraint_name(caught.value) == constraint


def test_the_database_lifts_nothing_without_a_second_person(cast: Cast) -> None:
    ada, cora, now = cast.user("ada"), cast.user("cora"), timezone.now()
    version = ready_version(cast)
    hold = held(cast, version)
    row = LegalHold.objects.filter(pk=hold.pk)

    def grant(lift: HoldLift, by: Any, verdict: str = "grant") -> HoldDecision:
        return HoldDecision.objects.create(lift=lift, verdict=verdict, reason="x", by=by, at=now)

    refused("hold_not_lifted", lambda: row.update(lifted_by=cora, lifted_at=now))
    born = {"version": version, "reason": "x", "placed_by": ada, "lifted_by": cora, "lifted_at": now}
    refused("hold_not_lifted", lambda: LegalHold.objects.create(**born))
    lift = asked(cast, hold)
    refused("hold_not_lifted", lambda: row.update(lifted_by=cora, lifted_at=now))
    twice = {"hold": hold, "reason": "x", "by": ada, "at": now}
    refused("one_lift_at_a_time", lambda: HoldLift.objects.create(**twice))
    refused("own_lift", lambda: grant(lift, ada))
    refused("not_a_decider", lambda: grant(lift, cast.user("eve")))
    grant(lift, cora, "refuse")
    refused("hold_not_lifted", lambda: row.update(lifted_by=cora, lifted_at=now))
    lift = asked(cast, hold)
    grant(lift, cora)
    refused("hold_not_lifted", lambda: row.update(lifted_by=ada, lifted_at=now))
    row.update(lifted_by=cora, lifted_at=now)
    refused("sealed", lambda: row.update(lifted_by=None, lifted_at=None))
    refused("never_deleted", lambda: row._raw_delete("default"))
    refused("hold_lifted", lambda: HoldLift.objects.create(**twice))


def test_the_database_knows_who_answers_for_whom(cast: Cast) -> None:
    """The asker's service account, and the person who answers for an account that asked, are not somebody else."""
    hold = held(cast, ready_version(cast))
    dora = create_user(username=f"dora-{cast.namespace.name}", by=SYSTEM)
    robot = create_user(username=f"robot-{cast.namespace.name}", owner=dora, by=SYSTEM)
    grant_role(namespace=cast.namespace, user=dora, role="namespace_admin", by=SYSTEM)
    now = timezone.now()
    lift = HoldLift.objects.create(hold=hold, reason="x", by=robot, at=now)
    refused(
        "own_lift",
        lambda: HoldDecision.objects.create(lift=lift, verdict="grant", reason="x", by=dora, at=now),
    )
    HoldDecision.objects.create(lift=lift, verdict="grant", reason="x", by=cast.user("ada"), at=now)


# ---- at the same moment


@pytest.mark.django_db(transaction=True)
def test_of_a_hold_and_a_move_to_the_cold_the_second_sees_the_first(cast: Cast) -> None:
    """Placed while the bytes are on the way, they stay at hand; moved first, they were not held when they went."""
    ada = cast.principal("ada")
    edit_retention(namespace=cast.namespace, after_days=0, keep_former=2, enabled=True, by=ada)
    moving: list[tuple[ModelVersion, TierMove]] = []
    for n in range(4):
        version = published(cast, {"model.bin": os.urandom(500)}, model=f"model-{n}")
        for move in ("deprecate", "archive"):
            move_version(version=version, move=move, reason="no longer used", by=cast.principal("eve"))
        run_retention(namespace=cast.namespace, by=ada)
        moving.append((again(version), TierMove.objects.get(version=version)))
    version, first = moving.pop()
    held(cast, version)
    tiers.move(first.pk)
    first.refresh_from_db()
    assert (first.state, first.error) == ("failed", "its bytes are needed at hand again")
    for version, row in moving:
        both_at_once(lambda v=version: held(cast, v), lambda m=row: tiers.move(m.pk))
        row.refresh_from_db()
        cooled = [event.pk for event in events(cast, "version.cooled") if event.subject_id == str(version.pk)]
        placed = Event.objects.get(type="hold.placed", subject_id=str(version.pk))
        assert row.state == ("failed" if not cooled else "moved")
        assert all(pk < placed.pk for pk in cooled), "held bytes were put away"
    assert retention.plan(retention.policy_of(cast.namespace)) == []


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_one_is_heard(cast: Cast) -> None:
    for _ in range(3):
        hold = held(cast, ready_version(cast))
        asked(cast, hold)
        results = both_at_once(lambda h=hold: decided(cast, h), lambda h=hold: decided(cast, h, "refuse"))
        assert sorted(results) == ["done", "refused"]
        hold.refresh_from_db()
        assert (hold.lifted_at is not None) == (results[0] == "done")
        assert HoldDecision.objects.filter(lift__hold=hold).count() == 1


# ---- where it is seen


def test_over_rest(cast: Cast) -> None:
    version = ready_version(cast)
    there = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/{version.number}"
    ada, cora, vera = (cast.client(name) for name in ("ada", "cora", "vera"))
    made = ada.post(f"{there}/holds", {"reason": CASE})
    assert (made.status_code, made.json()["state"]) == (201, "standing")
    at = f"/api/v1/holds/{made.json()['id']}"
    assert [hold["reason"] for hold in vera.get(there).json()["holds"]] == [CASE]
    missing = cora.post(f"{at}/grant", {"reason": "x"})
    assert (missing.status_code, missing.json()["code"]) == (409, "no-lift-asked")
    assert ada.post(f"{at}/lift", {"reason": SETTLED}).json()["state"] == "lift_asked"
    own = ada.post(f"{at}/grant", {"reason": "x"})
    assert (own.status_code, own.json()["code"]) == (403, "own-request")
    named = f"/api/v1/holds?namespace={cast.namespace.name}"
    for state, count in (("standing", 1), ("lift_asked", 1), ("lifted", 0)):
        assert len(vera.get(f"{named}&state={state}").json()["results"]) == count, state
    assert vera.get(f"{named}&state=gone").status_code == 422
    done = cora.post(f"{at}/grant", {"reason": "Seen."}).json()
    assert (done["state"], done["lifted_by"]) == ("lifted", cast.user("cora").username)
    (lift,) = done["lifts"]
    assert (lift["reason"], lift["verdict"], lift["decided_reason"]) == (SETTLED, "grant", "Seen.")
    assert vera.get(there).json()["holds"] == []
    assert len(vera.get(f"{there}/holds?state=lifted").json()["results"]) == 1


def signed_in(cast: Cast, name: str) -> Client:
    client = Client()
    client.force_login(cast.user(name))
    return client


def shown(client: Client, path: str) -> str:
    return str(client.get(path, follow=True).content.decode())


def test_in_the_admin_from_placing_to_lifting(cast: Cast) -> None:
    version = ready_version(cast)
    ada, cora, vera = (signed_in(cast, name) for name in ("ada", "cora", "vera"))
    page, there = "/admin/lifecycle/legalhold", f"/admin/registry/modelversion/{version.pk}"
    assert vera.post(f"{there}/place-hold/", {"reason": CASE}).status_code == 403
    assert "Nobody can delete the version" in shown(ada, f"{there}/place-hold/")
    assert ada.post(f"{there}/place-hold/", {"reason": CASE}).status_code == 302
    assert (
        "There is no"
        in ada.post(f"{page}/place/", {"version": "no/thing:1", "reason": CASE}).content.decode()
    )
    assert ada.post(f"{page}/place/", {"version": version.reference, "reason": "Case 13."}).status_code == 302
    hold = LegalHold.objects.get(version=version, reason=CASE)
    assert "legal hold" in shown(vera, f"{there}/change/")
    for client, button, offered in (
        (ada, "ask-lift", True),
        (cora, "ask-lift", False),
        (cora, "grant", False),
    ):
        assert (f"{hold.pk}/{button}/" in shown(client, f"{page}/{hold.pk}/change/")) == offered
    assert ada.post(f"{page}/{hold.pk}/ask-lift/", {"reason": SETTLED}).status_code == 302
    for client, button, offered in ((ada, "ask-lift", False), (ada, "grant", False), (cora, "grant", True)):
        assert (f"{hold.pk}/{button}/" in shown(client, f"{page}/{hold.pk}/change/")) == offered
    own = ada.post(f"{page}/{hold.pk}/grant/", {"reason": "mine"})
    assert "somebody else must decide" in own.content.decode()
    desk = "/admin/desk/"
    assert SETTLED in shown(cora, desk)
    assert "Waits for others" in shown(ada, desk)
    asking = shown(cora, f"{page}/{hold.pk}/grant/")
    assert f"asks that it be lifted: {SETTLED}" in asking
    assert "1 other hold of this version stands, which go on keeping it." in asking
    assert cora.post(f"{page}/{hold.pk}/grant/", {"reason": "Seen."}).status_code == 302
    assert SETTLED not in shown(cora, desk)
    listed = {state: shown(vera, f"{page}/?state={state}") for state in ("standing", "lift_asked", "lifted")}
    assert [CASE in listed["lifted"], "Case 13." in listed["lifted"]] == [True, False]
    assert [CASE in listed["standing"], "Case 13." in listed["standing"]] == [False, True]
    assert "Case 13." not in listed["lift_asked"]


def test_on_the_version_page_and_in_the_evidence(cast: Cast) -> None:
    version = ready_version(cast)
    hold = held(cast, version)
    asked(cast, hold)
    path = reverse("version-page", args=[cast.namespace.name, "scorer", version.number])
    text = shown(signed_in(cast, "vera"), path)
    assert "It is under a legal hold since" in text
    assert "asks for it" in text
    decided(cast, hold)
    document = export_version(version=fresh(version), by=cast.principal("otto"))
    (told_of,) = document["versions"][0]["holds"]
    assert (told_of["reason"], told_of["lifts"][0]["verdict"]) == (CASE, "grant")
    kinds = [event["type"] for event in document["journal"]["events"]]
    assert [kind for kind in kinds if kind.startswith("hold.")] == [
        "hold.placed", "hold.lift_asked", "hold.lifted",
    ]  # fmt: skip
    html = page_of(document)
    assert "What it had to be kept for" in html
    assert CASE in html
