"""Quarantine: doubted versions enter no stage in which they are used, by any way, until somebody else lifts it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client, override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from lifecycle import promotions
from lifecycle.actions.promotions import (
    NoRollbackTarget,
    decide_promotion,
    request_promotion,
    roll_back,
)
from lifecycle.actions.quarantine import (
    NotQuarantined,
    OwnQuarantine,
    lift_quarantine,
    quarantine_affected,
    quarantine_versions,
)
from lifecycle.models import OPEN, Approval, GateResult, Promotion, Quarantine, QuarantineLift, State
from lifecycle.promotions import PromotionIsClosed, settle
from lifecycle.quarantine import UnderQuarantine
from lineage.impact import Question
from registry.actions.people import create_user
from registry.actions.roles import grant_role
from registry.actions.webhooks import create_webhook
from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.journal.webhooks import plan_deliveries
from registry.models import SYSTEM, Delivery, Event, ModelVersion, Principal
from tests.cast import Cast, hold_role
from tests.factories import TRAINING, fresh, promotion_at, ready_version, staged_version
from tests.lineage.scenes import a_run, a_version, digest_of, read

WHY = "the labels of March were shifted by a row"


def place(cast: Cast, *versions: ModelVersion, reason: str = WHY, by: str = "cora") -> Any:
    return quarantine_versions(versions=versions, reason=reason, by=cast.principal(by))


@pytest.fixture
def dora(cast: Cast) -> Principal:
    """Another production operator."""
    user = create_user(username=f"dora-{cast.namespace.name}", by=SYSTEM)
    hold_role(cast.namespace, user, "production_operator")
    return Principal(user=user)


def events(version: ModelVersion, type_: str) -> list[Event]:
    return list(Event.objects.filter(subject_id=str(version.pk), type=type_).order_by("pk"))


# ---- placing


def test_it_works(cast: Cast) -> None:
    version = staged_version(cast)
    done = place(cast, version)
    row = Quarantine.objects.get(version=version)
    assert (row.reason, row.by, done.quarantines) == (WHY, cast.user("cora"), [row])
    (event,) = events(version, "version.quarantined")
    assert (event.reason, event.actor) == (WHY, cast.user("cora"))
    assert (event.after or {})["in_production"] is False
    assert fresh(version).stage == "staging"


@pytest.mark.parametrize("who", ["ada", "ben", "eve", "otto", "vera", "ci"])
def test_production_operators_may(cast: Cast, who: str) -> None:
    version = ready_version(cast)
    with pytest.raises(Forbidden):
        place(cast, version, by=who)
    with pytest.raises(Forbidden):
        lift_quarantine(versions=[version], reason=WHY, by=cast.principal(who))
    assert not Quarantine.objects.exists()


def test_the_stranger_may_not(cast: Cast) -> None:
    with pytest.raises(NotVisible):
        place(cast, ready_version(cast), by="mallory")


def test_all_of_them_or_none(cast: Cast) -> None:
    """One of another namespace, which cora may only look at."""
    grant_role(namespace=cast.elsewhere, user=cast.user("cora"), role="viewer", by=SYSTEM)
    theirs = a_version(cast, by="mallory", elsewhere=True)
    with pytest.raises(Forbidden):
        place(cast, ready_version(cast), theirs)
    assert not Quarantine.objects.exists()


def test_a_reason_is_needed(cast: Cast) -> None:
    for reason in ("", "  ", "x" * 4001):
        with pytest.raises(InvalidInput):
            place(cast, ready_version(cast), reason=reason)


def test_doubting_again_for_the_same_reason_changes_nothing(cast: Cast) -> None:
    version = ready_version(cast)
    place(cast, version)
    again = place(cast, version)
    assert ([row.pk for row in again.already], again.quarantines) == ([version.pk], [])
    place(cast, version, reason="and its licence")
    assert Quarantine.objects.filter(version=version).count() == 2
    assert len(events(version, "version.quarantined")) == 2


# ---- what is in production stays there, and is told


def test_what_is_in_production_stays_and_is_named(cast: Cast) -> None:
    used = promotion_at(cast, "applied").version
    other = ready_version(cast, model="other")
    done = place(cast, used, other)
    assert fresh(used).stage == "production"
    assert [row.pk for row in done.in_production] == [used.pk]
    for version in (used, other):
        (event,) = events(version, "version.quarantined")
        assert (event.after or {})["in_production_now"] == [used.reference]
    assert (events(used, "version.quarantined")[0].after or {})["in_production"] is True


def test_webhooks_hear_of_it(cast: Cast) -> None:
    with override_settings(WEBHOOK_HOSTS=["127.0.0.1:9"]):
        webhook, _ = create_webhook(
            namespace=cast.namespace, name="ops", url="http://127.0.0.1:9/hook",
            events=["version.quarantined", "version.quarantine_lifted"], by=cast.principal("ada"),
        )  # fmt: skip
    version = ready_version(cast)
    place(cast, version)
    (event,) = events(version, "version.quarantined")
    plan_deliveries(event)
    assert Delivery.objects.filter(webhook=webhook, event=event).exists()


# ---- no way into staging or production


def test_a_promotion_cannot_be_asked_for(cast: Cast) -> None:
    for version, target in ((ready_version(cast), "staging"), (staged_version(cast), "production")):
        place(cast, version)
        with pytest.raises(UnderQuarantine) as refused:
            request_promotion(version=version, target=target, by=cast.principal("eve"))
        assert WHY in refused.value.sentence


def test_open_promotions_become_void_and_cannot_be_decided(cast: Cast) -> None:
    waiting = promotion_at(cast, "awaiting_approval")
    asked = request_promotion(
        version=ready_version(cast, model="other"), target="staging", by=cast.principal("eve")
    )
    done = place(cast, waiting.version, asked.version)
    assert {row.pk for row in done.voided} == {waiting.pk, asked.pk}
    for promotion in (waiting, asked):
        promotion.refresh_from_db()
        assert promotion.state == State.VOID
        assert WHY in promotion.outcome
        assert settle(promotion_id=promotion.pk).state == State.VOID
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: decide_promotion(promotion=waiting, verdict="approve", by=cast.principal("cora")),
        lambda: promotions.apply(promotion_id=waiting.pk, by=cast.principal("cora")),
    )
    for attempt in attempts:
        with pytest.raises(PromotionIsClosed) as refused:
            attempt()
        assert WHY in refused.value.sentence
    assert fresh(waiting.version).stage == "staging"


def raw(version: ModelVersion) -> None:
    """Doubted past the action, so that the promotions stay open."""
    Quarantine.objects.create(version=version, reason=WHY, by=version.created_by, at=timezone.now())


def test_gates_decision_and_application_look_for_themselves(cast: Cast) -> None:
    asked = request_promotion(version=ready_version(cast), target="staging", by=cast.principal("eve"))
    raw(asked.version)
    assert WHY in settle(promotion_id=asked.pk).outcome
    for attempt in ("decide", "apply", "settle"):
        waiting = promotion_at(
            cast, "awaiting_approval", version=staged_version(cast, model=f"for-{attempt}")
        )
        raw(waiting.version)
        match attempt:
            case "decide":
                ended = decide_promotion(promotion=waiting, verdict="approve", by=cast.principal("cora"))
            case "apply":
                ended = promotions.apply(promotion_id=waiting.pk, by=cast.principal("cora"))
            case _:
                ended = settle(promotion_id=waiting.pk)
        assert (ended.state, fresh(waiting.version).stage) == (State.VOID, "staging")
        assert WHY in ended.outcome
        assert not Approval.objects.filter(promotion=waiting).exists()


def test_one_does_not_roll_back_to_it(cast: Cast) -> None:
    first = promotion_at(cast, "applied").version
    for value in (0.92, 0.94):
        promotion_at(cast, "applied", version=staged_version(cast, value), value=value)
    second = ModelVersion.objects.get(model=first.model, number=2)
    place(cast, second)
    with pytest.raises(UnderQuarantine) as refused:
        roll_back(model=first.model, to=2, reason="worse", by=cast.principal("cora"))
    assert WHY in refused.value.sentence
    # Without a number it is the one before, which is not doubted.
    promotion = roll_back(model=first.model, reason="worse", by=cast.principal("cora"))
    assert promotion.version_id == first.pk
    place(cast, first)
    promotion.refresh_from_db()
    assert promotion.state == State.VOID
    with pytest.raises(NoRollbackTarget):
        roll_back(model=first.model, reason="worse", by=cast.principal("cora"))


def test_the_database_refuses_too(cast: Cast) -> None:
    """A promotion with all its gates and approvals, forged to be applied, and the stage itself."""
    waiting = promotion_at(cast, "awaiting_approval")
    version = waiting.version
    Approval.objects.create(
        promotion=waiting, by=cast.user("cora"), verdict="approve", binding=waiting.binding, at=timezone.now()
    )
    with transaction.atomic():
        apply_raw(waiting)
        assert stage_raw(version) == 1
        transaction.set_rollback(True)
    raw(version)
    with pytest.raises(IntegrityError, match="under quarantine"), transaction.atomic():
        apply_raw(waiting)
    # Doubted after the promotion was applied, within its transaction.
    lifted = staged_version(cast, model="other")
    other = promotion_at(cast, "awaiting_approval", version=lifted)
    Approval.objects.create(
        promotion=other, by=cast.user("cora"), verdict="approve", binding=other.binding, at=timezone.now()
    )
    with pytest.raises(IntegrityError, match="under quarantine"), transaction.atomic():
        apply_raw(other)
        raw(lifted)
        stage_raw(lifted)
    assert GateResult.objects.filter(promotion=other).exists()


def apply_raw(promotion: Promotion) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE lifecycle_promotion SET state = 'applied' WHERE id = %s", [promotion.pk])
        assert cursor.rowcount == 1


def stage_raw(version: ModelVersion) -> int:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE registry_modelversion SET stage = 'production' WHERE id = %s", [version.pk])
        return int(cursor.rowcount)


# ---- lifting


def test_somebody_else_lifts_it(cast: Cast, dora: Principal) -> None:
    version = staged_version(cast)
    place(cast, version)
    with pytest.raises(OwnQuarantine):
        lift_quarantine(versions=[version], reason="fine", by=cast.principal("cora"))
    (lift,) = lift_quarantine(versions=[version], reason="the labels were right", by=dora)
    assert (lift.quarantine.version_id, lift.by) == (version.pk, dora.user)
    (event,) = events(version, "version.quarantine_lifted")
    assert (event.reason, event.before) == ("the labels were right", {"quarantined_for": [WHY]})
    assert request_promotion(version=version, target="production", by=cast.principal("eve")).state in OPEN
    with pytest.raises(NotQuarantined):
        lift_quarantine(versions=[version], reason="again", by=dora)


def test_an_account_of_ones_own_does_not_lift_it(cast: Cast) -> None:
    """ci is a service account that ada answers for; both are made operators."""
    version = ready_version(cast)
    for name in ("ada", "ci"):
        hold_role(cast.namespace, cast.user(name), "production_operator")
    place(cast, version, by="ci")
    with pytest.raises(OwnQuarantine):
        lift_quarantine(versions=[version], reason="fine", by=cast.principal("ada"))
    with pytest.raises(Forbidden):
        lift_quarantine(versions=[version], reason="fine", by=cast.principal("ci"))


@pytest.mark.parametrize("who", ["cora", "eve", "ci", "mallory"])
def test_the_database_refuses_who_may_not_lift(cast: Cast, who: str) -> None:
    place(cast, ready_version(cast))
    row = Quarantine.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        QuarantineLift.objects.create(quarantine=row, reason="fine", by=cast.user(who), at=timezone.now())


# ---- by what was doubted


def test_everything_that_something_went_into(cast: Cast) -> None:
    hit = [
        staged_version(cast),
        promotion_at(cast, "applied", version=staged_version(cast, model="b")).version,
    ]
    clean = ready_version(cast, model="clean", training="sha256:" + "0" * 64)
    done = quarantine_affected(question=Question(datasets=[TRAINING]), reason=WHY, by=cast.principal("cora"))
    assert {row.version_id for row in done.quarantines} == {version.pk for version in hit}
    assert [row.pk for row in done.in_production] == [hit[1].pk]
    assert Quarantine.objects.filter(version=hit[0]).get().found_by == {"dataset": [TRAINING]}
    assert not Quarantine.objects.filter(version=clean).exists()


def test_what_is_not_ones_own_is_told(cast: Cast) -> None:
    """mallory's model is based on ours: cora may look at it, dora's may not."""
    grant_role(namespace=cast.namespace, user=cast.user("mallory"), role="viewer", by=SYSTEM)
    ours = a_version(cast, a_run(cast, uses=[read("ours.csv")]))
    theirs = a_version(cast, by="mallory", elsewhere=True, base=[ours.reference])
    question = Question(datasets=[digest_of("ours.csv")])
    with transaction.atomic():
        hidden = quarantine_affected(question=question, reason=WHY, by=cast.principal("cora"))
        transaction.set_rollback(True)
    assert (hidden.not_yours, hidden.restricted) == ([], 1)
    grant_role(namespace=cast.elsewhere, user=cast.user("cora"), role="viewer", by=SYSTEM)
    told = quarantine_affected(question=question, reason=WHY, by=cast.principal("cora"))
    assert ([row.pk for row in told.not_yours], told.restricted) == ([theirs.pk], 0)
    assert list(Quarantine.objects.values_list("version", flat=True)) == [ours.pk]
    with pytest.raises(Forbidden):
        quarantine_affected(question=question, reason=WHY, by=cast.principal("eve"))


# ---- over REST


def send(client: APIClient, **body: Any) -> Any:
    return client.post("/api/v1/quarantine", body)


def test_over_rest(cast: Cast, dora: Principal) -> None:
    version = staged_version(cast)
    cora = cast.client("cora")
    answer = send(cora, versions=[version.reference], reason=WHY)
    assert answer.status_code == 201
    assert [row["version"] for row in answer.json()["quarantined"]] == [version.reference]
    listed = cast.client("vera").get("/api/v1/quarantine", {"namespace": cast.namespace.name}).json()
    assert [(row["version"], row["reason"]) for row in listed["results"]] == [(version.reference, WHY)]
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/1"
    shown = [
        cast.client("vera").get("/api/v1/resolve", {"ref": version.reference}).json(),
        cast.client("vera").get(path).json(),
    ]
    assert all(each["quarantine"]["reason"] == WHY for each in shown)
    assert all(each["quarantined"] is False for each in shown)  # which is about its bytes
    browser = Client()
    browser.force_login(cast.user("vera"))
    html = browser.get(f"/m/{cast.namespace.name}/scorer/1").content.decode()
    assert "under quarantine" in html
    assert WHY[1:] in html
    refused = cast.client("eve").post(f"{path}/promotions", {"target": "production"})
    assert (refused.status_code, refused.json()["code"]) == (409, "under-quarantine")
    own = cora.post("/api/v1/quarantine/lift", {"versions": [version.reference], "reason": "fine"})
    assert (own.status_code, own.json()["code"]) == (403, "own-quarantine")
    lift_quarantine(versions=[version], reason="fine", by=dora)
    assert cast.client("vera").get(path).json()["quarantine"] is None
    assert cast.client("vera").get("/api/v1/quarantine").json()["results"] == []


def test_over_rest_by_what_was_doubted(cast: Cast) -> None:
    version = staged_version(cast)
    answer = send(cast.client("cora"), impact={"dataset": [TRAINING]}, reason=WHY)
    assert [row["version"] for row in answer.json()["quarantined"]] == [version.reference]
    assert send(cast.client("eve"), versions=[version.reference], reason=WHY).status_code == 403
    assert send(cast.client("mallory"), versions=[version.reference], reason=WHY).status_code == 404
    for body in (
        {"reason": WHY},
        {"versions": [version.reference], "impact": {"dataset": [TRAINING]}, "reason": WHY},
        {"versions": [version.reference]},
        {"impact": {}, "reason": WHY},
    ):
        assert send(cast.client("cora"), **body).status_code == 422, body
