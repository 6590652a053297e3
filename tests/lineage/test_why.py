"""Why A and B differ: single causes named, several not guessed between, gaps admitted."""

from __future__ import annotations

from typing import Any

import pytest

from lineage.models import Run
from registry.actions.evaluations import Measured, MeasuredOn, record_evaluation
from registry.actions.roles import grant_role
from registry.models import SYSTEM, ModelVersion
from tests.cast import Cast
from tests.lineage.scenes import CODE, CONFIG, ENVIRONMENT, a_run, a_version, digest_of, read


def why(cast: Cast, a: ModelVersion, b: ModelVersion, by: str = "vera") -> Any:
    answer = cast.client(by).get("/api/v1/why", {"a": a.reference, "b": b.reference})
    assert answer.status_code == 200, answer.json()
    return answer.json()


def pair(cast: Cast, **changes: Any) -> tuple[ModelVersion, ModelVersion]:
    """Two versions whose runs differ in `changes` only."""
    return a_version(cast, a_run(cast)), a_version(cast, a_run(cast, **changes))


def environment(**changes: Any) -> dict[str, Any]:
    return {"environment": {**ENVIRONMENT, **changes}}


PLANTED: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "a row",
        {"uses": [read("train.csv", "other")]},
        "data",
        "Only the training data differs: the dataset train.csv changed",
    ),
    ("rows", {"uses": [read("train.csv", "cut", rows=9)]}, "data", "(9 rows)"),
    (
        "another file",
        {"uses": [read("new.csv")]},
        "data",
        "the data read for training changed: train.csv sha256:",
    ),
    ("a file more", {"uses": [read("train.csv"), read("b.csv")]}, "data", "the dataset b.csv"),
    (
        "the commit",
        {"code": {**CODE, "commit": "2" * 40}},
        "code",
        "Only the code differs: the code changed: commit 1111111111",
    ),
    (
        "an edit",
        {"code": {**CODE, "dirty": True, "diff_digest": "sha256:" + "d" * 64}},
        "code",
        "the uncommitted changes changed: none",
    ),
    ("the script", {"entry_point": "fit.py"}, "code", "the entry point changed: train.py"),
    (
        "a parameter",
        {"parameters": {"lr": "0.2", "seed": "1"}},
        "parameters",
        "the parameter lr changed: 0.1 in",
    ),
    (
        "the seed",
        {"parameters": {"lr": "0.1", "seed": "7"}},
        "seed",
        "Only the seed differs: the parameter seed changed: 1 in",
    ),
    (
        "one more",
        {"parameters": {"lr": "0.1", "seed": "1", "x": "y"}},
        "parameters",
        "the parameter x is y in",
    ),
    ("the command", {"command": ["python", "train.py", "--fast"]}, "parameters", "the command changed"),
    (
        "the configuration",
        {"config": {**CONFIG, "digest": "sha256:" + "e" * 64, "values": {"depth": "4"}}},
        "config",
        "Only the configuration differs: the configuration conf.yaml changed: depth = 3 in",
    ),
    (
        "a package",
        environment(packages={"numpy": "2.2.0", "scikit-learn": "1.6.0"}),
        "environment",
        "Only the environment differs: the package scikit-learn changed: 1.7.1 in",
    ),
    ("a package less", environment(packages={"numpy": "2.2.0"}), "environment", "not installed in"),
    ("the interpreter", environment(python="CPython 3.12.1"), "environment", "the interpreter changed"),
    (
        "the image",
        environment(image_digest="sha256:" + "0" * 64),
        "image",
        "Only the container image differs: the container image changed",
    ),
    (
        "the machine",
        environment(hardware={"cpu": "x", "cpus": 8, "gpus": []}),
        "hardware",
        "Only the hardware differs: the number of processors changed: 2 in",
    ),
]


@pytest.mark.parametrize(
    ("changes", "kind", "told"), [each[1:] for each in PLANTED], ids=[each[0] for each in PLANTED]
)
def test_a_single_cause_is_named(cast: Cast, changes: dict[str, Any], kind: str, told: str) -> None:
    a, b = pair(cast, **changes)
    found = why(cast, a, b)
    assert (found["a"], found["b"]) == (a.reference, b.reference)
    assert [each["kind"] for each in found["differences"]] == [kind]
    assert found["sentence"].startswith("Only ")
    assert told in found["sentence"]
    assert found["differences"][0]["sentence"] in found["sentence"]
    back = why(cast, b, a)
    assert [each["kind"] for each in back["differences"]] == [kind]
    assert back["differences"][0]["a"] == found["differences"][0]["b"]


def test_the_sentence_about_data_names_both_sides(cast: Cast) -> None:
    a, b = pair(cast, uses=[read("train.csv", "other", rows=1200)])
    told = digest_of("train.csv")[:15], digest_of("other")[:15]
    assert why(cast, a, b)["differences"][0]["sentence"] == (
        f"the dataset train.csv changed: {told[0]}… (1,437 rows) in {a.reference}, "
        f"{told[1]}… (1,200 rows) in {b.reference}"
    )


def test_the_base_model(cast: Cast) -> None:
    one, two = a_version(cast, name="base"), a_version(cast, name="base")
    a = a_version(cast, a_run(cast), base=[one.reference])
    b = a_version(cast, a_run(cast), base=[two.reference])
    found = why(cast, a, b)
    assert found["sentence"].startswith("Only the base model differs")
    assert found["differences"][0]["a"] == [one.reference]


def test_a_base_that_may_not_be_seen_is_not_named(cast: Cast) -> None:
    hidden = a_version(cast, by="mallory", elsewhere=True, name="secret")
    grant_role(namespace=cast.elsewhere, user=cast.user("ada"), role="viewer", by=SYSTEM)
    a = a_version(cast, a_run(cast))
    b = a_version(cast, a_run(cast, by="ada"), by="ada", base=[hidden.reference])
    assert "secret" in str(why(cast, a, b, by="ada"))
    told = str(why(cast, a, b))
    assert "a version you may not see" in told
    assert "secret" not in told


def test_the_split_swapped(cast: Cast) -> None:
    left = [read("x.csv", context="training"), read("y.csv", context="test")]
    right = [read("x.csv", context="test"), read("y.csv", context="training")]
    a, b = a_version(cast, a_run(cast, uses=left)), a_version(cast, a_run(cast, uses=right))
    found = why(cast, a, b)
    assert {each["kind"] for each in found["differences"]} == {"split"}
    assert found["sentence"].startswith(
        "Only the split of the data differs: the use of the dataset x.csv changed"
    )
    assert "for training" in found["sentence"]
    assert "for test" in found["sentence"]


def test_other_data_that_only_measured(cast: Cast) -> None:
    uses = [read("train.csv"), read("test.csv", context="test")]
    a = a_version(cast, a_run(cast, uses=uses))
    b = a_version(cast, a_run(cast, uses=[uses[0], read("test.csv", "other", context="test")]))
    assert why(cast, a, b)["sentence"].startswith("Only the data that was not trained on differs")


def test_equal_content_in_another_folder_is_the_same_data(cast: Cast) -> None:
    a, b = pair(cast, uses=[read("copy/train.csv", "train.csv")])
    assert why(cast, a, b)["differences"] == []


def test_a_folder_in_the_command_is_no_difference(cast: Cast) -> None:
    a = a_version(cast, a_run(cast, command=["/usr/bin/python", "/home/a/train.py"]))
    b = a_version(cast, a_run(cast, command=["python", "/home/b/train.py"]))
    assert why(cast, a, b)["differences"] == []


def test_a_command_that_names_the_data_tells_nothing_more(cast: Cast) -> None:
    a = a_version(
        cast, a_run(cast, command=["python", "train.py", "--data=data/a.csv"], uses=[read("data/a.csv")])
    )
    b = a_version(
        cast, a_run(cast, command=["python", "train.py", "--data=data/b.csv"], uses=[read("data/b.csv")])
    )
    assert [each["kind"] for each in why(cast, a, b)["differences"]] == ["data"]


def test_a_command_that_names_the_base_tells_nothing_more(cast: Cast) -> None:
    base = a_version(cast, name="base").reference
    a = a_version(cast, a_run(cast))
    b = a_version(cast, a_run(cast, command=["python", "train.py", base]), base=[base])
    assert [each["kind"] for each in why(cast, a, b)["differences"]] == ["base"]


def test_configuration_that_is_logged_as_parameters_is_told_once(cast: Cast) -> None:
    config = {**CONFIG, "digest": "sha256:" + "e" * 64, "values": {"depth": "4"}}
    a = a_version(cast, a_run(cast, parameters={"depth": "3"}))
    b = a_version(cast, a_run(cast, parameters={"depth": "4"}, config=config))
    assert [each["kind"] for each in why(cast, a, b)["differences"]] == ["config"]


def test_of_several_causes_none_is_claimed(cast: Cast) -> None:
    a, b = pair(cast, uses=[read("train.csv", "other")], parameters={"lr": "0.2", "seed": "1"})
    found = why(cast, a, b)
    assert [each["kind"] for each in found["differences"]] == ["data", "parameters"]
    assert found["sentence"] == (
        "Several things differ, and any may be the cause: the training data and the parameters."
    )


class TestNothing:
    def test_nothing_recorded_explains_another_metric(self, cast: Cast) -> None:
        a = a_version(cast, a_run(cast, metrics={"auc": 0.8}))
        b = a_version(cast, a_run(cast, metrics={"auc": 0.9}))
        found = why(cast, a, b)
        assert found["differences"] == []
        assert found["sentence"] == "Nothing recorded explains this."

    def test_equal_versions(self, cast: Cast) -> None:
        a = a_version(cast, a_run(cast, metrics={"auc": 0.8}))
        b = a_version(cast, a_run(cast, metrics={"auc": 0.8}))
        assert "measure the same, and nothing recorded differs" in why(cast, a, b)["sentence"]

    def test_one_version(self, cast: Cast) -> None:
        a = a_version(cast, a_run(cast))
        assert "is one version" in why(cast, a, a)["sentence"]


class TestGaps:
    def test_versions_without_a_run_say_so(self, cast: Cast) -> None:
        a, b = a_version(cast), a_version(cast, a_run(cast))
        found = why(cast, a, b)["sentence"]
        assert f"Registered without a run: {a.reference};" in found
        assert not found.startswith("Only")

    def test_what_was_not_captured_is_a_reservation(self, cast: Cast) -> None:
        unseen = {"state": "unknown", "notes": ["a reader could not be observed"]}
        a, b = pair(cast, parameters={"lr": "0.2", "seed": "1"}, capture=unseen)
        found = why(cast, a, b)["sentence"]
        assert found.startswith("Of what is recorded, only the parameters differ")
        assert f"{b.reference} used was captured, so more may differ" in found

    def test_a_side_without_data_is_a_gap_not_a_difference(self, cast: Cast) -> None:
        a, b = pair(cast, uses=[])
        found = why(cast, a, b)
        assert found["differences"] == []
        assert f"Not recorded of {b.reference}: no dataset that was read." in found["sentence"]


class TestMetrics:
    def measure(self, cast: Cast, version: ModelVersion, value: float, data: str = "held.csv") -> None:
        on = MeasuredOn(dataset=data, digest=digest_of(data), split="test")
        metrics = [Measured(name="accuracy", value=value)]
        record_evaluation(version=version, on=on, metrics=metrics, by=cast.principal("ci"))

    def test_evaluations_on_the_same_data(self, cast: Cast) -> None:
        a, b = pair(cast)
        self.measure(cast, a, 0.5)
        self.measure(cast, b, 0.25)
        self.measure(cast, b, 0.75, "other.csv")
        (found,) = why(cast, a, b)["metrics"]
        assert (found["name"], found["dataset"], found["split"]) == ("accuracy", "held.csv", "test")
        assert (found["a"], found["b"], found["difference"]) == (0.5, 0.25, -0.25)

    def test_a_difference_that_is_no_finite_number_is_null(self, cast: Cast) -> None:
        a, b = pair(cast)
        self.measure(cast, a, -1.7e308)
        self.measure(cast, b, 1.7e308)
        (found,) = why(cast, a, b)["metrics"]
        assert (found["a"], found["b"], found["difference"]) == (-1.7e308, 1.7e308, None)

    def test_else_what_the_runs_measured(self, cast: Cast) -> None:
        a = a_version(cast, a_run(cast, metrics={"loss": 0.5, "only": 1.0, "odd": float("nan")}))
        b = a_version(cast, a_run(cast, metrics={"loss": 0.75, "odd": 1.0}))
        self.measure(cast, a, 0.5)
        found = {each["name"]: each for each in why(cast, a, b)["metrics"]}
        assert set(found) == {"loss", "odd"}
        assert found["loss"]["difference"] == 0.25
        assert (found["odd"]["a"], found["odd"]["b"], found["odd"]["difference"]) == (None, 1.0, None)


class TestAsking:
    def test_a_stranger_is_told_nothing(self, cast: Cast) -> None:
        a, b = pair(cast)
        query = {"a": a.reference, "b": b.reference}
        assert cast.client("mallory").get("/api/v1/why", query).status_code == 404
        assert cast.client(None).get("/api/v1/why", query).status_code == 401

    @pytest.mark.parametrize("query", [{}, {"a": "x/y:1"}, {"a": "nonsense", "b": "x/y:1"}])
    def test_two_references_are_needed(self, cast: Cast, query: dict[str, str]) -> None:
        assert cast.client("ben").get("/api/v1/why", query).status_code in {404, 422}

    def test_the_queries_do_not_grow(self, cast: Cast, django_assert_max_num_queries: Any) -> None:
        a, b = pair(cast)
        with django_assert_max_num_queries(20) as counted:
            why(cast, a, b)
        uses = [read(f"{n}.csv") for n in range(30)]
        c, d = pair(cast, uses=uses, parameters={str(n): "x" for n in range(50)})
        with django_assert_max_num_queries(len(counted.captured_queries)):
            assert len(why(cast, c, d)["differences"]) > 50


def test_odd_shapes_do_no_harm(cast: Cast) -> None:
    """What a client sent as code, environment and config need not have the shape that was meant."""
    strange: dict[str, Any] = {
        "code": {"commit": 3, "dirty": "yes", "diff_digest": ["x"]},
        "environment": {"packages": ["numpy"], "hardware": "big", "python": 3},
        "config": {"values": [1], "digest": {"a": 1}},
        "command": [],
    }
    a, b = pair(cast, **strange)
    assert Run.objects.get(pk=str(b.run_id)).code == strange["code"]
    assert why(cast, a, b)["differences"]
