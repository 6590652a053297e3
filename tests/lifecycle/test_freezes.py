"""Freeze windows: what is approved waits, is told so, and takes effect afterwards; going back is always possible."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from lifecycle.actions.freezes import FreezeIsOver, end_freeze, set_freeze
from lifecycle.actions.promotions import decide_promotion, move_version, request_promotion, roll_back
from lifecycle.freezes import approved_meanwhile
from lifecycle.models import FreezeWindow, Promotion, State
from lifecycle.promotions import Frozen, apply, settle
from lifecycle.tasks.promotions import evaluate_gates, sweep_promotions
from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.models import Event, Principal, StageChange
from tests.cast import Cast
from tests.factories import evaluate, fresh, promotion_at, ready_version, simple_policy

WHY = "Year's end."


def frozen(cast: Cast, target: str = "production", **more: Any) -> FreezeWindow:
    given = {
        "namespace": cast.namespace,
        "ends_at": timezone.now() + timedelta(hours=8),
        "reason": WHY,
        **more,
    }
    return set_freeze(target=target, by=cast.principal("ada"), **given)


def approved(cast: Cast, promotion: Promotion) -> Promotion:
    return decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("cora"))


def test_approved_it_waits_and_takes_effect_when_it_is_over(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = frozen(cast)
    promotion = promotion_at(cast, "awaiting_approval")
    assert approved(cast, promotion).state == State.AWAITING_APPROVAL
    assert settle(promotion_id=promotion.pk).state == State.AWAITING_APPROVAL
    with pytest.raises(Frozen) as refusal:
        apply(promotion_id=promotion.pk, by=cast.principal("cora"))
    assert refusal.value.sentence == (
        f"Production is frozen for {cast.namespace.name} until {window.ends_at:%Y-%m-%d %H:%M} UTC: Year's end."
    )
    with (
        pytest.raises(IntegrityError, match="production is frozen"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s", [promotion.pk])
    assert approved_meanwhile(timezone.now()) == []
    end_freeze(freeze=window, reason="done early", by=cast.principal("ada"))

    sent: list[str] = []

    def delay(*, promotion_id: str) -> None:
        sent.append(promotion_id)

    monkeypatch.setattr(evaluate_gates, "delay", delay)
    sweep_promotions()
    assert str(promotion.pk) in sent
    evaluate_gates(promotion_id=str(promotion.pk))

    assert fresh(promotion.version).stage == "production"
    promotion.refresh_from_db()
    assert promotion.state == State.APPLIED
    assert StageChange.objects.get(version=promotion.version, to_stage="production").by is None
    assert Event.objects.get(type="promotion.applied", subject_id=promotion.pk).actor_label == "assay"


def test_what_nobody_approves_waits_too(cast: Cast) -> None:
    window = frozen(cast, target="")
    version = ready_version(cast)
    evaluate(cast, version, 0.9)
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))
    assert settle(promotion_id=promotion.pk).state == State.EVALUATING
    end_freeze(freeze=window, reason="done", by=cast.principal("ada"))
    assert settle(promotion_id=promotion.pk).state == State.APPLIED


def test_what_changes_meanwhile_voids_it(cast: Cast) -> None:
    window = frozen(cast)
    promotion = promotion_at(cast, "awaiting_approval")
    approved(cast, promotion)
    evaluate(cast, promotion.version, 0.95)
    end_freeze(freeze=window, reason="done", by=cast.principal("ada"))
    assert settle(promotion_id=promotion.pk).state == State.VOID


def test_operators_go_back_and_suspend_at_any_time(cast: Cast) -> None:
    first = promotion_at(cast, "applied").version
    promotion_at(cast, "applied", value=0.95)
    frozen(cast, target="")
    back = roll_back(model=first.model, reason="errors since noon", by=cast.principal("cora"))
    assert settle(promotion_id=back.pk).state == State.APPLIED
    move_version(version=fresh(first), move="suspend", reason="biased", by=cast.principal("cora"))
    assert fresh(first).stage == "deprecated"


def test_it_covers_what_it_says(cast: Cast) -> None:
    simple_policy(cast, "production", gates=[])
    other = ready_version(cast, model="other").model
    frozen(cast, target="staging")
    frozen(cast, model=other)
    frozen(cast, starts_at=timezone.now() + timedelta(hours=1))
    set_freeze(
        namespace=cast.elsewhere,
        ends_at=timezone.now() + timedelta(hours=1),
        reason=WHY,
        by=cast.principal("mallory"),
    )
    end_freeze(freeze=frozen(cast), reason="a mistake", by=cast.principal("ada"))
    for window in FreezeWindow.objects.filter(namespace=cast.namespace, target="staging", ended_at=None):
        end_freeze(freeze=window, reason="to get there", by=cast.principal("ada"))
    assert approved(cast, promotion_at(cast, "awaiting_approval")).state == State.APPLIED


def test_everywhere_is_the_platforms(cast: Cast) -> None:
    for who in ("ada", "cora"):
        with pytest.raises(Forbidden, match="administrators"):
            set_freeze(
                namespace=None,
                ends_at=timezone.now() + timedelta(hours=1),
                reason=WHY,
                by=cast.principal(who),
            )
    root = cast.user("otto")
    root.is_superuser = True
    root.save(update_fields=["is_superuser"])
    promotion = promotion_at(cast, "awaiting_approval")
    answer = cast.client("otto").post(
        "/api/v1/freezes", {"ends_at": timezone.now() + timedelta(hours=1), "reason": WHY}, format="json"
    )
    assert answer.status_code == 201, answer.content
    assert approved(cast, promotion).state == State.AWAITING_APPROVAL
    # Those it stops see it; they do not end it.
    there = cast.client("cora").get("/api/v1/freezes?state=standing").json()["results"]
    assert [(each["about"], each["target"]) for each in there] == [("everywhere", None)]
    ending = f"/api/v1/freezes/{answer.json()['id']}/end"
    assert cast.client("ada").post(ending, {"reason": "no"}).status_code == 403
    assert cast.client("otto").post(ending, {"reason": "over"}).json()["state"] == "over"
    assert settle(promotion_id=promotion.pk).state == State.APPLIED


def test_who_edits_policies_sets_it_and_operators_do_not(cast: Cast) -> None:
    window = frozen(cast)
    for who, refusal in (("cora", Forbidden), ("eve", Forbidden), ("mallory", NotVisible)):
        with pytest.raises(refusal):
            end_freeze(freeze=window, reason="now", by=cast.principal(who))
        with pytest.raises(refusal):
            set_freeze(namespace=cast.namespace, ends_at=window.ends_at, reason=WHY, by=cast.principal(who))
    end_freeze(freeze=window, reason="enough", by=cast.principal("ada"))
    with pytest.raises(FreezeIsOver):
        end_freeze(freeze=window, reason="again", by=cast.principal("ada"))
    told = Event.objects.filter(namespace=cast.namespace, type__startswith="freeze.").order_by("pk")
    assert [(event.type, event.reason) for event in told] == [("freeze.set", WHY), ("freeze.ended", "enough")]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 4001}, "reason"),
        ({"ends_at": timezone.now() - timedelta(hours=1)}, "ends_at"),
        ({"ends_at": timezone.now() + timedelta(days=400)}, "ends_at"),
        ({"starts_at": timezone.now() + timedelta(hours=9)}, "ends_at"),
        ({"ends_at": datetime.max.replace(tzinfo=UTC)}, "ends_at"),
        ({"target": "archived"}, "target"),
    ],
)
def test_what_is_wrong_is_pointed_at(cast: Cast, more: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        frozen(cast, **more)
    assert refusal.value.field == field


def test_a_freeze_at_the_end_of_time_is_kept_or_refused(cast: Cast) -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert frozen(cast, starts_at=last - timedelta(days=30), ends_at=last).ends_at == last


def test_it_is_told_over_rest_and_on_the_pages(cast: Cast) -> None:
    there = f"/api/v1/namespaces/{cast.namespace.name}/freezes"
    ends = timezone.now() + timedelta(hours=8)
    promotion = promotion_at(cast, "awaiting_approval")
    body = {"ends_at": ends, "reason": WHY, "model": "scorer", "target": "production"}
    made = cast.client("ada").post(there, body, format="json")
    assert made.status_code == 201, made.content
    assert (
        cast.client("vera").get(f"{there}?state=standing").json()["results"][0]["about"].endswith("/scorer")
    )
    shown = cast.client("cora").post(f"/api/v1/promotions/{promotion.pk}/approve", {}).json()
    assert shown["state"] == "awaiting_approval"
    assert shown["held"]["freeze"] == made.json()["id"]
    told = f"Production is frozen for {promotion.version.model} until {ends:%Y-%m-%d %H:%M} UTC: Year's end."
    assert shown["held"]["sentence"] == f"{told} What is approved takes effect then."
    page = Client()
    page.force_login(cast.user("vera"))
    for path in (f"/promotions/{promotion.pk}", f"/admin/desk/{promotion.pk}/"):
        assert told.replace("'", "&#x27;") in page.get(path).content.decode()
    assert "<b>Frozen</b>" in page.get("/admin/desk/").content.decode()


def test_it_is_set_and_ended_in_the_admin(cast: Cast) -> None:
    ada, cora = Client(), Client()
    ada.force_login(cast.user("ada"))
    cora.force_login(cast.user("cora"))
    ends = timezone.now() + timedelta(days=2)
    sent = {
        "about": cast.namespace.name,
        "target": "production",
        "ends_at_0": f"{ends:%Y-%m-%d}",
        "ends_at_1": f"{ends:%H:%M:%S}",
        "reason": WHY,
    }
    address = "/admin/lifecycle/freezewindow"
    assert cora.post(f"{address}/freeze/", sent).status_code == 403
    assert "everywhere" not in ada.get(f"{address}/freeze/").content.decode()
    assert ada.post(f"{address}/freeze/", sent).status_code == 302
    window = FreezeWindow.objects.get(namespace=cast.namespace)
    assert (window.target, window.ends_at) == ("production", ends.replace(microsecond=0))
    assert "Year&#x27;s end." in cora.get(f"{address}/").content.decode()
    assert cora.post(f"{address}/{window.pk}/end/", {"reason": "now"}).status_code == 403
    assert ada.post(f"{address}/{window.pk}/end/", {"reason": "now"}).status_code == 302
    window.refresh_from_db()
    assert window.ended_reason == "now"
    assert Principal(user=window.ended_by).label == cast.user("ada").username
