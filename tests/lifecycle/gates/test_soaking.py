"""The gate soaked: long enough in staging, as what it is, without interruption, by somebody else's word."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from lifecycle.actions.promotions import move_version, request_promotion
from lifecycle.deployments import sweep
from lifecycle.gates import GATES, Finding
from lifecycle.gates.evaluate import context_of, findings
from lifecycle.gates.kinds import Context
from lifecycle.models import Promotion
from lifecycle.promotions import settle
from registry.errors import InvalidInput
from registry.models import ModelVersion, StageChange
from tests.cast import Cast
from tests.factories import evaluate, fresh, published_policy, ready_version, simple_policy, staged_version
from tests.lifecycle.running import Clock, runs, stops

GATE = GATES["soaked"]
DAY = {"hours": 24.0, "target": "staging-*"}
OTHER = "sha256:" + "7" * 64


def ask(cast: Cast, version: ModelVersion, now: datetime, by: str = "ada", **parameters: Any) -> Finding:
    """What the gate says at that time of a request that was just made."""
    promotion = Promotion(
        version=version,
        target="production",
        requested_by=cast.user(by),
        requested_at=now,
        expires_at=now + timedelta(days=7),
    )
    context = Context(promotion=promotion, version=fresh(version), incumbent=None, now=now)
    return GATE.evaluate(context, GATE.checked({**DAY, **parameters}, "parameters"))


def beats(
    cast: Cast,
    version: ModelVersion,
    clock: Clock,
    hours: list[float],
    target: str = "staging-1",
    **more: Any,
) -> None:
    """The target reports at these hours; it promised to every two."""
    for hour in hours:
        runs(cast, version, target, now=clock.at(hour), serves="staging", interval=7200, **more)


def test_it_works(cast: Cast) -> None:
    version, clock = staged_version(cast), Clock()
    beats(cast, version, clock, [*range(26)])
    found = ask(cast, version, clock.at(25))
    assert found.verdict == "pass", found
    assert found.sentence.startswith("It ran on staging-1 for 24 hours and more without interruption, from")
    assert found.evidence["digest"] == f"sha256:{version.manifest.digest}"


def test_while_it_soaks_it_is_pending_and_says_until_when(cast: Cast) -> None:
    version, clock = staged_version(cast), Clock()
    beats(cast, version, clock, [0, 1, 2])
    found = ask(cast, version, clock.at(2))
    assert found.verdict == "pending"
    assert f"24 hours are over at {clock.at(24):%Y-%m-%d %H:%M} UTC" in found.sentence
    beats(cast, version, clock, [3])
    again = ask(cast, version, clock.at(3))
    assert (again.sentence, again.evidence) == (found.sentence, found.evidence)  # no clock in it


def test_a_single_report_is_no_proof_of_the_hours_after_it(cast: Cast) -> None:
    version, clock = staged_version(cast), Clock()
    runs(cast, version, "staging-1", now=clock.at(0), serves="staging")
    found = ask(cast, version, clock.at(30))
    assert (found.verdict, "the first report after that shows it" in found.sentence) == ("pending", True)
    runs(cast, version, "staging-1", now=clock.at(31))
    assert ask(cast, version, clock.at(31)).verdict == "pass"


def test_what_is_over_only_after_the_request_expires_is_refused_at_once(cast: Cast) -> None:
    version, clock = staged_version(cast), Clock()
    beats(cast, version, clock, [0, 1])
    found = ask(cast, version, clock.at(1), hours=24.0 * 30)
    assert found.verdict == "fail"
    assert "when this request will have expired" in found.sentence
    assert (
        ask(cast, version, clock.at(1), hours=24.0 * 7 + 1).verdict == "fail"
    )  # over as the request expires
    assert ask(cast, version, clock.at(1), hours=24.0 * 7 + 0.9).verdict == "pending"


def test_nobody_reports(cast: Cast) -> None:
    version, clock = staged_version(cast), Clock()
    found = ask(cast, version, clock.at(30))
    assert found.verdict == "fail"
    assert found.sentence.startswith(f"Nothing reports that {version.reference} runs on a target staging-*.")
    assert f"assay deployed {version.reference} --target" in found.sentence


def test_elsewhere_does_not_count(cast: Cast) -> None:
    version, clock = staged_version(cast), Clock()
    beats(cast, version, clock, [*range(26)], target="laptop")
    assert ask(cast, version, clock.at(25)).verdict == "fail"
    assert ask(cast, version, clock.at(25), target="laptop").verdict == "pass"
    assert ask(cast, version, clock.at(25), target="*").verdict == "pass"


def test_other_bytes_do_not_count(cast: Cast) -> None:
    version, clock = staged_version(cast), Clock()
    beats(cast, version, clock, [*range(26)], digest=OTHER)
    found = ask(cast, version, clock.at(25))
    assert found.verdict == "fail"
    assert "staging-1 was reported to run sha256:777777777777…, which is not" in found.sentence


def test_the_time_of_another_version_does_not_count(cast: Cast) -> None:
    old, clock = staged_version(cast), Clock()
    beats(cast, old, clock, [*range(25)])
    new = staged_version(cast, 0.95)
    beats(cast, new, clock, [25, 26])
    found = ask(cast, new, clock.at(26))
    assert found.verdict == "pending"
    assert f"since {clock.at(25):%Y-%m-%d %H:%M} UTC" in found.sentence


@pytest.mark.parametrize("noticed", ["by a sweep", "by the next report", "now"])
def test_silence_interrupts(cast: Cast, noticed: str) -> None:
    version, clock = staged_version(cast), Clock()
    beats(cast, version, clock, [*range(20)])
    if noticed == "by a sweep":
        sweep(clock.at(22))
    if noticed != "now":
        beats(cast, version, clock, [25, 26])
        found = ask(cast, version, clock.at(26))
        assert found.verdict == "pending"
        assert f"since {clock.at(25):%Y-%m-%d %H:%M} UTC" in found.sentence
    else:
        found = ask(cast, version, clock.at(26))
        assert found.verdict == "fail"
        assert "It ran on staging-1 for 19 hours, until it fell silent" in found.sentence
        assert "asked is 24 hours without interruption" in found.sentence


@pytest.mark.parametrize("what", ["removed", "replaced", "bytes"])
def test_an_interruption_begins_it_anew(cast: Cast, what: str) -> None:
    version, clock = staged_version(cast), Clock()
    beats(cast, version, clock, [*range(20)])
    told = {"removed": "was taken away", "replaced": "was replaced by version 2", "bytes": "other bytes"}
    match what:
        case "removed":
            stops(cast, version, "staging-1", now=clock.at(20))
        case "replaced":
            beats(cast, staged_version(cast, 0.95), clock, [20])
        case _:
            beats(cast, version, clock, [20], digest=OTHER)
    found = ask(cast, version, clock.at(20))
    assert found.verdict == "fail"
    assert told[what] in found.sentence
    beats(cast, version, clock, [*range(21, 40)])
    assert ask(cast, version, clock.at(39)).verdict == "pending"
    beats(cast, version, clock, [*range(40, 46)])
    assert ask(cast, version, clock.at(45)).verdict == "pass"


def test_two_targets_are_not_added_up(cast: Cast) -> None:
    version, clock = staged_version(cast), Clock()
    beats(cast, version, clock, [*range(14)])
    stops(cast, version, "staging-1", now=clock.at(13))
    beats(cast, version, clock, [*range(13, 26)], target="staging-2")
    assert ask(cast, version, clock.at(25)).verdict == "pending"


def test_only_the_time_in_staging_counts(cast: Cast) -> None:
    """It ran there for days before its gates let it into staging."""
    version, clock = ready_version(cast), Clock()
    beats(cast, version, clock, [*range(30)])
    found = ask(cast, version, clock.at(29))
    assert found.verdict == "fail"
    assert found.sentence == f"{version.reference} is in development: it soaks in staging only, for 24 hours."
    evaluate(cast, version, 0.9)
    asked = request_promotion(version=version, target="staging", by=cast.principal("ada"))
    settle(promotion_id=asked.pk, now=clock.at(29))
    entered = StageChange.objects.get(version=version, to_stage="staging").at
    assert entered == clock.at(29)
    beats(cast, version, clock, [*range(30, 53)])
    assert ask(cast, version, clock.at(52)).verdict == "pending"
    beats(cast, version, clock, [53])
    assert ask(cast, version, clock.at(53)).verdict == "pass"


def test_leaving_staging_begins_it_anew(cast: Cast) -> None:
    version, clock = staged_version(cast), Clock()
    beats(cast, version, clock, [*range(26)])
    move_version(version=version, move="demote", reason="again", by=cast.principal("ada"))
    asked = request_promotion(version=fresh(version), target="staging", by=cast.principal("ada"))
    settle(promotion_id=asked.pk, now=clock.at(26))
    beats(cast, version, clock, [26, 27])
    assert ask(cast, version, clock.at(27)).verdict == "pending"


@pytest.mark.parametrize("who", ["ada", "eve"])
def test_ones_own_word_does_not_count(cast: Cast, who: str) -> None:
    """eve made it and ada asks; cora, who runs staging, has nothing to do with either."""
    version, clock = staged_version(cast, by="eve"), Clock()
    beats(cast, version, clock, [*range(26)], by=who)
    found = ask(cast, version, clock.at(25))
    assert found.verdict == "fail"
    assert "Only who asked, made or trained" in found.sentence
    assert ask(cast, version, clock.at(25), reported_by="anyone").verdict == "pass"


def test_nobody_keeps_it_alive_for_another(cast: Cast) -> None:
    """It crashed after an hour; who asked for the promotion went on reporting."""
    version, clock = staged_version(cast), Clock()
    beats(cast, version, clock, [0, 1])
    beats(cast, version, clock, [*range(2, 26)], by="ada")
    found = ask(cast, version, clock.at(25))
    assert found.verdict == "fail"
    assert "reported by who asked, made or trained it" in found.sentence


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "hours"),
        ({"hours": 0.0}, "hours"),
        ({"hours": -1.0}, "hours"),
        ({"hours": float("nan")}, "hours"),
        ({"hours": float("inf")}, "hours"),
        ({"hours": 1e9}, "hours"),
        ({"hours": "24"}, "hours"),
        ({"hours": 1.0, "target": "Staging"}, "target"),
        ({"hours": 1.0, "target": ""}, "target"),
        ({"hours": 1.0, "target": "[a-z]"}, "target"),
        ({"hours": 1.0, "reported_by": "me"}, "reported_by"),
    ],
)
def test_absurd_parameters_are_refused_where_they_are(cast: Cast, wrong: dict[str, Any], field: str) -> None:
    gates = [{"gate": "soaked", "parameters": wrong}]
    with pytest.raises(InvalidInput) as refused:
        published_policy(cast, target="production", gates=gates, approvals={"count": 1})
    assert refused.value.field == f"gates[0].parameters.{field}"


def test_evidence_that_cannot_be_read_is_an_error_and_passes_nothing(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    simple_policy(cast, "production", [{"gate": "soaked", "parameters": DAY}])
    version, clock = staged_version(cast), Clock()
    beats(cast, version, clock, [*range(26)])
    asked = request_promotion(version=version, target="production", by=cast.principal("eve"))
    monkeypatch.setattr("lifecycle.gates.soaking._spans", lambda *given: 1 / 0)
    _, found = findings(context_of(asked, clock.at(25)))["soaked"]
    assert found.verdict == "error"
    assert settle(promotion_id=asked.pk, now=clock.at(25)).state == "gates_failed"


def test_a_promotion_waits_for_it_and_what_happens_afterwards_voids_nothing(cast: Cast) -> None:
    simple_policy(cast, "production", [{"gate": "soaked", "parameters": DAY}])
    version, clock = staged_version(cast), Clock()
    asked = request_promotion(version=version, target="production", by=cast.principal("eve"))
    beats(cast, version, clock, [0])
    assert settle(promotion_id=asked.pk, now=clock.at(0)).state == "evaluating"
    beats(cast, version, clock, [*range(1, 24)])
    assert settle(promotion_id=asked.pk, now=clock.at(23)).state == "evaluating"
    assert asked.gate_results.filter(key="soaked").count() == 1  # the same facts, no row for each look
    beats(cast, version, clock, [24])
    waits = settle(promotion_id=asked.pk, now=clock.at(24))
    assert waits.state == "awaiting_approval"
    beats(cast, version, clock, [24], target="staging-0")
    stops(cast, version, "staging-1", now=clock.at(25))
    again = settle(promotion_id=asked.pk, now=clock.at(26))
    assert (again.state, again.binding) == ("awaiting_approval", waits.binding)
