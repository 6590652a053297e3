"""Promotion: gates, approvals, what is bound to what, and the way back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.utils import timezone

from lifecycle.actions.promotions import (
    AlreadyDecided,
    NotPromotable,
    OwnRequest,
    PromotionOpen,
    decide_promotion,
    move_version,
    request_promotion,
    withdraw_promotion,
)
from lifecycle.models import Approval, State
from lifecycle.promotions import ApprovalsMissing, IllegalMove, PromotionIsClosed, apply, settle
from registry.actions.people import issue_token
from registry.actions.roles import revoke_role
from registry.errors import DomainError, Forbidden, InvalidInput, NotVisible
from registry.models import (
    SYSTEM,
    Alias,
    Blob,
    Event,
    Principal,
    RegisteredModelGroupPermission,
    StageChange,
)
from tests.cast import Cast, hold_role
from tests.factories import (
    TRAINING,
    evaluate,
    fresh,
    promotion_at,
    ready_version,
    results,
    simple_policy,
    staged_version,
)

BOUND = {"gate": "metric_at_least", "parameters": {"metric": "accuracy", "bound": 0.8}}


def test_it_works(cast: Cast) -> None:
    promotion = promotion_at(cast, "applied")

    version = fresh(promotion.version)
    assert version.stage == "production"
    assert Alias.objects.get(model=version.model, name="production").version_id == version.pk
    moves = [c.move for c in StageChange.objects.filter(version=version).order_by("pk")]
    assert moves == ["stage", "produce"]
    told = list(Event.objects.filter(subject_id=promotion.pk).order_by("pk").values_list("type", flat=True))
    assert told == [
        "promotion.requested",
        "promotion.awaiting_approval",
        "promotion.approved",
        "promotion.applied",
    ]


def test_the_next_one_replaces_it_in_one_transaction(cast: Cast) -> None:
    first = promotion_at(cast, "applied").version
    second = promotion_at(cast, "applied", value=0.95)

    assert second.replaces == first
    assert fresh(first).stage == "archived"
    assert fresh(second.version).stage == "production"
    assert Alias.objects.get(model=first.model, name="production").version_id == second.version_id


def test_gates_refuse_with_a_sentence_each(cast: Cast) -> None:
    version = ready_version(cast, run=False)
    evaluate(cast, version, 0.5)
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))

    promotion = settle(promotion_id=promotion.pk)

    assert promotion.state == State.GATES_FAILED
    said = results(promotion)
    assert said["metric_at_least"][0] == "fail"
    assert "accuracy is 0.5" in said["metric_at_least"][1]
    assert "must be at least 0.8" in said["metric_at_least"][1]
    assert said["lineage_complete"][0] == "fail"
    assert "no run" in said["lineage_complete"][1]
    assert fresh(version).stage == "development"
    with pytest.raises(PromotionIsClosed, match=r"^This promotion is gates_failed: 2 of 4 .*[^.]\.$"):
        withdraw_promotion(promotion=promotion, by=cast.principal("eve"))


def test_evaluating_on_the_training_data_does_not_count(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.99, digest=TRAINING)
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))

    promotion = settle(promotion_id=promotion.pk)

    verdict, sentence = results(promotion)["evaluated_on"]
    assert verdict == "fail"
    assert "which it was trained on" in sentence


def test_worse_than_production_is_refused_against_which_version(cast: Cast) -> None:
    first = promotion_at(cast, "applied", value=0.95).version
    worse = staged_version(cast, 0.9)
    promotion = request_promotion(version=worse, target="production", by=cast.principal("eve"))

    promotion = settle(promotion_id=promotion.pk)

    verdict, sentence = results(promotion)["no_regression"]
    assert verdict == "fail"
    assert "0.9 against 0.95" in sentence
    assert first.reference in sentence


def test_another_digest_is_not_comparable(cast: Cast) -> None:
    promotion_at(cast, "applied")
    other = ready_version(cast)
    evaluate(cast, other, 0.99, digest="sha256:" + "1" * 64)
    staged = request_promotion(version=other, target="staging", by=cast.principal("eve"))
    settle(promotion_id=staged.pk)
    promotion = request_promotion(version=other, target="production", by=cast.principal("eve"))

    promotion = settle(promotion_id=promotion.pk)

    assert promotion.state == State.EVALUATING
    assert results(promotion)["no_regression"][0] == "pending"
    assert results(promotion)["no_regression"][1].startswith("Not comparable yet")


def test_the_requesters_own_evidence_does_not_count_for_production(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.9, by="eve")
    staged = request_promotion(version=version, target="staging", by=cast.principal("eve"))
    assert settle(promotion_id=staged.pk).state == State.APPLIED
    promotion = request_promotion(version=version, target="production", by=cast.principal("eve"))

    promotion = settle(promotion_id=promotion.pk)

    assert promotion.state == State.GATES_FAILED
    assert "do not count" in results(promotion)["evaluated_on"][1]


def test_a_quarantined_file_fails_integrity(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.9)
    Blob.objects.filter(artifacts__manifest=version.manifest).update(quarantined_at=timezone.now())
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))

    promotion = settle(promotion_id=promotion.pk)

    assert results(promotion)["integrity_verified"][0] == "fail"
    assert "quarantined" in results(promotion)["integrity_verified"][1]


def test_waits_for_the_pipeline_then_goes_on(cast: Cast) -> None:
    version = staged_version(cast)
    promotion = request_promotion(version=version, target="production", by=cast.principal("eve"))

    waiting = settle(promotion_id=promotion.pk)

    assert waiting.state == State.EVALUATING
    assert results(waiting)["external_check"][0] == "pending"


@pytest.mark.parametrize("who", ["eve", "ben"])
def test_who_asked_and_who_trained_do_not_decide(cast: Cast, who: str) -> None:
    from_role = cast.principal(who)
    promotion = promotion_at(cast, "awaiting_approval")
    _also_operator(cast, who)

    with pytest.raises(OwnRequest):
        decide_promotion(promotion=promotion, verdict="approve", by=from_role)

    assert fresh(promotion.version).stage == "staging"


@pytest.mark.parametrize(
    ("who", "refusal"), [("ada", Forbidden), ("otto", Forbidden), ("mallory", NotVisible)]
)
def test_only_operators_decide(cast: Cast, who: str, refusal: type[DomainError]) -> None:
    promotion = promotion_at(cast, "awaiting_approval")

    with pytest.raises(refusal):
        decide_promotion(promotion=promotion, verdict="approve", by=cast.principal(who))


def test_a_rejection_needs_a_reason_and_ends_it(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    with pytest.raises(InvalidInput):
        decide_promotion(promotion=promotion, verdict="reject", by=cast.principal("cora"))

    ended = decide_promotion(
        promotion=promotion,
        verdict="reject",
        reason="the segment of new customers is missing",
        by=cast.principal("cora"),
    )

    assert ended.state == State.REJECTED
    assert "new customers" in ended.outcome
    event = Event.objects.get(type="promotion.rejected", subject_id=promotion.pk)
    assert event.reason == "the segment of new customers is missing"
    with pytest.raises(PromotionIsClosed):
        decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("cora"))


def test_two_approvals_are_two_people(cast: Cast) -> None:
    simple_policy(cast, "production", gates=[], approvals=2)
    promotion = promotion_at(cast, "awaiting_approval")

    once = decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("cora"))
    assert once.state == State.AWAITING_APPROVAL
    with pytest.raises(AlreadyDecided):
        decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("cora"))

    _also_operator(cast, "otto")
    assert (
        decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("otto")).state
        == State.APPLIED
    )


def test_new_evidence_voids_what_waits(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    evaluate(cast, promotion.version, 0.85)

    answer = decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("cora"))

    assert answer.state == State.VOID
    assert "evidence changed" in answer.outcome
    assert fresh(promotion.version).stage == "staging"


def test_another_production_voids_what_waits(cast: Cast) -> None:
    first = promotion_at(cast, "awaiting_approval")
    promotion_at(cast, "applied", value=0.95)

    first.refresh_from_db()
    assert first.state == State.VOID
    assert first.outcome.startswith("production changed")


def test_it_expires(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")

    ended = settle(promotion_id=promotion.pk, now=timezone.now() + timedelta(days=8))

    assert ended.state == State.EXPIRED


def test_applying_twice_is_refused(cast: Cast) -> None:
    promotion = promotion_at(cast, "applied")

    with pytest.raises(PromotionIsClosed):
        apply(promotion_id=promotion.pk, by=cast.principal("cora"))


def test_withdrawn_by_who_asked(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")

    assert withdraw_promotion(promotion=promotion, by=cast.principal("eve")).state == State.WITHDRAWN


def test_asked_twice_is_refused(cast: Cast) -> None:
    version = ready_version(cast)
    request_promotion(version=version, target="staging", by=cast.principal("eve"))

    with pytest.raises(PromotionOpen):
        request_promotion(version=version, target="staging", by=cast.principal("eve"))


def test_no_step_is_skipped(cast: Cast) -> None:
    with pytest.raises(NotPromotable, match="staging first"):
        request_promotion(version=ready_version(cast), target="production", by=cast.principal("eve"))


def test_the_policy_is_the_one_it_was_asked_under(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.85)
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))
    strict = {"gate": "metric_at_least", "parameters": {"metric": "accuracy", "bound": 0.99}}
    simple_policy(cast, "staging", gates=[strict], approvals=0)

    assert settle(promotion_id=promotion.pk).state == State.APPLIED


def test_a_reason_is_asked_for(cast: Cast) -> None:
    with pytest.raises(IllegalMove, match="reason"):
        move_version(version=ready_version(cast), move="deprecate", reason="", by=cast.principal("eve"))


def _also_operator(cast: Cast, who: str) -> None:
    hold_role(cast.namespace, cast.user(who), "production_operator")


def test_the_trainer_does_not_lower_the_bar_of_what_is_in_production(cast: Cast) -> None:
    first = promotion_at(cast, "applied", value=0.95).version
    worse = staged_version(cast, 0.9)
    evaluate(cast, first, 0.1, by="ben")
    promotion = request_promotion(version=worse, target="production", by=cast.principal("eve"))

    promotion = settle(promotion_id=promotion.pk)

    assert results(promotion)["no_regression"][0] == "fail"
    assert "0.9 against 0.95" in results(promotion)["no_regression"][1]


def test_reading_the_bytes_again_voids_nothing(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    Blob.objects.filter(artifacts__manifest=promotion.version.manifest).update(
        verified_at=timezone.now() + timedelta(minutes=5)
    )

    assert (
        decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("cora")).state
        == State.APPLIED
    )


def test_a_service_account_does_not_decide(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    _also_operator(cast, "ci")

    with pytest.raises(Forbidden, match="person"):
        decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("ci"))


def test_the_first_of_two_approvals_is_not_taken_for_what_has_changed(cast: Cast) -> None:
    simple_policy(cast, "production", gates=[BOUND], approvals=2)
    promotion = promotion_at(cast, "awaiting_approval")
    evaluate(cast, promotion.version, 0.85)

    answer = decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("cora"))

    assert answer.state == State.VOID
    assert not answer.approvals.exists()


def test_applying_looks_at_the_evidence_too(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    Approval.objects.create(
        promotion=promotion,
        by=cast.user("cora"),
        verdict="approve",
        binding=promotion.binding,
        at=timezone.now(),
    )
    evaluate(cast, promotion.version, 0.85)

    assert apply(promotion_id=promotion.pk, by=cast.principal("cora")).state == State.VOID


def test_an_approval_ends_with_the_right_to_give_it(cast: Cast) -> None:
    simple_policy(cast, "production", gates=[], approvals=2)
    promotion = promotion_at(cast, "awaiting_approval")
    decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("cora"))
    revoke_role(
        namespace=cast.namespace, user=cast.user("cora"), role="production_operator", by=cast.principal("ada")
    )
    _also_operator(cast, "otto")

    answer = decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("otto"))

    assert answer.state == State.AWAITING_APPROVAL
    with pytest.raises(ApprovalsMissing):
        apply(promotion_id=promotion.pk, by=cast.principal("otto"))


def test_a_token_without_the_scope_does_not_decide_by_designation(cast: Cast) -> None:
    promotion = promotion_at(cast, "awaiting_approval")
    group = Group.objects.create(name=f"reviewers {cast.namespace.name}")
    group.user_set.add(cast.user("otto"))
    review = DjangoPermission.objects.get(codename="model.review")
    RegisteredModelGroupPermission.objects.create(
        group=group, content_object=promotion.version.model, permission=review
    )
    token, _ = issue_token(user=cast.user("otto"), name="read", scopes=["namespace.read"], by=SYSTEM)

    with pytest.raises(Forbidden):
        decide_promotion(
            promotion=promotion, verdict="approve", by=Principal(user=cast.user("otto"), token=token)
        )
    assert (
        decide_promotion(promotion=promotion, verdict="approve", by=cast.principal("otto")).state
        == State.APPLIED
    )
