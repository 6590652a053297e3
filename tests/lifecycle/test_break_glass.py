"""Breaking the glass: one operator, a reason, loudly, and a second person who reviews it; never below the floor."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from lifecycle.actions.freezes import set_freeze
from lifecycle.actions.glass import GlassHolds, NothingToReview, break_glass, review_glass
from lifecycle.actions.policies import publish_policy
from lifecycle.actions.promotions import OwnRequest, decide_promotion, request_promotion, roll_back
from lifecycle.actions.quarantine import quarantine_versions
from lifecycle.dossier.inbox import inbox
from lifecycle.glass import tell_overdue
from lifecycle.models import Approval, BreakGlass, GateResult, Policy, Promotion, State
from lifecycle.promotions import PromotionIsClosed, settle
from lifecycle.tasks.promotions import sweep_promotions
from registry.actions.people import create_user
from registry.actions.roles import create_group, grant_role
from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.models import SYSTEM, Artifact, Event, ScanReport
from tests.cast import Cast, hold_role
from tests.factories import evaluate, fresh, promotion_at, ready_version, simple_policy

WHY = "The scores are wrong in every branch since noon, and this mends it."


@pytest.fixture
def waiting(cast: Cast) -> Promotion:
    """Two approvals are asked, and production is frozen; olaf is another operator."""
    simple_policy(cast, "production", gates=[], approvals=2)
    promotion = promotion_at(cast, "awaiting_approval")
    cast.people["olaf"] = create_user(username=f"olaf-{cast.namespace.name}", by=SYSTEM)
    operator(cast, "olaf")
    set_freeze(
        namespace=cast.namespace,
        target="production",
        ends_at=timezone.now() + timedelta(hours=8),
        reason="Year's end.",
        by=cast.principal("ada"),
    )
    return promotion


def operator(cast: Cast, who: str) -> None:
    hold_role(cast.namespace, cast.user(who), "production_operator")


def broken(cast: Cast, promotion: Promotion, by: str = "cora", reason: str = WHY) -> Promotion:
    return break_glass(promotion=promotion, reason=reason, by=cast.principal(by))


def reviewed(cast: Cast, promotion: Promotion, by: str, verdict: str = "justified") -> BreakGlass:
    return review_glass(promotion=promotion, verdict=verdict, sentence="I saw it.", by=cast.principal(by))


def test_one_operator_in_spite_of_a_freeze_and_of_who_is_missing(cast: Cast, waiting: Promotion) -> None:
    done = broken(cast, waiting)

    assert done.state == State.APPLIED
    assert fresh(waiting.version).stage == "production"
    glass = BreakGlass.objects.get(promotion=waiting)
    assert glass.due_at - glass.at == timedelta(hours=24)
    assert glass.overrode["approvals"] == "0 of 2"
    assert "Year's end" in glass.overrode["freeze"]
    # Theirs is the one approval by somebody else.
    assert [approval.by for approval in waiting.approvals.all()] == [cast.user("cora")]
    told = Event.objects.filter(subject_id=waiting.pk).order_by("pk").values_list("type", "actor", "reason")
    assert list(told)[-2:] == [
        ("promotion.break_glass", cast.user("cora").pk, WHY),
        ("promotion.applied", cast.user("cora").pk, "better"),
    ]


def test_who_has_approved_already_breaks_it_too(cast: Cast, waiting: Promotion) -> None:
    decide_promotion(promotion=waiting, verdict="approve", by=cast.principal("cora"))
    assert broken(cast, waiting).state == State.APPLIED
    assert BreakGlass.objects.get(promotion=waiting).overrode["approvals"] == "1 of 2"


def test_a_group_that_is_missing_is_set_aside(cast: Cast) -> None:
    create_group(namespace=cast.namespace, name="risk", by=cast.principal("ada"))
    grant_role(namespace=cast.namespace, user=cast.user("vera"), role="risk", by=cast.principal("ada"))
    answer = cast.client("ada").post(
        f"/api/v1/namespaces/{cast.namespace.name}/policies",
        {
            "target": "production",
            "gates": [],
            "approvals": {"count": 1, "groups": [{"group": "risk", "count": 1}]},
        },
        format="json",
    )
    assert answer.status_code == 201, answer.content
    publish_policy(policy=Policy.objects.get(pk=answer.json()["id"]), by=cast.principal("cora"))
    promotion = promotion_at(cast, "awaiting_approval")
    # Who decides by the group alone is no operator.
    with pytest.raises(Forbidden, match=r"promotion\.decide"):
        broken(cast, promotion, "vera")
    assert broken(cast, promotion).state == State.APPLIED


def test_staging_that_waits_for_the_end_of_a_freeze(cast: Cast) -> None:
    set_freeze(
        namespace=cast.namespace,
        ends_at=timezone.now() + timedelta(hours=1),
        reason="Move.",
        by=cast.principal("ada"),
    )
    version = ready_version(cast)
    evaluate(cast, version, 0.9)
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))
    with pytest.raises(PromotionIsClosed, match="still being evaluated"):
        broken(cast, promotion)
    assert settle(promotion_id=promotion.pk).state == State.EVALUATING
    assert broken(cast, promotion).state == State.APPLIED
    assert fresh(version).stage == "staging"


@pytest.mark.parametrize(
    ("who", "refusal"),
    [
        ("eve", OwnRequest),
        ("ben", OwnRequest),
        ("ada", Forbidden),
        ("otto", Forbidden),
        ("mallory", NotVisible),
    ],
)
def test_the_floor_is_an_operator_who_is_somebody_else(
    cast: Cast, waiting: Promotion, who: str, refusal: type[Exception]
) -> None:
    if refusal is OwnRequest:
        operator(cast, who)
    with pytest.raises(refusal):
        broken(cast, waiting, who)
    now = timezone.now()
    with pytest.raises(IntegrityError, match="break"), transaction.atomic():
        BreakGlass.objects.create(
            promotion=waiting,
            reason=WHY,
            overrode={},
            by=cast.user(who),
            at=now,
            due_at=now + timedelta(hours=24),
        )
    assert fresh(waiting.version).stage == "staging"


def test_a_glass_by_hand_does_not_replace_the_approval(cast: Cast, waiting: Promotion) -> None:
    now = timezone.now()
    BreakGlass.objects.create(
        promotion=waiting,
        reason=WHY,
        overrode={},
        by=cast.user("cora"),
        at=now,
        due_at=now + timedelta(hours=24),
    )
    with pytest.raises(IntegrityError, match="0 of 1 approvals"), transaction.atomic():
        Promotion.objects.filter(pk=waiting.pk).update(state="applied")


def broken_by_hand(cast: Cast, promotion: Promotion, failed: str | None, told: str) -> None:
    """What the database says when a program breaks the glass, approves, and calls it applied."""
    now = timezone.now()
    with pytest.raises(IntegrityError, match=told), transaction.atomic():
        BreakGlass.objects.create(
            promotion=promotion,
            reason=WHY,
            overrode={},
            by=cast.user("cora"),
            at=now,
            due_at=now + timedelta(hours=24),
        )
        Approval.objects.create(
            promotion=promotion, by=cast.user("cora"), verdict="approve", binding=promotion.binding, at=now
        )
        if failed:
            GateResult.objects.create(
                promotion=promotion, key=failed, gate=failed, verdict="fail", sentence="no", at=now
            )
        Promotion.objects.filter(pk=promotion.pk).update(state="applied")


def test_never_in_spite_of_the_floor_below_it(cast: Cast, waiting: Promotion) -> None:
    """Gates that fail, a malicious file, quarantine, and what has changed since."""
    blob = Artifact.objects.get(manifest=waiting.version.manifest).blob
    ScanReport.objects.create(
        blob=blob,
        scanner="test",
        format="pickle",
        verdict="malicious",
        findings=[{"where": "", "what": "Calls os.system.", "name": "os.system", "verdict": "malicious"}],
    )
    with pytest.raises(GlassHolds, match="malicious file"):
        broken(cast, waiting)
    broken_by_hand(cast, waiting, None, "no glass is broken for a malicious file")
    for gate in ("integrity_verified", "lineage_complete"):
        broken_by_hand(cast, waiting, gate, f"gates are not passed: {gate}")
    quarantine_versions(versions=[waiting.version], reason="doubted", by=cast.principal("olaf"))
    with pytest.raises(PromotionIsClosed, match="quarantine"):
        broken(cast, waiting)
    assert not BreakGlass.objects.filter(promotion=waiting).exists()


def test_what_has_changed_is_void_and_no_glass_is_broken(cast: Cast, waiting: Promotion) -> None:
    simple_policy(cast, "production", gates=[], approvals=3)
    assert broken(cast, waiting).state == State.VOID
    assert not BreakGlass.objects.filter(promotion=waiting).exists()


def test_where_nothing_stands_in_the_way_it_is_approved(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    with pytest.raises(GlassHolds, match="approve it"):
        broken(cast, promotion)
    with pytest.raises(InvalidInput):
        broken(cast, promotion, reason=" ")
    operator(cast, "otto")
    first = promotion_at(cast, "applied", value=0.95).version
    promotion_at(cast, "applied", value=0.99)
    back = roll_back(model=first.model, reason="back", by=cast.principal("cora"))
    with pytest.raises(GlassHolds, match="rollback needs no glass"):
        broken(cast, back, "otto")


def test_a_second_person_reviews_it_once(cast: Cast, waiting: Promotion) -> None:
    broken(cast, waiting)
    for who, told in (("cora", "You broke the glass"), ("eve", "reviewed by"), ("vera", "reviewed by")):
        with pytest.raises(Forbidden, match=told):
            reviewed(cast, waiting, who)
    operator(cast, "eve")
    with pytest.raises(OwnRequest, match="asked for the promotion"):
        reviewed(cast, waiting, "eve")
    with pytest.raises(NotVisible):
        reviewed(cast, waiting, "mallory")
    for who in ("cora", "eve", "vera"):
        with pytest.raises(IntegrityError, match=r"second person|active person"), transaction.atomic():
            BreakGlass.objects.filter(promotion=waiting).update(
                verdict="justified", sentence="fine", reviewed_by=cast.user(who), reviewed_at=timezone.now()
            )
    with pytest.raises(InvalidInput):
        reviewed(cast, waiting, "otto", "fine")
    assert reviewed(cast, waiting, "otto", "not_justified").reviewed_by == cast.user("otto")
    event = Event.objects.get(type="promotion.reviewed", subject_id=waiting.pk)
    assert (event.actor, event.after) == (
        cast.user("otto"),
        {"version": waiting.version.reference, "verdict": "not_justified"},
    )
    with pytest.raises(NothingToReview, match="I saw it"):
        reviewed(cast, waiting, "olaf")
    with pytest.raises(IntegrityError, match="sealed"), transaction.atomic():
        BreakGlass.objects.filter(promotion=waiting).update(verdict="justified")
    assert fresh(waiting.version).stage == "production", "a review moves nothing"


def test_an_overdue_review_is_told_once_and_shown(
    cast: Cast, waiting: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(cast, waiting)
    late = timezone.now() + timedelta(hours=24, minutes=1)
    assert tell_overdue(timezone.now()) == 0
    assert tell_overdue(late) == 1
    assert tell_overdue(late) == 0
    event = Event.objects.get(type="promotion.review_overdue", subject_id=waiting.pk)
    assert WHY in event.reason
    for who, mine in (("olaf", True), ("otto", True), ("ada", True), ("cora", False), ("vera", False)):
        assert [(each.row.promotion_id, each.mine) for each in inbox(cast.principal(who)).reviews] == [
            (waiting.pk, mine)
        ], who
    assert inbox(cast.principal("mallory")).reviews == []
    seen: list[object] = []
    monkeypatch.setattr("lifecycle.glass.tell_overdue", seen.append)
    sweep_promotions()
    assert len(seen) == 1


def test_over_rest_and_on_the_pages(cast: Cast, waiting: Promotion) -> None:
    there = f"/api/v1/promotions/{waiting.pk}/break-glass"
    eve, cora, olaf = cast.client("eve"), cast.client("cora"), cast.client("olaf")
    assert eve.post(there, {"reason": WHY}).status_code == 403
    assert cast.client("vera").post(f"{there}/review", {"verdict": "justified", "sentence": "x"}).json()[
        "code"
    ] == ("nothing-to-review")
    desk, pages = Client(), Client()
    desk.force_login(cast.user("cora"))
    pages.force_login(cast.user("olaf"))
    asking = desk.get(f"/admin/lifecycle/promotion/{waiting.pk}/break-glass/").content.decode()
    assert "Approvals: 0 of 2." in asking
    assert "Production is frozen for" in asking
    assert "Break the glass" in desk.get(f"/admin/lifecycle/promotion/{waiting.pk}/change/").content.decode()
    shown = cora.post(there, {"reason": WHY}).json()
    assert (shown["state"], shown["break_glass"]["state"]) == ("applied", "waiting")
    listed = cast.client("vera").get("/api/v1/break-glass?state=waiting").json()["results"]
    assert [(row["promotion"], row["reason"]) for row in listed] == [(str(waiting.pk), WHY)]
    assert cast.client("mallory").get("/api/v1/break-glass").json()["results"] == []
    glass = BreakGlass.objects.get(promotion=waiting)
    review = f"/admin/lifecycle/breakglass/{glass.pk}/review/"
    assert f'href="{review}"' in pages.get("/admin/desk/").content.decode()
    assert f'href="{review}"' not in desk.get("/admin/desk/").content.decode()
    refused = desk.post(review, {"verdict": "justified", "reason": "mine"})
    assert "You broke the glass, so somebody else must review it." in refused.content.decode()
    assert "In spite of this" in pages.get(review).content.decode()
    assert pages.post(review, {"verdict": "justified", "reason": "I was called."}).status_code == 302
    for path in (f"/promotions/{waiting.pk}", f"/admin/desk/{waiting.pk}/"):
        text = pages.get(path).content.decode()
        assert "broke the glass" in text
        assert "I was called." in text
    again = olaf.post(f"{there}/review", {"verdict": "justified", "sentence": "Again."})
    assert (again.status_code, again.json()["code"]) == (409, "nothing-to-review")
    assert cast.client("vera").get("/api/v1/break-glass?state=reviewed").json()["results"][0]["verdict"] == (
        "justified"
    )
