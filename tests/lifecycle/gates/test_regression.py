"""No step back, example by example: the bootstrap against others' reckoning, and what the gate makes of it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from django.utils import timezone
from scipy import stats

from lifecycle.actions.promotions import request_promotion
from lifecycle.gates import GATES, Finding, paired
from lifecycle.gates.evaluate import context_of, findings, prepare
from lifecycle.models import PairedComparison, Promotion
from lifecycle.tasks.promotions import evaluate_gates
from registry.artifacts import storage
from registry.models import Attachment, ModelVersion
from tests.cast import Cast
from tests.factories import evaluate, promotion_at, ready_version, simple_policy, staged_version
from tests.lifecycle.gates.measuring import evaluate_each

OTHER = "sha256:" + "7" * 64
Numbers = npt.NDArray[np.float64]


# ---- the bootstrap


def two(count: int, *, seed: int = 1, heavy: bool = False) -> tuple[Numbers, Numbers]:
    chance = np.random.default_rng(seed)
    old = chance.normal(size=count)
    step = (
        chance.standard_t(4, size=count)
        if heavy
        else chance.choice([-1.0, 0.0, 1.0], count, p=[0.1, 0.8, 0.1])
    )
    return old + 0.1 * step + 0.003, old


def test_it_finds_what_scipy_finds() -> None:
    new, old = two(2000, heavy=True)
    ours = paired.bootstrap(new, old, 7)
    theirs = stats.bootstrap(
        (new - old,),
        np.mean,
        n_resamples=10_000,
        method="percentile",
        batch=500,
        rng=np.random.default_rng(8),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.difference == pytest.approx(float(np.mean(new - old)), abs=1e-12)
    assert abs(ours.low - theirs.low) < 0.05 * width
    assert abs(ours.high - theirs.high) < 0.05 * width


@pytest.mark.parametrize(("count", "heavy"), [(40_000, True), (1_000_000, False)])
def test_of_many_examples_it_is_as_wide_and_takes_seconds(count: int, heavy: bool) -> None:
    new, old = two(count, heavy=heavy)
    began = time.process_time()
    found = paired.bootstrap(new, old, 7)
    assert time.process_time() - began < 10
    normal = stats.norm.ppf(0.975) * float(np.std(new - old)) / count**0.5
    assert found.groups == paired.MOST_GROUPS
    assert (found.difference - found.low) == pytest.approx(normal, rel=0.05)
    assert (found.high - found.difference) == pytest.approx(normal, rel=0.05)


def test_it_is_the_same_for_the_same_seed_and_pairs_rather_than_pools() -> None:
    new, old = two(500)
    assert paired.bootstrap(new, old, 7) == paired.bootstrap(new, old, 7)
    assert paired.bootstrap(new, old, 7) != paired.bootstrap(new, old, 8)
    paired_, pooled = (
        paired.bootstrap(new, each, 7) for each in (old, np.random.default_rng(0).permutation(old))
    )
    assert pooled.high - pooled.low > 5 * (paired_.high - paired_.low)


def test_its_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Nineteen times of twenty, give or take what 100 trials give or take."""
    held = 0
    chance = np.random.default_rng(5)
    for trial in range(100):
        old = chance.normal(size=60)
        found = paired.bootstrap(old + chance.normal(0.02, 0.1, size=60), old, trial)
        held += found.low <= 0.02 <= found.high
    assert 87 <= held <= 100


# ---- the gate


def right(count: int, wrong: range) -> list[float]:
    """Whether each example was got right: all but these."""
    return [0.0 if n in wrong else 1.0 for n in range(count)]


@pytest.fixture
def incumbent(cast: Cast) -> ModelVersion:
    """In production, and wrong on the first 100 of 1,000."""
    version = promotion_at(cast, "applied", value=0.9).version
    evaluate_each(cast, version, right(1000, range(100)))
    return version


def ask(
    cast: Cast, version: ModelVersion, incumbent: ModelVersion, *, prepared: bool = True, **given: Any
) -> Finding:
    """What the gate says of a promotion by eve, after what it needs done was done."""
    listed = {"gate": "no_regression", "key": "no_regression", "parameters": {"metric": "accuracy", **given}}
    promotion = Promotion(
        version=version,
        target="production",
        requested_by=cast.user("eve"),
        policy_snapshot={"gates": [listed]},
    )
    context = replace(context_of(promotion, timezone.now()), incumbent=incumbent)
    if prepared:
        prepare(context)
    return GATES["no_regression"].evaluate(
        context, GATES["no_regression"].checked(listed["parameters"], "parameters")
    )


def test_a_fall_that_no_chance_explains_is_refused_with_its_interval(
    cast: Cast, incumbent: ModelVersion
) -> None:
    version = ready_version(cast)
    evaluate_each(cast, version, right(1000, range(140)))

    found = ask(cast, version, incumbent, tolerance=0.005)

    assert found.verdict == "fail"
    assert found.sentence.startswith(
        "accuracy fell by 0.04 (95% interval 0.028 to 0.053, paired over 1,000 examples)"
    )
    assert f"0.86 against 0.9 of {incumbent.reference} in production, on held-out.csv" in found.sentence
    assert found.sentence.endswith("but may be at most 0.005 worse.")
    kept = found.evidence["paired"]
    assert (kept["examples"], kept["resamples"], kept["level"]) == (1000, 10_000, 0.95)
    # From what is kept, somebody else comes to the same.
    new, old = np.array(right(1000, range(140))), np.array(right(1000, range(100)))
    again = paired.bootstrap(new, old, kept["seed"])
    assert (again.difference, again.low, again.high) == (kept["difference"], kept["low"], kept["high"])
    digests = set(Attachment.objects.values_list("sha256", flat=True))
    assert {kept["mine"].removeprefix("sha256:"), kept["production"].removeprefix("sha256:")} <= digests


def test_one_that_may_be_chance_is_let_through_only_within_the_tolerance(
    cast: Cast, incumbent: ModelVersion
) -> None:
    """Wrong on 90 others and 5 fewer: 0.005 better, give or take 0.027."""
    version = ready_version(cast)
    evaluate_each(cast, version, right(1000, range(90, 185)))

    sure = ask(cast, version, incumbent)
    assert sure.verdict == "fail"
    assert "accuracy rose by 0.005 (95% interval -0.0" in sure.sentence
    assert "So it may in truth be 0.02" in sure.sentence
    assert sure.sentence.endswith(
        "but must not be worse: more examples would tell, or the policy accepts more."
    )
    assert ask(cast, version, incumbent, tolerance=0.03).verdict == "pass"
    assert ask(cast, version, incumbent, tolerance=0.04, relative=True).verdict == "pass"
    by_value = ask(cast, version, incumbent, interval="ignored")
    assert by_value.verdict == "pass"
    assert "by their values alone, as the policy goes by the values alone" in by_value.sentence


def test_the_same_and_the_better_pass(cast: Cast, incumbent: ModelVersion) -> None:
    same, better = ready_version(cast), ready_version(cast)
    evaluate_each(cast, same, right(1000, range(100)))
    evaluate_each(cast, better, right(1000, range(60)))

    assert "accuracy is the same (95% interval 0 to 0, paired" in ask(cast, same, incumbent).sentence
    assert ask(cast, same, incumbent).verdict == ask(cast, better, incumbent).verdict == "pass"
    # Where less is better, the better of the two is the worse one.
    worse = ask(cast, better, incumbent, direction="lower", tolerance=0.02)
    assert worse.verdict == "fail"
    assert "accuracy rose by 0.04" in worse.sentence


def test_ids_bring_the_examples_together(cast: Cast) -> None:
    incumbent, version = promotion_at(cast, "applied").version, ready_version(cast)
    ids = [f"x{n}" for n in range(200)]
    values = right(200, range(20))
    evaluate_each(cast, incumbent, values, ids)
    evaluate_each(cast, version, values[::-1], ids[::-1])

    found = ask(cast, version, incumbent)

    assert "accuracy is the same (95% interval 0 to 0, paired over 200 examples)" in found.sentence


LACKING: list[tuple[tuple[str, int] | None, tuple[str, int] | None, str]] = [
    (None, None, "neither has per-example results"),
    (None, ("x", 40), "this version has no per-example results"),
    (("x", 40), None, "production has no per-example results"),
    (("x", 40), ("y", 40), "their per-example results are not of the same examples"),
    (("x", 40), ("", 40), "their per-example results are not of the same examples"),
    (("", 40), ("", 41), "their per-example results are not of the same examples"),
    (("", 29), ("", 29), "29 examples are too few to compare one by one, 30 would do"),
]


def test_else_the_values_are_compared_and_it_says_so(cast: Cast) -> None:
    incumbent, version = promotion_at(cast, "applied").version, ready_version(cast)
    for mine, theirs, why in LACKING:
        for who, given in ((incumbent, theirs), (version, mine)):
            if given is None:
                evaluate(cast, who, 1.0)
            else:
                prefix, count = given
                ids = [f"{prefix}{n}" for n in range(count)] if prefix else None
                evaluate_each(cast, who, [1.0] * count, ids)

        found = ask(cast, version, incumbent)

        assert (found.verdict, f"by their values alone, as {why})" in found.sentence) == ("pass", True), found
        required = ask(cast, version, incumbent, interval="required")
        assert required.verdict == "fail"
        assert required.sentence.endswith(f"example by example, but {why}.")
    assert not PairedComparison.objects.exists()


def test_others_of_the_dataset_or_ones_own_are_no_evidence(cast: Cast, incumbent: ModelVersion) -> None:
    version = ready_version(cast)
    evaluate_each(cast, version, right(1000, range(10)), digest=OTHER)
    evaluate_each(cast, version, right(1000, range(10)), by="ben")

    assert ask(cast, version, incumbent).verdict == "pending", "measured by others on another dataset only"


def test_what_is_not_compared_yet_waits(cast: Cast, incumbent: ModelVersion) -> None:
    version = ready_version(cast)
    evaluate_each(cast, version, right(1000, range(60)))

    found = ask(cast, version, incumbent, prepared=False)

    assert found.verdict == "pending"
    assert "have not been compared yet, or cannot be read" in found.sentence
    assert found.wanted == ()


def test_a_document_that_is_gone_passes_nothing(cast: Cast, incumbent: ModelVersion) -> None:
    version = ready_version(cast)
    evaluate_each(cast, version, right(1000, range(61)))
    row = Attachment.objects.get(version=version)
    storage.attachments().delete(storage.attachment_key(row.sha256))

    assert ask(cast, version, incumbent).verdict == "pending"


def test_a_promotion_is_judged_and_bound_by_it(cast: Cast) -> None:
    """The whole way: asked, compared in the worker's task, refused; a better one waits for approval."""
    simple_policy(cast, "production", [{"gate": "no_regression", "parameters": {"metric": "accuracy"}}])
    first = promotion_at(cast, "applied", value=0.9).version
    evaluate_each(cast, first, right(100, range(10)))
    for wrong, state in ((range(20), "gates_failed"), (range(1), "awaiting_approval")):
        version = staged_version(cast, 0.95)
        evaluate_each(cast, version, right(100, wrong))
        promotion = request_promotion(version=version, target="production", by=cast.principal("eve"))
        evaluate_gates(promotion_id=str(promotion.pk))
        promotion.refresh_from_db()
        assert promotion.state == state, promotion.outcome
        assert "paired over 100 examples" in promotion.gate_results.get(gate="no_regression").sentence
    before = findings(context_of(promotion, timezone.now()))
    evaluate_gates(promotion_id=str(promotion.pk))
    assert findings(context_of(promotion, timezone.now())) == before
    assert PairedComparison.objects.count() == 2
