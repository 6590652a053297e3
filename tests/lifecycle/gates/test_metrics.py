"""Gates on measured quality: which measurements count, and what is said when none does."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from lifecycle.gates import GATES, Finding
from lifecycle.gates.kinds import Context
from lifecycle.models import Promotion
from registry.models import ModelVersion
from tests.cast import Cast
from tests.factories import HELD_OUT, TRAINING, evaluate, promotion_at, ready_version, staged_version

OTHER = "sha256:" + "7" * 64


def ask(
    cast: Cast,
    version: ModelVersion,
    gate: str,
    incumbent: ModelVersion | None = None,
    target: str = "production",
    **parameters: Any,
) -> Finding:
    promotion = Promotion(
        version=version, target=target, requested_by=cast.user("eve"), requested_at=timezone.now()
    )
    asked = GATES[gate]
    context = Context(promotion=promotion, version=version, incumbent=incumbent, now=timezone.now())
    return asked.evaluate(context, asked.checked(parameters, gate))


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


def test_another_digest_is_not_comparable(cast: Cast) -> None:
    incumbent = promotion_at(cast, "applied", value=0.5 + 0.4).version
    version = ready_version(cast)
    evaluate(cast, version, 0.99, digest=OTHER)

    found = ask(cast, version, "no_regression", incumbent, metric="accuracy")

    assert found.verdict == "fail"
    assert found.sentence.startswith("Not comparable")


@pytest.mark.parametrize("gate", sorted(GATES))
def test_every_gate_says_its_claim_in_words(gate: str) -> None:
    asked = GATES[gate]
    given: dict[str, Any] = {p.name: 0.5 if p.kind is float else "x" for p in asked.parameters if p.required}

    claim = asked.claim(asked.checked(given, gate))

    assert claim
    assert not claim.endswith(".")
