"""The gate review_not_overdue: by whose word a model's clock starts again, and from when on it blocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from lifecycle.actions.promotions import decide_promotion, move_version, request_promotion, roll_back
from lifecycle.gates import GATES, Finding
from lifecycle.gates.evaluate import context_of
from lifecycle.models import Promotion
from lifecycle.promotions import settle
from registry.errors import InvalidInput
from registry.models import ModelVersion
from tests.cast import Cast
from tests.factories import fresh, promotion_at, ready_version, simple_policy, staged_version
from tests.lifecycle.validating import REPORT, validate, yearly

DAY = timedelta(days=1)


@pytest.fixture
def incumbent(cast: Cast) -> ModelVersion:
    return fresh(promotion_at(cast, "applied").version)


def ask(cast: Cast, version: ModelVersion, now: datetime, **given: Any) -> Finding:
    """What the gate says then of a promotion of this version."""
    promotion = Promotion(version=version, target="production", requested_by=cast.user("eve"))
    gate = GATES["review_not_overdue"]
    context = replace(context_of(promotion, now))
    return gate.evaluate(context, gate.checked({"every_days": 365, **given}, "parameters"))


def test_it_is_told_then_it_blocks(cast: Cast, incumbent: ModelVersion) -> None:
    version, now = ready_version(cast), timezone.now()
    entered = incumbent.stage_changes.get(to_stage="production").at

    fine = ask(cast, version, now)
    assert fine.verdict == "pass"
    assert f"its next validation is due by {entered + 365 * DAY:%Y-%m-%d}." in fine.sentence
    overdue = ask(cast, version, entered + 365 * DAY)
    assert overdue.verdict == "pass"
    assert overdue.sentence == (
        f"The validation of {version.model} is overdue since {entered + 365 * DAY:%Y-%m-%d} (it was never found "
        f"valid since it went into production on {entered:%Y-%m-%d}); "
        f"from {entered + 395 * DAY:%Y-%m-%d} on no version of it is promoted until "
        f"somebody validates {incumbent.reference} again."
    )
    assert ask(cast, version, entered + 395 * DAY - timedelta(seconds=1)).verdict == "pass"
    blocked = ask(cast, version, entered + 395 * DAY)
    assert blocked.verdict == "fail"
    assert "no version of it is promoted until somebody who neither made nor trained" in blocked.sentence
    assert f"assay revalidate {incumbent.reference} valid --report report.json" in blocked.sentence
    # No clock in what an approval is bound to.
    assert fine.evidence == overdue.evidence == blocked.evidence
    assert ask(cast, version, entered + DAY, every_days=1, grace_days=0).verdict == "fail"


def test_without_anything_in_production_there_is_nothing_to_validate(cast: Cast) -> None:
    found = ask(cast, ready_version(cast), timezone.now() + 9999 * DAY)
    assert (found.verdict, "Nothing is in production yet" in found.sentence) == ("pass", True)


def test_a_validation_that_finds_it_valid_starts_the_clock_again(cast: Cast, incumbent: ModelVersion) -> None:
    version = ready_version(cast)
    bad = validate(cast, incumbent, "not_valid")
    late = bad.at + 395 * DAY
    assert ask(cast, version, late).verdict == "fail"

    good = validate(cast, incumbent)

    found = ask(cast, version, good.at + 364 * DAY)
    assert found.verdict == "pass"
    assert (
        f"last found valid on {good.at:%Y-%m-%d} by {cast.user('cora').username}, as version {incumbent.number}"
        in found.sentence
    )
    assert ask(cast, version, good.at + 395 * DAY).verdict == "fail"


@pytest.mark.parametrize("report", [None, REPORT])
def test_so_does_an_approval_that_came_with_a_report_and_no_other(
    cast: Cast, incumbent: ModelVersion, report: dict[str, Any] | None
) -> None:
    entered = incumbent.stage_changes.get(to_stage="production").at
    simple_policy(cast, "production", gates=[])
    promotion = promotion_at(cast, "awaiting_approval", version=staged_version(cast, 0.95))
    decide_promotion(promotion=promotion, verdict="approve", report=report, by=cast.principal("cora"))
    approval = promotion.approvals.get()

    found = ask(cast, ready_version(cast), approval.at)

    since = approval.at if report else entered
    assert found.evidence["since"] == since.isoformat()
    assert found.evidence["production"] == str(promotion.version_id)


def test_after_a_time_without_production_it_begins_anew(cast: Cast, incumbent: ModelVersion) -> None:
    """A clock that had run on meanwhile would block the first version after an incident a year ago."""
    move_version(version=incumbent, move="suspend", reason="wrong scores", by=cast.principal("cora"))
    again = promotion_at(cast, "applied", version=staged_version(cast, 0.95)).version
    entered = again.stage_changes.get(to_stage="production").at

    assert ask(cast, ready_version(cast), entered).evidence["since"] == entered.isoformat()


def test_it_stops_no_rollback_and_nothing_in_production(cast: Cast, incumbent: ModelVersion) -> None:
    """The whole way: asked under the policy a year later, refused by its sentence; going back goes on."""
    second = promotion_at(cast, "applied", version=staged_version(cast, 0.95)).version
    yearly(cast, days=1, grace=0)
    third = staged_version(cast, 0.97)
    promotion = request_promotion(version=third, target="production", by=cast.principal("eve"))
    settled = settle(promotion_id=promotion.pk, now=timezone.now() + 2 * DAY)

    assert settled.state == "gates_failed"
    assert f"The validation of {second.model} is overdue since" in settled.outcome
    assert fresh(second).stage == "production"
    back = roll_back(model=second.model, reason="complaints", by=cast.principal("cora"))
    settle(promotion_id=back.pk, now=timezone.now() + 2 * DAY)
    assert fresh(incumbent).stage == "production"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "every_days"),
        ({"every_days": 0}, "every_days"),
        ({"every_days": 3661}, "every_days"),
        ({"every_days": 1.5}, "every_days"),
        ({"every_days": 1, "grace_days": -1}, "grace_days"),
    ],
)
def test_a_period_is_a_number_of_days(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        GATES["review_not_overdue"].checked(given, "gates[0].parameters")
    assert refused.value.field == f"gates[0].parameters.{field}"
