"""The gates lineage_complete and external_check: what they ask for, and what does not excuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from lifecycle.actions.policies import report_check
from lifecycle.gates.kinds import Context, Finding
from lifecycle.gates.proofs import ExternalCheck, LineageComplete
from lifecycle.models import Promotion
from registry.errors import InvalidInput
from registry.models import ModelVersion
from tests.cast import Cast
from tests.factories import ready_version
from tests.lineage.scenes import COMPLETE, ENVIRONMENT, a_run, a_version

UNKNOWN = {"state": "unknown", "notes": ["a reader could not be observed."]}
BARE = {**ENVIRONMENT, "image_digest": ""}
UNLOCKED = {**ENVIRONMENT, "lock_file": {}, "seeds": {}}


@pytest.mark.parametrize(
    ("facts", "asked", "verdict", "told"),
    [
        ({}, {}, "pass", "are recorded"),
        ({"code": None}, {}, "fail", "no Git commit"),
        ({"capture": UNKNOWN}, {}, "fail", "a reader could not be observed"),
        ({"capture": UNKNOWN}, {"accept_unknown": True}, "pass", "are recorded"),
        ({"capture": UNKNOWN, "code": None}, {"accept_unknown": True}, "fail", "no Git commit"),
        ({"environment": BARE}, {}, "pass", "are recorded"),
        (
            {"environment": BARE},
            {"require": ["image_digest"]},
            "fail",
            "recorded: no container image digest.",
        ),
        ({"environment": UNLOCKED}, {}, "pass", "are recorded"),
        (
            {"environment": UNLOCKED, "parameters": {"lr": "0.1"}},
            {"require": ["lock_file", "seeds"]},
            "fail",
            "recorded: no seed; no lock file",
        ),
        (
            {"capture": UNKNOWN, "environment": UNLOCKED},
            {},
            "fail",
            "recorded: a reader could not be observed.",
        ),
    ],
)
def test_what_it_says(
    cast: Cast, facts: dict[str, Any], asked: dict[str, Any], verdict: str, told: str
) -> None:
    version = a_version(cast, a_run(cast, **{"capture": COMPLETE, **facts}))
    gate = LineageComplete()
    context = Context(promotion=Promotion(), version=version, incumbent=None, now=timezone.now())
    found = gate.evaluate(context, gate.checked(asked, "parameters"))
    assert found.verdict == verdict
    assert told in found.sentence


def test_a_fact_that_nobody_records_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidInput) as refused:
        LineageComplete().checked({"require": ["horoscope"]}, "parameters")
    assert refused.value.sentence.startswith("'horoscope' is not a fact of lineage; there are run, commit, ")
    assert all(
        fact in refused.value.sentence for fact in ("seeds", "lock_file", "hardware", "dataset_digests")
    )


def test_what_it_claims_is_read_as_words() -> None:
    gate = LineageComplete()
    claim = gate.claim(gate.checked({"require": ["lock_file", "image_digest"]}, "parameters"))
    assert claim.endswith(", with lock file, image digest")


# ---- external_check


def checked(cast: Cast, version: ModelVersion, hours: float = 0, **given: Any) -> Finding:
    """What the gate says so long after the request."""
    asked = datetime.now(UTC)
    promotion = Promotion(
        version=version, target="production", requested_by=cast.user("eve"), requested_at=asked
    )
    context = Context(
        promotion=promotion, version=version, incumbent=None, now=asked + timedelta(hours=hours)
    )
    return ExternalCheck().evaluate(
        context, ExternalCheck().checked({"name": "smoke", **given}, "parameters")
    )


def reported(
    cast: Cast, version: ModelVersion, passed: bool = True, by: str = "ci", name: str = "smoke"
) -> None:
    report_check(version=version, name=name, passed=passed, sentence="5 of 5", by=cast.principal(by))


def test_a_check_waits_until_it_is_reported(cast: Cast) -> None:
    version = ready_version(cast)
    reported(cast, version, name="smoke-2")
    assert checked(cast, version).verdict == "pending"
    reported(cast, version)
    found = checked(cast, version)
    assert (found.verdict, "reports that 'smoke' passed: 5 of 5" in found.sentence) == ("pass", True)
    reported(cast, version, passed=False)
    assert checked(cast, version).verdict == "fail"


@pytest.mark.parametrize("who", ["ben", "eve"])
def test_a_check_is_not_ones_own(cast: Cast, who: str) -> None:
    version = ready_version(cast)
    reported(cast, version, by=who)
    assert checked(cast, version).verdict == "pending"
    assert checked(cast, version, reported_by="anyone").verdict == "pass"


def test_a_check_may_be_reported_by_whom_the_policy_names(cast: Cast) -> None:
    version, ci, ada = ready_version(cast), cast.user("ci").username, cast.user("ada").username
    reported(cast, version, by="ada")
    found = checked(cast, version, reporters=[ci])
    assert (found.verdict, f"None of {ci} has reported" in found.sentence) == ("pending", True)
    assert checked(cast, version, reporters=[ci, ada]).verdict == "pass"
    reported(cast, version, by="ada", passed=False)
    reported(cast, version)
    reported(cast, version, by="ada", passed=False)
    assert checked(cast, version, reporters=[ci]).verdict == "pass"


def test_a_check_has_a_deadline(cast: Cast) -> None:
    version = ready_version(cast)
    assert checked(cast, version, hours=3.9, within_hours=4).verdict == "pending"
    assert checked(cast, version, hours=4, within_hours=4).verdict == "pending"
    late = checked(cast, version, hours=4.1, within_hours=4)
    assert late.verdict == "fail"
    assert late.sentence == (
        "The check 'smoke' was not reported as passed within 4 h of the request; report it, and ask again."
    )
    assert checked(cast, version, hours=100).verdict == "pending"
    reported(cast, version)
    assert checked(cast, version, hours=100, within_hours=4).verdict == "pass", "it passed in time"


def test_what_passed_too_late_did_not_pass(cast: Cast) -> None:
    version = ready_version(cast)
    reported(cast, version)
    promotion = Promotion(
        version=version, target="staging", requested_by=cast.user("eve"),
        requested_at=timezone.now() - timedelta(hours=5),
    )  # fmt: skip
    context = Context(promotion=promotion, version=version, incumbent=None, now=timezone.now())
    gate = ExternalCheck()
    assert gate.evaluate(context, gate.checked({"name": "smoke", "within_hours": 4}, "")).verdict == "fail"
    assert gate.evaluate(context, gate.checked({"name": "smoke", "within_hours": 6}, "")).verdict == "pass"


@pytest.mark.parametrize("hours", [0, -1, 721, float("nan"), float("inf"), "4", True])
def test_a_deadline_is_a_number_of_hours(hours: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        ExternalCheck().checked({"name": "smoke", "within_hours": hours}, "p")
    assert refused.value.field == "p.within_hours"
