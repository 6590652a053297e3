"""Steps that another tool ran: recorded once, joined to each other, and to the runs that read what they wrote."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from lineage.actions.datasets import log_datasets
from lineage.models import DatasetVersion, Edge, Node, Run
from lineage.provenance import training_inputs
from registry.models import Event
from tests.cast import Cast, make_cast
from tests.lineage.scenes import a_run, a_version, digest_of, read

RAW, CLEAN, TABLE = ("md5:" + c * 32 for c in "abc")


def use(name: str, foreign: str, role: str = "input", **more: Any) -> dict[str, Any]:
    return {"name": name, "foreign_digest": foreign, "role": role, **more}


def step(key: str, *uses: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"key": key * 64, "name": f"step {key}", "at": "2026-05-04T09:30:00Z", "uses": list(uses), **more}


def pipeline(**more: Any) -> dict[str, Any]:
    """raw.csv -> clean.csv -> features, as `dvc.lock` would have it."""
    return {
        "experiment": "dvc",
        "origin": "git.example.com/x",
        "steps": [
            step(
                "1", use("raw.csv", RAW), use("clean.csv", CLEAN, "output"),
                command=["/bin/sh", "-c", "python clean.py"], parameters={"seed": "1"}, metrics={"rows": 3},
                code={"commit": "1" * 40}, notes=["When it ran is not known."],
            ),
            step(
                "2", use("clean.csv", CLEAN, step="1" * 64),
                use("features", "md5-dir:" + "c" * 32, "output", size=10, files=2),
            ),
        ],
        **more,
    }  # fmt: skip


def tell(cast: Cast, body: dict[str, Any], by: str = "ben") -> dict[str, Any]:
    answer = cast.client(by).post(f"/api/v1/namespaces/{cast.namespace.name}/steps", body)
    assert answer.status_code == 200, answer.json()
    return dict(answer.json())


def shown(cast: Cast, run: str) -> dict[str, Any]:
    return dict(cast.client("ben").get(f"/api/v1/runs/{run}").json())


def state() -> tuple[int, ...]:
    counted = [model.objects.count() for model in (Run, DatasetVersion, Node, Edge)]
    return *counted, Event.objects.exclude(type="token.issued").count()


def test_it_works(cast: Cast) -> None:
    answer = tell(cast, pipeline())
    assert answer["new"] == {"steps": 2, "datasets": 0, "digests": 0}
    first, second = (shown(cast, answer["runs"][key * 64]) for key in "12")
    assert (first["name"], first["status"], first["experiment"]) == ("step 1", "finished", "dvc")
    assert (first["started_at"], first["ended_at"]) == ("2026-05-04T09:30:00Z", None)
    assert first["command"] == ["/bin/sh", "-c", "python clean.py"]
    assert (first["parameters"], first["metrics"]) == ({"seed": "1"}, {"rows": 3.0})
    assert first["capture"] == {"state": "unknown", "notes": ["When it ran is not known."]}
    assert first["code"]["commit"] == "1" * 40
    wrote = next(d for d in first["datasets"] if d["role"] == "output")
    assert (wrote["digest"], wrote["foreign_digest"]) == (CLEAN, CLEAN)
    assert next(d for d in second["datasets"] if d["role"] == "input")["id"] == wrote["id"]
    folder = next(d for d in second["datasets"] if d["role"] == "output")
    assert (folder["size"], folder["files"]) == (10, 2)
    (event,) = Event.objects.filter(namespace=cast.namespace, type="steps.recorded")
    assert event.after == {"origin": "git.example.com/x", "steps": 2, "datasets": 0, "digests": 0}


def test_the_same_said_twice_by_whoever_adds_nothing(cast: Cast) -> None:
    once = tell(cast, pipeline())
    before = state()
    again = tell(cast, pipeline(), by="eve")
    assert again["runs"] == once["runs"]
    assert again["new"] == {"steps": 0, "datasets": 0, "digests": 0}
    assert state() == before


def test_another_namespace_has_steps_of_its_own(cast: Cast) -> None:
    ours = tell(cast, pipeline())["runs"]
    other = cast.client("mallory").post(f"/api/v1/namespaces/{cast.elsewhere.name}/steps", pipeline()).json()
    assert set(ours.values()).isdisjoint(other["runs"].values())
    stranger = cast.client("mallory").post(f"/api/v1/namespaces/{cast.namespace.name}/steps", pipeline())
    assert stranger.status_code == 404


def test_a_digest_of_ours_joins_a_training_to_what_was_known_by_another_only(cast: Cast) -> None:
    first = tell(cast, pipeline())["runs"]["1" * 64]
    body = pipeline()
    body["steps"][0]["uses"][1]["digest"] = digest_of("clean")
    before = state()
    # Which bytes a digest is of is no claim about the run: whoever writes runs may say it.
    assert tell(cast, body, by="eve")["new"] == {"steps": 0, "datasets": 0, "digests": 1}
    added = [now - then for now, then in zip(state(), before, strict=True)]
    assert added == [0, 1, 1, 1, 1], "an occurrence, its node, its edge, the event"
    assert tell(cast, body)["new"]["digests"] == 0

    run = a_run(cast, uses=[], status="running")
    log_datasets(run=run, by=cast.principal("ben"), uses=[read("clean.csv", "clean")])
    above = DatasetVersion.objects.get(pk__in=Edge.objects.filter(to_node=run.pk).values("from_node"))
    assert (str(above.produced_by_id), above.foreign_digest) == (first, CLEAN)


def test_what_is_read_by_its_digest_is_never_taken_for_what_has_only_another(cast: Cast) -> None:
    """Else whoever says the md5 of a file could keep its digest out of the graph, and out of the gates."""
    tell(cast, pipeline())
    body = {"datasets": [{**use("clean.csv", CLEAN), "digest": digest_of("clean")}]}
    run = a_run(cast, uses=[], status="running")
    assert cast.client("ben").post(f"/api/v1/runs/{run.pk}/datasets", body).status_code == 200
    (held,) = shown(cast, str(run.pk))["datasets"]
    assert (held["digest"], held["foreign_digest"]) == (digest_of("clean"), CLEAN)


def test_of_two_steps_that_made_the_same_the_one_that_is_named_is_joined(cast: Cast) -> None:
    both = [step(key, use("clean.csv", CLEAN, "output"), name=f"clean {key}") for key in "34"]
    body = {
        "steps": [
            *both,
            step("5", use("clean.csv", CLEAN, step="4" * 64)),
            step("6", use("clean.csv", CLEAN)),
        ]
    }
    runs = tell(cast, body)["runs"]
    inputs = {
        key: DatasetVersion.objects.get(pk=shown(cast, runs[key * 64])["datasets"][0]["id"]) for key in "56"
    }
    assert str(inputs["5"].produced_by_id) == runs["4" * 64]
    assert inputs["6"].produced_by_id is None, "of two producers none is claimed"


def test_two_digests_of_ours_for_one_foreign_one_are_refused(cast: Cast) -> None:
    tell(cast, pipeline())
    body = pipeline()
    for content in ("clean", "not clean"):
        body["steps"][0]["uses"][1]["digest"] = digest_of(content)
        answer = cast.client("ben").post(f"/api/v1/namespaces/{cast.namespace.name}/steps", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "foreign-digest-has-another")
    assert digest_of("clean")[:19] in answer.json()["detail"]


def test_what_is_kept_and_made_by_no_step_is_a_node_once(cast: Cast) -> None:
    body = {"datasets": [{"name": "raw.csv", "foreign_digest": RAW, "digest": digest_of("raw"), "size": 3}]}
    assert tell(cast, body)["new"]["datasets"] == 1
    assert tell(cast, body)["new"]["datasets"] == 0
    (held,) = DatasetVersion.objects.filter(dataset__namespace=cast.namespace)
    assert Node.objects.filter(pk=held.pk).exists()
    tell(cast, pipeline())
    assert (
        DatasetVersion.objects.filter(dataset__name="raw.csv", dataset__namespace=cast.namespace).count() == 1
    )


def test_a_gate_reads_our_digest_of_what_a_step_is_known_to_have_read_by_another_only(cast: Cast) -> None:
    tell(cast, pipeline())
    body = pipeline()
    body["steps"] = [
        step("9", use("clean.csv", CLEAN), use("ready.csv", TABLE, "output", digest=digest_of("r")))
    ]
    tell(cast, body)
    version = a_version(cast, a_run(cast, uses=[read("ready.csv", "r")]))
    assert set(training_inputs(version)) == {RAW, CLEAN, digest_of("r")}
    tell(cast, {"datasets": [{"name": "other", "foreign_digest": CLEAN, "digest": digest_of("clean")}]})
    assert set(training_inputs(version)) == {RAW, digest_of("clean"), digest_of("r")}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"key": "x" * 64}, "key"),
        ({"at": "2026-05-04T09:30:00"}, "at"),
        ({"uses": [use("x", "sha1:" + "a" * 40)]}, "foreign_digest"),
        ({"uses": [{"name": "x", "role": "input"}]}, "digest"),
        ({"metrics": {"auc": "high"}}, "metrics"),
        ({"command": [1, {}]}, "command"),
    ],
)
def test_what_is_no_step_is_refused_by_name(cast: Cast, change: dict[str, Any], field: str) -> None:
    body = {"steps": [{**step("1"), **change}]}
    before = state()
    answer = cast.client("ben").post(f"/api/v1/namespaces/{cast.namespace.name}/steps", body)
    assert answer.status_code == 422
    assert field in answer.json()["field"]
    assert state() == before


@pytest.mark.django_db(transaction=True)
def test_told_by_many_at_once_it_is_recorded_once() -> None:
    cast = make_cast()
    barrier, answers = threading.Barrier(4), []

    def one() -> None:
        try:
            client = cast.client("ben")
            barrier.wait()
            answers.append(client.post(f"/api/v1/namespaces/{cast.namespace.name}/steps", pipeline()))
        finally:
            connection.close()

    cast.token("ben")
    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 4
    assert sum(answer.json()["new"]["steps"] for answer in answers) == 2
    assert Run.objects.filter(namespace=cast.namespace).count() == 2
    assert Event.objects.filter(namespace=cast.namespace, type="steps.recorded").count() == 1
