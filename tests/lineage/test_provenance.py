"""What the lifecycle is told of a version's making: facts missing, who trained, on what."""

from __future__ import annotations

from typing import Any

import pytest

from lineage.actions.datasets import Use
from lineage.completeness import OF_SUPPLY, Fact, Used, completeness
from lineage.models import Edge, Run
from lineage.provenance import completeness as of_version
from lineage.provenance import trainers_of, training_inputs
from registry.models import ModelVersion
from tests.cast import Cast
from tests.lineage.scenes import CODE, COMPLETE, CONFIG, ENVIRONMENT, a_run, a_version, digest_of, read, wrote


def a_making(**facts: Any) -> Run:
    made = {
        "entry_point": "train.py",
        "code": CODE,
        "environment": ENVIRONMENT,
        "config": CONFIG,
        "capture": COMPLETE,
        "status": "finished",
    }
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
    told = completeness(a_making(**facts), Used(read_count))
    assert told["state"] == state
    if missing:
        assert len(told["missing"]) == 1
        assert missing in told["missing"][0]
    else:
        assert told["missing"] == []


def test_a_run_that_goes_on_says_so() -> None:
    for capture in (COMPLETE, {}):
        (note,) = completeness(a_making(status="running", capture=capture), Used(1))["notes"]
        assert note.startswith("the run has not ended")


# The facts that are asked for only where a gate requires them, and a run without each.
WITHOUT: list[tuple[str, dict[str, Any], Used, str]] = [
    ("entry_point", {"entry_point": ""}, Used(1), "no entry point"),
    ("dataset_digests", {}, Used(3, undigested=2), "of 2 of the 3 datasets that were read"),
    ("config", {"config": None}, Used(1), "no configuration file"),
    ("config", {"config": {"path": "c.yaml"}}, Used(1), "no configuration file"),
    ("seeds", {"environment": {**ENVIRONMENT, "seeds": {}}}, Used(1), "no seed"),
    ("lock_file", {"environment": {**ENVIRONMENT, "lock_file": {}}}, Used(1), "no lock file"),
    ("image_digest", {"environment": {**ENVIRONMENT, "image_digest": ""}}, Used(1), "no container image"),
    ("hardware", {"environment": {**ENVIRONMENT, "hardware": {}}}, Used(1), "no hardware"),
]


@pytest.mark.parametrize(("fact", "facts", "used", "words"), WITHOUT)
def test_a_fact_is_missing_only_where_it_is_required(
    fact: str, facts: dict[str, Any], used: Used, words: str
) -> None:
    bare = a_making(**facts)
    told = completeness(bare, used)
    assert (told["state"], told["missing"], list(told["absent"])) == ("complete", [], [fact])
    assert words in told["absent"][fact]
    asked = completeness(bare, used, require=[fact])
    assert (asked["state"], asked["missing"]) == ("incomplete", [told["absent"][fact]])
    assert completeness(a_making(), Used(1), require=[fact])["state"] == "complete"


@pytest.mark.parametrize(
    ("facts", "used", "score"),
    [
        ({}, Used(1), 100),
        # 12 facts of a run and that it could see all that it used.
        ({"environment": {**ENVIRONMENT, "lock_file": {}}}, Used(1), 100 * 12 // 13),
        ({"capture": {"state": "unknown", "notes": []}}, Used(1), 100 * 12 // 13),
        # Without a configuration there is nothing to ask of it, nor of a tree without a commit.
        ({"config": None}, Used(1), 100),
        ({"code": None}, Used(1), 100 * 11 // 12),
        ({"code": {**CODE, "dirty": True}}, Used(1), 100 * 12 // 13),
        ({}, Used(0), 100 * 11 // 12),
        ({}, Used(2, undigested=1), 100 * 12 // 13),
        ({"environment": {}}, Used(1), 100 * 8 // 13),
        ({"environment": {}}, Used(1, seeded=True), 100 * 9 // 13),
    ],
)
def test_the_score_is_the_share_of_the_facts_that_apply(
    facts: dict[str, Any], used: Used, score: int
) -> None:
    assert completeness(a_making(**facts), used)["score"] == score
    assert len(set(Fact) - OF_SUPPLY) == 12


def test_without_a_run_the_score_is_nothing() -> None:
    assert completeness(None, Used())["score"] == 0


def test_a_required_fact_that_nobody_records_is_missing() -> None:
    told = completeness(a_making(), Used(1), require=["horoscope"])
    assert told["state"] == "incomplete"
    assert "horoscope" in told["missing"][0]


def test_what_is_told_of_a_version(cast: Cast) -> None:
    assert of_version(a_version(cast, a_run(cast)))["state"] == "complete"
    assert of_version(a_version(cast))["missing"][0].startswith("no run")


def test_what_is_told_of_a_version_counts_its_rows(cast: Cast) -> None:
    """Whether datasets have digests of ours, and whether a parameter is a seed, is in rows beside the run."""
    bare = {**ENVIRONMENT, "seeds": {}}
    seeded = a_version(cast, a_run(cast, environment=bare, parameters={"model.random_state": "7"}))
    assert (of_version(seeded)["absent"], of_version(seeded)["score"]) == ({}, 100)
    assert ModelVersion.objects.get(pk=seeded.pk).completeness == of_version(seeded)
    unseeded = a_version(cast, a_run(cast, environment=bare, parameters={"lr": "0.1"}))
    assert of_version(unseeded)["absent"] == {"seeds": "no seed"}
    told = {**COMPLETE, "seeds": {"random": "7"}}
    later = a_version(cast, a_run(cast, environment=bare, parameters={"lr": "0.1"}, capture=told))
    assert of_version(later)["absent"] == {}
    foreign = Use("raw.csv", "md5:" + "0" * 32, Edge.Role.INPUT.value)
    odd = a_version(cast, a_run(cast, uses=[read("train.csv"), foreign]))
    assert list(of_version(odd)["absent"]) == ["dataset_digests"]


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
