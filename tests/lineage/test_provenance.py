"""What the lifecycle is told of a version's making: facts missing, who trained, on what."""

from __future__ import annotations

from typing import Any

import pytest

from lineage.completeness import completeness
from lineage.models import Run
from lineage.provenance import completeness as of_version
from lineage.provenance import trainers_of, training_inputs
from tests.cast import Cast
from tests.lineage.scenes import CODE, COMPLETE, ENVIRONMENT, a_run, a_version, digest_of, read, wrote


def a_making(**facts: Any) -> Run:
    made = {"code": CODE, "environment": ENVIRONMENT, "capture": COMPLETE, "status": "finished"}
    return Run(**{**made, **facts})


@pytest.mark.parametrize(
    ("facts", "read_count", "state", "missing"),
    [
        ({}, 1, "complete", ""),
        ({}, 0, "incomplete", "no dataset"),
        ({"code": None}, 1, "incomplete", "no Git commit"),
        ({"code": {**CODE, "commit": ""}}, 1, "incomplete", "no Git commit"),
        ({"code": {**CODE, "dirty": True}}, 1, "incomplete", "changes that are in no commit"),
        ({"environment": {**ENVIRONMENT, "packages": {}}}, 1, "incomplete", "no package versions"),
        ({"environment": {**ENVIRONMENT, "image_digest": ""}}, 1, "complete", ""),
        ({"capture": {"state": "incomplete", "notes": ["x.csv is gone."]}}, 1, "incomplete", "x.csv is gone"),
        ({"capture": {"state": "incomplete", "notes": []}}, 1, "incomplete", "part of what"),
        ({"capture": {"state": "unknown", "notes": ["mmap."]}}, 1, "unknown", ""),
        ({"capture": {"state": "unknown", "notes": []}}, 0, "unknown", "no dataset"),
        ({"capture": {}}, 1, "unknown", ""),
        ({"status": "running"}, 1, "unknown", ""),
        ({"status": "scheduled"}, 1, "unknown", ""),
        ({"status": "running", "capture": {"state": "incomplete", "notes": ["x"]}}, 1, "unknown", "x"),
        ({"status": "failed"}, 1, "incomplete", "did not finish: it failed"),
        ({"status": "killed"}, 1, "incomplete", "did not finish: it was killed"),
        ({"status": "failed", "capture": {}}, 1, "incomplete", "did not finish"),
    ],
)
def test_each_fact_that_is_missing(facts: dict[str, Any], read_count: int, state: str, missing: str) -> None:
    told = completeness(a_making(**facts), read_count)
    assert told["state"] == state
    if missing:
        assert len(told["missing"]) == 1
        assert missing in told["missing"][0]
    else:
        assert told["missing"] == []


def test_a_run_that_goes_on_says_so() -> None:
    for capture in (COMPLETE, {}):
        (note,) = completeness(a_making(status="running", capture=capture), 1)["notes"]
        assert note.startswith("the run has not ended")


def test_an_image_is_noted_and_missing_only_where_it_is_required() -> None:
    bare = a_making(environment={**ENVIRONMENT, "image_digest": ""})
    assert "image" in completeness(bare, 1)["notes"][0]
    assert "image" in completeness(bare, 1, require=["image_digest"])["missing"][0]
    assert completeness(a_making(), 1, require=["image_digest", "clean_tree"])["state"] == "complete"


def test_a_required_fact_that_nobody_records_is_missing() -> None:
    told = completeness(a_making(), 1, require=["horoscope"])
    assert told["state"] == "incomplete"
    assert "horoscope" in told["missing"][0]


def test_what_is_told_of_a_version(cast: Cast) -> None:
    assert of_version(a_version(cast, a_run(cast)))["state"] == "complete"
    assert of_version(a_version(cast))["missing"][0].startswith("no run")


def test_who_trained_is_who_ran(cast: Cast) -> None:
    version = a_version(cast, a_run(cast, by="ada"), by="ci")
    assert trainers_of(version) == {cast.user("ada").pk}


def test_who_answers_for_the_service_account_trained_too(cast: Cast) -> None:
    version = a_version(cast, a_run(cast, by="ci"), by="ada")
    assert trainers_of(version) == {cast.user("ci").pk, cast.user("ada").pk}


def test_without_a_run_who_registered_it_trained(cast: Cast) -> None:
    assert trainers_of(a_version(cast, by="eve")) == {cast.user("eve").pk}


def test_training_inputs_reach_through_steps_and_bases(cast: Cast) -> None:
    a_run(cast, uses=[read("raw.csv", context=""), wrote("features.csv")])
    first = a_version(cast, a_run(cast, uses=[read("features.csv"), read("held.csv", context="test")]))
    second = a_version(cast, a_run(cast, uses=[read("more.csv")]), base=[first.reference])
    a_run(cast, uses=[read("unrelated.csv")])
    assert training_inputs(first) == {
        digest_of("raw.csv"): {""},
        digest_of("features.csv"): {"training"},
        digest_of("held.csv"): {"test"},
    }
    assert set(training_inputs(second)) == {*training_inputs(first), digest_of("more.csv")}
    assert training_inputs(a_version(cast)) == {}
