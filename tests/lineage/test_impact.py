"""Impact over REST: the exact set of versions that something went into, in every stage, whatever one asks from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from lifecycle.actions.promotions import move_version
from lineage.graph import Arrow, add_edges
from lineage.impact import Question, affected_versions, sources_of
from lineage.models import DatasetVersion, Edge, Package, Run
from registry.actions.roles import grant_role
from registry.models import SYSTEM, ModelVersion, Stage
from tests.cast import Cast
from tests.factories import fresh, promotion_at, ready_version, staged_version
from tests.lineage.scenes import CODE, ENVIRONMENT, a_run, a_version, digest_of, read, wrote

GOOD, BAD = "1" * 40, "bad0bad" + "2" * 33
OTHER_IMAGE = "sha256:" + "e" * 64


def ask(client: APIClient, **query: Any) -> Any:
    return client.get("/api/v1/impact", query)


def named(answer: Any) -> dict[str, str]:
    """{reference: stage}."""
    assert answer.status_code == 200, answer.json()
    return {each["reference"]: each["stage"] for each in answer.json()["results"]}


def made_of(cast: Cast, version: ModelVersion, above: Run | ModelVersion, through: str) -> None:
    """version's run reads a dataset that `above` (a run) wrote: two more hops; or the version is based on it."""
    assert version.run_id
    if isinstance(above, ModelVersion):
        add_edges([Arrow(above.pk, version.pk, Edge.Role.BASE)])
        return
    written = DatasetVersion.objects.get(produced_by=above, dataset__name=through)
    add_edges([Arrow(written.pk, version.run_id, Edge.Role.INPUT)])


@pytest.fixture
def planted(cast: Cast) -> dict[str, ModelVersion]:
    """bad.csv -> run -> clean.csv -> run -> features.csv -> run -> version, in each stage; based on one of them a
    second generation; and others, made of other data, in each stage too."""
    a_run(cast, uses=[read("bad.csv"), wrote("clean.csv")])
    joining = a_run(cast, uses=[read("clean.csv"), wrote("features.csv")])
    found = {}
    for prefix in ("bad", "good"):
        for stage in Stage.values:
            model = f"{prefix}-{stage}"
            version = brought_to(cast, stage, model)
            found[model] = fresh(version)
            if prefix == "bad":
                made_of(cast, version, joining, "features.csv")
    second = ready_version(cast, model="bad-second")
    made_of(cast, second, found["bad-archived"], "")
    found["bad-second"] = second
    return found


def brought_to(cast: Cast, stage: str, model: str) -> ModelVersion:
    """A version in that stage, by the ways that lead there."""
    if stage in (Stage.DEVELOPMENT, Stage.DEPRECATED):
        version = ready_version(cast, model=model)
        if stage == Stage.DEPRECATED:
            move_version(version=version, move="deprecate", reason="old", by=cast.principal("eve"))
        return version
    version = staged_version(cast, model=model)
    if stage == Stage.STAGING:
        return version
    promotion_at(cast, "applied", version=version)
    if stage == Stage.ARCHIVED:
        promotion_at(cast, "applied", version=staged_version(cast, 0.95, model=model), value=0.95)
    return version


def bad(planted: dict[str, ModelVersion]) -> dict[str, str]:
    return {v.reference: v.stage for name, v in planted.items() if name.startswith("bad-")}


def test_five_hops_down_the_exact_set_in_every_stage(cast: Cast, planted: dict[str, ModelVersion]) -> None:
    client, expected = cast.client("vera"), bad(planted)
    data = DatasetVersion.objects.get(dataset__name="bad.csv", dataset__namespace=cast.namespace)
    for name in (data.pk, data.digest, f"{cast.namespace.name}/bad.csv@{data.digest}"):
        answer = ask(client, dataset=str(name))
        assert named(answer) == expected
        assert answer.json()["stages"] == {
            stage: sum(1 for each in expected.values() if each == stage) for stage in Stage.values
        }
        assert set(answer.json()["stages"].values()) == {1, 2}
        assert (answer.json()["restricted"], answer.json()["next"]) == (0, None)
    by_name = {each["reference"]: each for each in answer.json()["results"]}
    second = by_name[planted["bad-second"].reference]
    assert second["path"][0]["label"] == "bad.csv"
    assert [node["label"] for node in second["path"]][-2:] == [
        planted["bad-archived"].reference,
        planted["bad-second"].reference,
    ]
    assert [node["kind"] for node in second["path"]] == [
        "dataset_version", "run", "dataset_version", "run", "dataset_version", "run", "model_version",
        "model_version",
    ]  # fmt: skip
    assert second["distance"] == 7
    assert by_name[planted["bad-production"].reference]["distance"] == 6


def test_pages_name_every_version_once(cast: Cast, planted: dict[str, ModelVersion]) -> None:
    client = cast.client("vera")
    answer = ask(client, dataset=digest_of("bad.csv"), limit=2).json()
    found: list[str] = []
    while True:
        found += [each["reference"] for each in answer["results"]]
        assert sum(answer["stages"].values()) == 6
        assert all(each["path"][0]["label"] == "bad.csv" for each in answer["results"])
        if not answer["next"]:
            break
        answer = client.get(answer["next"]).json()
    assert sorted(found) == sorted(bad(planted))
    known = Question(datasets=[digest_of("bad.csv")])
    every = affected_versions(known, cast.principal("vera"), most=100)
    assert {each.pk for name, each in planted.items() if name.startswith("bad-")} == set(every)


def test_from_a_base(cast: Cast, planted: dict[str, ModelVersion]) -> None:
    """What was built on it, not itself; but a base that another one went into is affected."""
    client, (base, second) = cast.client("vera"), (planted["bad-archived"], planted["bad-second"])
    assert named(ask(client, base=base.reference)) == {second.reference: second.stage}
    third = ready_version(cast, model="third")
    made_of(cast, third, second, "")
    both = ask(client, base=[base.reference, second.reference])
    assert set(named(both)) == {second.reference, third.reference}
    ways = {e["reference"]: [n["label"] for n in e["path"]] for e in both.json()["results"]}
    assert ways == {
        second.reference: [base.reference, second.reference],
        third.reference: [second.reference, third.reference],
    }


def coded(cast: Cast, commit: str, model: str) -> ModelVersion:
    return a_version(cast, a_run(cast, code={**CODE, "commit": commit}), name=model)


def test_from_commits(cast: Cast) -> None:
    good, wrong = coded(cast, GOOD, "good"), coded(cast, BAD, "wrong")
    client = cast.client("vera")
    for commit in (BAD, BAD[:7], BAD[:12]):
        assert set(named(ask(client, commit=commit))) == {wrong.reference}
    assert set(named(ask(client, commit=[GOOD, BAD[:8]]))) == {good.reference, wrong.reference}
    assert named(ask(client, commit="0123456")) == {}
    many = {"commit": [f"{number:040x}" for number in range(5000)] + [BAD]}
    answer = client.post("/api/v1/impact", many)
    assert set(named(answer)) == {wrong.reference}
    assert answer.json()["from"]["count"] == 1
    assert answer.json()["from"]["nodes"][0]["detail"]["commit"] == BAD


def with_packages(cast: Cast, model: str, **packages: str) -> ModelVersion:
    environment = {**ENVIRONMENT, "packages": {k.replace("_", "."): v for k, v in packages.items()}}
    return a_version(cast, a_run(cast, environment=environment), name=model)


def test_from_a_package_below_a_version(cast: Cast) -> None:
    old = with_packages(cast, "old", numpy="2.0.9", Zope_Interface="6.0")
    candidate = with_packages(cast, "candidate", numpy="2.0rc1")
    new = with_packages(cast, "new", numpy="2.1")
    odd = with_packages(cast, "odd", numpy="2.0-our-build-x")
    client = cast.client("vera")
    answer = ask(client, package="numpy<2.1")
    assert set(named(answer)) == {old.reference, candidate.reference}
    assert answer.json()["notes"] == [
        "Not compared with numpy<2.1: runs that recorded version 2.0-our-build-x, which is no version by PEP 440."
    ]
    assert set(named(ask(client, package="NumPy>=2.1"))) == {new.reference}
    every = {old.reference, candidate.reference, new.reference, odd.reference}
    assert set(named(ask(client, package="numpy"))) == every
    assert set(named(ask(client, package="zope-interface==6.0"))) == {old.reference}
    assert named(ask(client, package="pandas")) == {}
    # What others use is not told by what could not be compared.
    assert ask(cast.client("mallory"), package="numpy<2.1").json()["notes"] == []


def test_releases_are_noted_by_whoever_writes_a_run(cast: Cast) -> None:
    long = "x" * 201
    run = a_run(cast, environment={**ENVIRONMENT, "packages": {"A_b.C": "1", long: "1", "d": long}})
    assert Package.objects.filter(canonical="a-b-c", name="A_b.C", version="1").count() == 1
    assert not Package.objects.filter(name=long).exists()
    assert run.environment["packages"][long] == "1"


def test_from_an_image(cast: Cast) -> None:
    shared = a_version(cast, a_run(cast), name="shared")
    other = a_version(
        cast, a_run(cast, environment={**ENVIRONMENT, "image_digest": OTHER_IMAGE}), name="other"
    )
    client = cast.client("vera")
    assert set(named(ask(client, image=OTHER_IMAGE))) == {other.reference}
    assert set(named(ask(client, image=ENVIRONMENT["image_digest"]))) == {shared.reference}


def test_what_may_not_be_seen_is_counted_and_not_named(cast: Cast) -> None:
    """ben's data went into mallory's model by a base, and into one that ben may see."""
    grant_role(namespace=cast.namespace, user=cast.user("mallory"), role="data_scientist", by=SYSTEM)
    ours = a_version(cast, a_run(cast, uses=[read("ours.csv")]))
    hidden = a_version(
        cast, a_run(cast, by="mallory", elsewhere=True), by="mallory", elsewhere=True, name="secret-model",
        base=[ours.reference],
    )  # fmt: skip
    back = a_version(cast, by="mallory", name="back", base=[hidden.reference])
    answer = ask(cast.client("ben"), dataset=digest_of("ours.csv"))
    assert set(named(answer)) == {ours.reference, back.reference}
    assert answer.json()["restricted"] == 1
    way = {e["reference"]: [n["label"] for n in e["path"]] for e in answer.json()["results"]}[back.reference]
    assert way[-3:] == [ours.reference, "restricted", back.reference]
    text = json.dumps(answer.json())
    assert all(secret not in text for secret in ("secret", str(hidden.pk), cast.elsewhere.name))
    # Equal content in a namespace that one may not see is not searched for.
    a_version(
        cast, a_run(cast, by="mallory", elsewhere=True, uses=[read("ours.csv")]), by="mallory", elsewhere=True
    )
    assert ask(cast.client("ben"), dataset=digest_of("ours.csv")).json()["restricted"] == 1
    assert ask(cast.client("vera"), commit="1111111").json()["restricted"] == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "dataset"),
        ({"dataset": "train.csv"}, "dataset"),
        ({"dataset": "sha256:12"}, "dataset"),
        ({"commit": "abc123"}, "commit"),
        ({"commit": "HEAD~3..HEAD"}, "commit"),
        ({"package": "numpy<<2"}, "package"),
        ({"package": "numpy[all]<2"}, "package"),
        ({"image": "registry/image:tag"}, "image"),
        ({"base": "scorer"}, "ref"),
        ({"image": [OTHER_IMAGE] * 101}, "image"),
        ({"commit": "1111111", "cursor": "x"}, "cursor"),
    ],
)
def test_what_is_no_question_is_refused(cast: Cast, query: dict[str, Any], field: str) -> None:
    answer = ask(cast.client("ben"), **query)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_a_stranger_finds_nothing_to_ask_from(cast: Cast) -> None:
    version = a_version(cast, a_run(cast, uses=[read("a.csv")]))
    client = cast.client("mallory")
    assert ask(client, dataset=digest_of("a.csv")).status_code == 404
    assert ask(client, base=version.reference).status_code == 404
    assert ask(client, commit=GOOD).json()["from"]["count"] == 0


def test_the_queries_do_not_grow(cast: Cast, django_assert_max_num_queries: Any) -> None:
    client, question = cast.client("vera"), {"dataset": digest_of("a.csv")}
    last = a_version(cast, a_run(cast, uses=[read("a.csv")]))
    with django_assert_max_num_queries(13) as counted:
        assert len(named(ask(client, **question))) == 1
    for _ in range(5):
        last = a_version(cast, a_run(cast, uses=[read("a.csv"), read("b.csv")]), base=[last.reference])
    with django_assert_max_num_queries(len(counted.captured_queries)):
        assert len(named(ask(client, **question))) == 6


@pytest.mark.parametrize(
    ("question", "index"),
    [
        (Question(commits=[GOOD, BAD[:9]]), "run_commit"),
        (Question(images=[OTHER_IMAGE]), "run_image"),
        (Question(packages=["scikit-learn<9"]), "run_packages"),
    ],
)
def test_runs_are_found_by_index(cast: Cast, question: Question, index: str) -> None:
    """Nobody has to read every run's environment."""
    a_run(cast)
    (runs,), _ = sources_of(question, SYSTEM)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert index in runs.explain()
