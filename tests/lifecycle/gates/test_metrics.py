"""Gates on measured quality: which measurements count, and what is said when none does."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.actions.promotions import request_promotion
from lifecycle.gates import GATES
from lifecycle.models import Promotion
from lifecycle.promotions import settle
from registry.errors import InvalidInput
from registry.models import Event
from tests.cast import Cast
from tests.factories import (
    HELD_OUT,
    TRAINING,
    evaluate,
    promotion_at,
    ready_version,
    results,
    simple_policy,
    staged_version,
)
from tests.lifecycle.gates.asking import ask

OTHER = "sha256:" + "7" * 64


def test_the_newest_measurement_counts(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.95)
    evaluate(cast, version, 0.7)

    found = ask(cast, version, "metric_at_least", metric="accuracy", bound=0.8)

    assert found.verdict == "fail"
    assert "accuracy is 0.7" in found.sentence


@pytest.mark.parametrize(("bound", "verdict"), [(0.9, "pass"), (0.9000001, "fail")])
def test_the_bound_itself_is_enough(cast: Cast, bound: float, verdict: str) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.9)

    assert ask(cast, version, "metric_at_least", metric="accuracy", bound=bound).verdict == verdict


def test_at_most_is_for_errors(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 3.0, metric="latency_ms")

    assert ask(cast, version, "metric_at_most", metric="latency_ms", bound=5.0).verdict == "pass"
    assert ask(cast, version, "metric_at_most", metric="latency_ms", bound=2.0).verdict == "fail"


@pytest.mark.parametrize("who", ["ben", "eve"])
def test_the_makers_and_requesters_own_do_not_count_for_production(cast: Cast, who: str) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.99, by=who)

    assert ask(cast, version, "metric_at_least", metric="accuracy", bound=0.8).verdict == "fail"
    assert (
        ask(cast, version, "metric_at_least", target="staging", metric="accuracy", bound=0.8).verdict
        == "pass"
    )
    anyone: dict[str, Any] = {"metric": "accuracy", "bound": 0.8, "evaluated_by": "anyone"}
    assert ask(cast, version, "metric_at_least", **anyone).verdict == "pass"


def test_nor_that_of_a_service_account_they_own(cast: Cast) -> None:
    """ci is ada's: what it measured of a version that ada made is ada's word for it."""
    version = ready_version(cast, by="ada")
    evaluate(cast, version, 0.99, by="ci")

    assert ask(cast, version, "metric_at_least", metric="accuracy", bound=0.8).verdict == "fail"


def test_nor_that_of_the_owner_of_the_account_that_made_it(cast: Cast) -> None:
    """And of what ci made, ada's."""
    version = ready_version(cast, by="ci")
    evaluate(cast, version, 0.99, by="ada")

    assert ask(cast, version, "metric_at_least", metric="accuracy", bound=0.8).verdict == "fail"


def test_another_split_slice_or_dataset_is_no_evidence(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.99)

    others: list[dict[str, Any]] = [
        {"split": "validation"},
        {"slice": "new customers"},
        {"dataset": "golden.csv"},
    ]
    for other in others:
        found = ask(cast, version, "metric_at_least", metric="accuracy", bound=0.8, **other)
        assert found.verdict == "fail", other
    assert ask(cast, version, "metric_at_least", metric="recall", bound=0.1).verdict == "fail"


def test_held_out_means_not_trained_on(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.99, digest=TRAINING)
    assert "which it was trained on" in ask(cast, version, "evaluated_on").sentence

    evaluate(cast, version, 0.9, digest=HELD_OUT)
    assert ask(cast, version, "evaluated_on").verdict == "pass"
    assert ask(cast, version, "evaluated_on", digest=HELD_OUT).verdict == "pass"
    assert ask(cast, version, "evaluated_on", digest=OTHER).verdict == "fail"


def test_without_an_incumbent_there_is_nothing_to_fall_behind(cast: Cast) -> None:
    found = ask(cast, ready_version(cast), "no_regression", metric="accuracy")

    assert found.verdict == "pass"
    assert "Nothing is in production yet" in found.sentence


@pytest.mark.parametrize(
    ("mine", "tolerance", "direction", "verdict"),
    [
        (0.9, 0.0, "higher", "pass"),
        (0.89, 0.0, "higher", "fail"),
        (0.89, 0.02, "higher", "pass"),
        (0.91, 0.0, "lower", "fail"),
        (0.89, 0.0, "lower", "pass"),
    ],
)
def test_regression_by_direction_and_tolerance(
    cast: Cast, mine: float, tolerance: float, direction: str, verdict: str
) -> None:
    incumbent = promotion_at(cast, "applied", value=0.9).version
    version = ready_version(cast)
    evaluate(cast, version, mine)

    found = ask(
        cast, version, "no_regression", incumbent, metric="accuracy", tolerance=tolerance, direction=direction
    )

    assert found.verdict == verdict, found.sentence
    assert incumbent.reference in found.sentence


def test_the_worst_of_the_shared_datasets_decides(cast: Cast) -> None:
    first = staged_version(cast, 0.9)
    evaluate(cast, first, 0.8, digest=OTHER)
    incumbent = promotion_at(cast, "applied", version=first).version
    version = ready_version(cast)
    evaluate(cast, version, 0.95)
    evaluate(cast, version, 0.7, digest=OTHER)

    found = ask(cast, version, "no_regression", incumbent, metric="accuracy")

    assert found.verdict == "fail"
    assert "0.7 against 0.8" in found.sentence


def test_a_tolerance_may_be_a_part_of_productions_value(cast: Cast) -> None:
    incumbent = promotion_at(cast, "applied", value=0.9).version
    version = ready_version(cast)
    evaluate(cast, version, 0.85)

    def asked(part: float) -> tuple[str, str]:
        given: dict[str, Any] = {"metric": "accuracy", "tolerance": part, "relative": True}
        found = ask(cast, version, "no_regression", incumbent, **given)
        return found.verdict, found.sentence

    assert asked(0.06)[0] == "pass"
    verdict, sentence = asked(0.05)
    assert verdict == "fail"
    assert sentence.endswith("but may be at most 0.05 of production's value worse.")


def test_a_tolerance_is_not_negative(cast: Cast) -> None:
    gate = {"gate": "no_regression", "parameters": {"metric": "accuracy", "tolerance": -0.1}}
    with pytest.raises(InvalidInput) as refused:
        simple_policy(cast, "production", [gate])
    assert (refused.value.field, refused.value.sentence) == (
        "gates[0].parameters.tolerance",
        "tolerance is at least 0.",
    )


# ---- intervals, and several datasets


BOUNDS = [
    ("metric_at_least", 0.88, "when_given", "pass"),
    ("metric_at_least", 0.885, "when_given", "fail"),
    ("metric_at_least", 0.885, "ignored", "pass"),
    ("metric_at_most", 0.92, "when_given", "pass"),
    ("metric_at_most", 0.915, "when_given", "fail"),
    ("metric_at_most", 0.915, "ignored", "pass"),
]


def test_where_an_interval_was_reported_its_end_counts(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.9, low=0.88, high=0.92)
    for gate, bound, interval, verdict in BOUNDS:
        found = ask(cast, version, gate, metric="accuracy", bound=bound, interval=interval)
        assert found.verdict == verdict, found.sentence
        assert "0.9 (0.88 to 0.92)" in found.sentence
        if verdict == "fail":
            end = "lower" if gate == "metric_at_least" else "upper"
            assert f"but the {end} end of its interval must be" in found.sentence


def test_an_interval_can_be_required(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.99)

    found = ask(cast, version, "metric_at_least", metric="accuracy", bound=0.8, interval="required")

    assert found.verdict == "fail"
    assert "without the lower end of an interval, which is required" in found.sentence


def test_an_easier_dataset_hides_nothing(cast: Cast) -> None:
    """Bad on the held-out data, then measured on something else: the worst counts, unless the policy names one."""
    version = ready_version(cast)
    evaluate(cast, version, 0.7)
    evaluate(cast, version, 0.99, digest=OTHER)
    bound: dict[str, Any] = {"metric": "accuracy", "bound": 0.8}

    found = ask(cast, version, "metric_at_least", **bound)
    assert (found.verdict, "accuracy is 0.7 " in found.sentence) == ("fail", True)
    assert ask(cast, version, "metric_at_least", digest=OTHER, **bound).verdict == "pass"
    assert ask(cast, version, "metric_at_least", digest=HELD_OUT, **bound).verdict == "fail"
    nowhere = ask(cast, version, "metric_at_least", digest="sha256:" + "8" * 64, **bound)
    assert nowhere.verdict == "fail"
    assert "(sha256:88888888…)" in nowhere.sentence


# ---- a new test set


def test_on_data_that_production_was_not_measured_on_it_waits(cast: Cast) -> None:
    incumbent = promotion_at(cast, "applied", value=0.9).version
    version = ready_version(cast)
    evaluate(cast, version, 0.99, digest=OTHER)

    found = ask(cast, version, "no_regression", incumbent, metric="accuracy")

    assert found.verdict == "pending"
    assert found.sentence.startswith("Not comparable yet")
    assert [(w.version, w.dataset_digest) for w in found.wanted] == [(incumbent, OTHER)]


def requested(cast: Cast) -> list[Event]:
    return list(Event.objects.filter(namespace=cast.namespace, type="evaluation.requested"))


@pytest.mark.parametrize(("measured", "state"), [(0.9, "awaiting_approval"), (0.995, "gates_failed")])
def test_an_evaluation_of_production_is_asked_for_once_and_decides(
    cast: Cast, measured: float, state: str
) -> None:
    simple_policy(cast, "production", [{"gate": "no_regression", "parameters": {"metric": "accuracy"}}])
    incumbent = promotion_at(cast, "applied", value=0.9).version
    version = staged_version(cast, 0.95)
    later = [{"gate": "no_regression", "parameters": {"metric": "accuracy", "digest": OTHER}}]
    simple_policy(cast, "production", later)
    evaluate(cast, version, 0.99, digest=OTHER)
    promotion = request_promotion(version=version, target="production", by=cast.principal("eve"))
    for _ in range(3):
        settle(promotion_id=promotion.pk)

    (event,) = requested(cast)
    assert (event.subject_id, event.subject_label) == (str(incumbent.pk), incumbent.reference)
    assert event.after is not None
    assert {key: event.after[key] for key in ("dataset", "dataset_digest", "split", "slice", "metrics")} == {
        "dataset": "held-out.csv", "dataset_digest": OTHER, "split": "test", "slice": "", "metrics": ["accuracy"],
    }  # fmt: skip
    assert event.after["for"] == version.reference
    assert results(promotion)["no_regression"][0] == "pending"
    evaluate(cast, incumbent, measured, digest=OTHER, by="eve")
    assert settle(promotion_id=promotion.pk).state == "evaluating", "who asks does not set the bar"
    evaluate(cast, incumbent, measured, digest=OTHER)
    assert settle(promotion_id=promotion.pk).state == state
    assert len(requested(cast)) == 1
    assert Promotion.objects.get(pk=promotion.pk).state == state


@pytest.mark.parametrize("gate", sorted(GATES))
def test_every_gate_says_its_claim_in_words(gate: str) -> None:
    asked = GATES[gate]
    some = {float: 0.5, int: 7}
    given: dict[str, Any] = {p.name: some.get(p.kind, "x") for p in asked.parameters if p.required}

    claim = asked.claim(asked.checked(given, gate))

    assert claim
    assert not claim.endswith(".")
