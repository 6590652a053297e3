"""The gate on slices: the planted regression is named, the worst first, and what is missing is no excuse."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from lifecycle.actions.promotions import request_promotion
from lifecycle.promotions import settle
from registry.errors import InvalidInput
from registry.models import Evaluation, EvaluationMetric, Event, ModelVersion
from tests.cast import Cast
from tests.factories import (
    HELD_OUT,
    evaluate,
    promotion_at,
    ready_version,
    results,
    simple_policy,
    staged_version,
)
from tests.lifecycle.gates.asking import ask

OTHER = "sha256:" + "7" * 64
GATE = "slices_not_worse"


def sliced(cast: Cast, version: ModelVersion, by: str = "ci", digest: str = HELD_OUT, **parts: float) -> None:
    """It is measured on these slices, `PT` for `country = PT`."""
    for part, value in parts.items():
        evaluate(cast, version, value, by=by, part=f"country = {part}", digest=digest)


@pytest.fixture
def incumbent(cast: Cast) -> ModelVersion:
    """In production, measured on three slices."""
    version = promotion_at(cast, "applied", value=0.9).version
    sliced(cast, version, DE=0.92, PT=0.90, ES=0.88)
    return version


def test_it_passes_what_is_nowhere_worse(cast: Cast, incumbent: ModelVersion) -> None:
    version = ready_version(cast)
    sliced(cast, version, DE=0.95, PT=0.91, ES=0.88)

    found = ask(cast, version, GATE, incumbent, metric="accuracy")

    assert found.verdict == "pass", found.sentence
    assert "on any of 3 slices; nearest to it: country = ES 0.88 against 0.88 (+0)." in found.sentence


def test_a_better_whole_hides_no_worse_part_and_the_worst_is_named_first(
    cast: Cast, incumbent: ModelVersion
) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.99)
    sliced(cast, version, DE=0.99, PT=0.80, ES=0.86)

    found = ask(cast, version, GATE, incumbent, metric="accuracy")

    assert found.verdict == "fail"
    assert found.sentence == (
        f"accuracy is worse than that of {incumbent.reference} in production on 2 of 3 slices: "
        "country = PT 0.8 against 0.9 (-0.1); country = ES 0.86 against 0.88 (-0.02); each must not be worse."
    )
    assert [each["slice"] for each in found.evidence["compared"]] == [
        "country = PT",
        "country = ES",
        "country = DE",
    ]


TOLERATED: list[tuple[dict[str, Any], str]] = [
    ({"tolerance": 0.1}, "pass"),
    ({"tolerance": 0.09}, "fail"),
    ({"tolerance": 0.12, "relative": True}, "pass"),
    ({"tolerance": 0.11, "relative": True}, "fail"),
    ({"direction": "lower"}, "fail"),
]


def test_by_tolerance_and_direction(cast: Cast, incumbent: ModelVersion) -> None:
    version = ready_version(cast)
    sliced(cast, version, DE=0.99, PT=0.8000001, ES=0.88)
    for given, verdict in TOLERATED:
        found = ask(cast, version, GATE, incumbent, metric="accuracy", **given)
        assert found.verdict == verdict, (given, found.sentence)


def test_a_slice_that_is_left_out_is_no_way_past_it(cast: Cast, incumbent: ModelVersion) -> None:
    version = ready_version(cast)
    sliced(cast, version, DE=0.99, ES=0.99, FR=0.5)

    found = ask(cast, version, GATE, incumbent, metric="accuracy")
    assert found.verdict == "fail"
    assert found.sentence == (
        "No slice that both were measured on (2) is worse. Measured in production only: country = PT. "
        "Measured of this version only: country = FR. It has to be measured there too."
    )
    told = ask(cast, version, GATE, incumbent, metric="accuracy", missing="told")
    assert told.verdict == "pass"
    assert "Measured in production only: country = PT." in told.sentence
    assert (told.evidence["only_production"], told.evidence["only_this"]) == (
        ["country = PT"],
        ["country = FR"],
    )


def test_nothing_in_common_is_no_pass(cast: Cast, incumbent: ModelVersion) -> None:
    version = ready_version(cast)
    sliced(cast, version, FR=0.99)
    assert ask(cast, version, GATE, incumbent, metric="accuracy", missing="told").verdict == "fail"
    nothing = ask(cast, ready_version(cast), GATE, incumbent, metric="accuracy", missing="told")
    assert nothing.verdict == "fail"
    assert "has no measurement of accuracy by slice" in nothing.sentence
    assert "in production has: country = DE, country = ES, country = PT." in nothing.sentence


def test_the_policy_may_name_slices(cast: Cast) -> None:
    version = ready_version(cast)
    sliced(cast, version, DE=0.9)
    asked: dict[str, Any] = {"metric": "accuracy", "slices": ["country = DE", "country = PT"]}
    found = ask(cast, version, GATE, **asked)
    assert (found.verdict, "for the slice country = PT" in found.sentence) == ("fail", True)
    sliced(cast, version, PT=0.9)
    assert ask(cast, version, GATE, **asked).verdict == "pass"


def test_without_an_incumbent_there_is_nothing_to_compare_with(cast: Cast) -> None:
    found = ask(cast, ready_version(cast), GATE, metric="accuracy")
    assert (found.verdict, "Nothing is in production yet" in found.sentence) == ("pass", True)


@pytest.mark.parametrize("who", ["ben", "eve"])
def test_the_makers_and_requesters_own_do_not_count(cast: Cast, incumbent: ModelVersion, who: str) -> None:
    version = ready_version(cast)
    sliced(cast, version, by=who, DE=0.99, PT=0.99, ES=0.99)
    found = ask(cast, version, GATE, incumbent, metric="accuracy")
    assert (found.verdict, "do not count" in found.sentence) == ("fail", True)
    anyone = ask(cast, version, GATE, incumbent, metric="accuracy", evaluated_by="anyone")
    assert anyone.verdict == "pass"


def test_of_two_measurements_the_newest_counts_on_both_sides(cast: Cast, incumbent: ModelVersion) -> None:
    version = ready_version(cast)
    sliced(cast, version, DE=0.99, PT=0.99, ES=0.99)
    sliced(cast, version, PT=0.70)
    assert ask(cast, version, GATE, incumbent, metric="accuracy").verdict == "fail"
    sliced(cast, incumbent, PT=0.60)
    assert ask(cast, version, GATE, incumbent, metric="accuracy").verdict == "pass"


def test_what_is_not_a_number_is_never_there(cast: Cast) -> None:
    """Neither by the action nor past it: to Postgres NaN is more than any bound."""
    version = ready_version(cast)
    for absurd in (float("nan"), float("inf")):
        with pytest.raises(InvalidInput):
            sliced(cast, version, DE=absurd)
        sliced(cast, version, ES=0.9)
        with pytest.raises(IntegrityError), transaction.atomic():
            EvaluationMetric.objects.create(
                evaluation=Evaluation.objects.filter(version=version).latest("at"), name="f1", value=absurd
            )


def test_on_another_dataset_it_waits_and_production_is_asked_for(cast: Cast, incumbent: ModelVersion) -> None:
    simple_policy(cast, "production", [{"gate": GATE, "parameters": {"metric": "accuracy"}}])
    version = staged_version(cast, 0.99)
    sliced(cast, version, digest=OTHER, DE=0.9, PT=0.9)
    promotion = request_promotion(version=version, target="production", by=cast.principal("eve"))
    for _ in range(2):
        settle(promotion_id=promotion.pk)

    verdict, sentence = results(promotion)[GATE]
    assert verdict == "pending"
    assert sentence.startswith("Not comparable yet: ")
    asked = Event.objects.filter(namespace=cast.namespace, type="evaluation.requested")
    assert sorted((event.after or {})["slice"] for event in asked) == ["country = DE", "country = PT"]
    sliced(cast, incumbent, digest=OTHER, DE=0.8, PT=0.95)
    assert settle(promotion_id=promotion.pk).state == "gates_failed"
    assert "country = PT 0.9 against 0.95 (-0.05)" in results(promotion)[GATE][1]
