"""What an event makes of a run, who may tell, and what is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
from django.db import IntegrityError, connection, transaction

from lineage.completeness import Fact
from lineage.models import DatasetVersion, Edge, Experiment, Lifecycle, LineageEvent, LineageUse, Run
from lineage.provenance import run_of
from registry.models import Event
from tests.cast import Cast, make_cast
from tests.lineage.scenes import a_run, a_version, digest_of
from tests.protocols.openlineage.pipeline import PRODUCER, SPEC, facet, task
from tests.protocols.openlineage.scenes import AT, an_event, place, shown, tell, teller

OURS = digest_of("the content")


def test_a_run_is_what_its_events_tell(cast: Cast) -> None:
    client = teller(cast)
    events = task("clean", 0)
    first = tell(client, events[0])
    assert first == {
        "namespace": cast.namespace.name,
        "new": 1,
        "runs": {events[0]["run"]["runId"]: events[0]["run"]["runId"]},
    }
    run = shown(cast, events[0]["run"]["runId"])
    assert (run["status"], run["started_at"], run["ended_at"]) == ("running", "2026-05-04T02:30:00Z", None)
    assert (run["name"], run["experiment"]) == ("daily.clean", "airflow/daily.clean")
    tell(client, events[1:])
    run = shown(cast, events[0]["run"]["runId"])
    assert (run["status"], run["ended_at"]) == ("finished", "2026-05-04T02:40:00Z")
    assert run["parameters"] == {"day": "0"}
    assert run["code"] == {"commit": "0" * 40, "remote": "https://git.example.com/etl.git", "branch": "main"}
    assert run["entry_point"] == "dags/daily.py"
    assert run["environment"] == {
        "engine": {"name": "spark", "version": "3.5.1"},
        "variables": {"AIRFLOW_CTX_TASK_ID": "clean"},
    }
    assert run["reported"]["job"] == {"namespace": "airflow", "name": "daily.clean"}
    assert run["reported"]["parent"]["job"] == {"namespace": "airflow", "name": "daily"}
    assert run["reported"]["nominal_time"] == {"from": "2026-05-04T02:00:00+00:00"}
    assert run["capture"]["state"] == "unknown"
    (wrote,) = (use for use in run["datasets"] if use["role"] == "output")
    assert (wrote["name"], wrote["rows"], wrote["size"]) == ("s3://lake/clean", 1000, 64_000)
    assert (wrote["schema"], wrote["columns"], wrote["digest"]) == ({"id": "INT", "x": "FLOAT"}, 2, "")
    told = Event.objects.filter(namespace=cast.namespace, type="lineage.reported").order_by("pk")
    assert [event.after["events"] for event in told if event.after] == [1, 3]


def test_what_is_told_twice_changes_nothing(cast: Cast) -> None:
    client, event = teller(cast), an_event(writes=["x"])
    assert tell(client, [event, event])["new"] == 1
    rows = [model.objects.count() for model in (Run, LineageEvent, LineageUse, DatasetVersion, Edge, Event)]
    assert tell(client, event)["new"] == 0
    assert [m.objects.count() for m in (Run, LineageEvent, LineageUse, DatasetVersion, Edge, Event)] == rows


def test_a_start_that_comes_late_changes_neither_the_end_nor_the_result(cast: Cast) -> None:
    client, run = teller(cast), str(uuid4())
    tell(client, an_event("COMPLETE", 30, run=run, writes=["x"]))
    assert shown(cast, run)["started_at"] == AT.format(30)
    tell(client, an_event("START", 10, run=run, reads=["y"]))
    found = shown(cast, run)
    assert (found["status"], found["started_at"], found["ended_at"]) == (
        "finished",
        AT.format(10),
        AT.format(30),
    )
    assert {(use["name"], use["role"]) for use in found["datasets"]} == {
        ("s3://lake/x", "output"),
        ("s3://lake/y", "input"),
    }


@pytest.mark.parametrize(("kind", "status"), [("ABORT", "killed"), ("FAIL", "failed"), ("OTHER", "running")])
def test_how_it_ended(cast: Cast, kind: str, status: str) -> None:
    run = str(uuid4())
    tell(teller(cast), [an_event(kind, 5, run=run), an_event("START", run=run)])
    assert shown(cast, run)["status"] == status


def sources(cast: Cast, run: str) -> dict[str, str]:
    """Who wrote what this run read, by the dataset."""
    read = [use for use in shown(cast, run)["datasets"] if use["role"] == "input"]
    wrote = {
        str(v.pk): str(v.produced_by_id)
        for v in DatasetVersion.objects.filter(dataset__namespace=cast.namespace)
    }
    return {use["name"].removeprefix("s3://lake/"): wrote[use["id"]] for use in read}


def test_what_is_read_is_the_newest_that_was_there(cast: Cast) -> None:
    client = teller(cast)
    old, new, late, failed, reader = (str(uuid4()) for _ in range(5))
    tell(client, [an_event("START", 20, run=reader, reads=["x"])])
    assert sources(cast, reader) == {"x": "None"}
    for run, minute, kind in (
        (late, 20, "COMPLETE"),
        (old, 5, "COMPLETE"),
        (failed, 15, "FAIL"),
        (new, 10, "COMPLETE"),
    ):
        tell(client, an_event(kind, minute, run=run, writes=["x"]))
    # What was written at the very moment at which the reader began was not there yet.
    assert sources(cast, reader) == {"x": new}
    answer = cast.client("vera").get("/api/v1/lineage/graph", {"node": new, "direction": "down"})
    assert {node["id"] for node in answer.json()["nodes"] if node["kind"] == "run"} == {new, reader}
    down = cast.client("vera").get("/api/v1/lineage/graph", {"node": old, "direction": "down"})
    assert {node["id"] for node in down.json()["nodes"] if node["kind"] == "run"} == {old}


def test_a_version_and_a_digest_of_ours_say_which_write_was_read(cast: Cast) -> None:
    client = teller(cast)
    one, two, first, second, third = (str(uuid4()) for _ in range(5))

    def version(text: str) -> dict[str, Any]:
        return {"version": facet("DatasetVersionDatasetFacet", datasetVersion=text)}

    digest = {"assay_digest": facet("AssayDigest", digest=OURS)}
    tell(client, [
        an_event("COMPLETE", 1, run=one, writes=[place("x", facets=version("1") | digest)]),
        an_event("COMPLETE", 2, run=two, writes=[place("x", facets=version("2"))]),
        an_event("START", 9, run=first, reads=[place("x", facets=version("1"))]),
        an_event("START", 9, run=second, reads=[place("x", facets=digest)]),
        an_event("START", 9, run=third, reads=[place("x", facets=version("0"))]),
    ])  # fmt: skip
    assert (sources(cast, first), sources(cast, second)) == ({"x": one}, {"x": one})
    assert sources(cast, third) == {"x": "None"}
    written = next(use["id"] for use in shown(cast, one)["datasets"])
    found = cast.client("vera").get("/api/v1/lineage/graph", {"node": written, "direction": "down"})
    assert found.json()["nodes"][0]["detail"]["version"] == "1"
    assert {node["id"] for node in found.json()["nodes"]} == {written, first, second}


def test_runs_that_read_each_other_end_in_no_circle(cast: Cast) -> None:
    client, runs = teller(cast), [str(uuid4()) for _ in range(2)]
    version = {"version": facet("DatasetVersionDatasetFacet", datasetVersion="1")}
    for run, reads, writes in ((runs[0], "a", "b"), (runs[1], "b", "a")):
        tell(
            client,
            an_event(
                "COMPLETE",
                run=run,
                reads=[place(reads, facets=version)],
                writes=[place(writes, facets=version)],
            ),
        )
    answer = cast.client("vera").get("/api/v1/lineage/graph", {"node": runs[0], "direction": "both"})
    assert {node["distance"] for node in answer.json()["nodes"]} == {0, 1}
    assert sources(cast, runs[0]) == {"a": "None"}


def test_impact_and_provenance_follow_what_was_read(cast: Cast) -> None:
    client = teller(cast)
    made, trained = str(uuid4()), str(uuid4())
    digest = {"assay_digest": facet("AssayDigest", digest=OURS)}
    tell(client, [
        an_event("COMPLETE", 1, run=made, writes=[place("x", facets=digest)]),
        an_event("COMPLETE", 9, run=trained, reads=["x"], facets={
            "executionParameters": facet("E", parameters=[{"key": "seed", "value": "1"}]),
        }),
    ])  # fmt: skip
    version = a_version(cast, Run.objects.get(pk=trained), by="ci")
    assert version.parameters == {"seed": "1"}
    # What the content of x was, is told by who wrote it.
    assert Fact.DATASETS.value not in version.completeness["absent"]
    assert Fact.DATASET_DIGESTS.value not in version.completeness["absent"]
    assert Fact.SEEDS.value not in version.completeness["absent"]
    found = cast.client("vera").get("/api/v1/impact", {"dataset": OURS})
    assert found.json()["stages"]["development"] == 1, found.content
    run = run_of(version)
    assert run is not None
    tell(client, an_event("FAIL", 12, run=trained))
    version.refresh_from_db()
    assert version.completeness["state"] == "incomplete"


def test_events_of_jobs_and_datasets_are_kept(cast: Cast) -> None:
    base = {"eventTime": AT.format(1), "producer": PRODUCER, "schemaURL": SPEC + "x"}
    job = {**base, "job": {"namespace": "airflow", "name": "etl"}, "inputs": [place("x")]}
    dataset = {**base, "dataset": place("x")}
    assert tell(teller(cast), [job, dataset, job]) == {"namespace": cast.namespace.name, "new": 2, "runs": {}}
    assert set(LineageEvent.objects.filter(namespace=cast.namespace).values_list("run", flat=True)) == {None}


class TestWho:
    def test_rights_are_asked_in_the_namespace_of_the_token(self, cast: Cast) -> None:
        event = an_event()
        assert teller(cast, "vera").post("/api/v1/lineage", event).status_code == 403
        unbound = cast.client("ben")
        answer = unbound.post("/api/v1/lineage", event)
        assert (answer.status_code, answer.json()["field"]) == (422, "namespace")
        assert unbound.post(f"/api/v1/lineage?namespace={cast.namespace.name}", event).status_code == 201
        assert unbound.post(f"/api/v1/lineage?namespace={cast.elsewhere.name}", event).status_code == 404
        stranger = cast.client("mallory")
        assert stranger.post(f"/api/v1/lineage?namespace={cast.namespace.name}", event).status_code == 404

    def test_a_run_is_told_by_the_account_that_began_to(self, cast: Cast) -> None:
        run = str(uuid4())
        tell(teller(cast, "ben"), an_event(run=run))
        answer = teller(cast, "eve").post("/api/v1/lineage", an_event("FAIL", 3, run=run))
        assert (answer.status_code, answer.json()["code"]) == (403, "not-your-run")
        assert LineageEvent.objects.filter(run_id=UUID(run)).count() == 1

    def test_an_id_that_is_anothers_leads_to_a_run_of_ones_own(self, cast: Cast) -> None:
        mine = str(uuid4())
        there = cast.client("mallory").post(
            f"/api/v1/lineage?namespace={cast.elsewhere.name}", an_event(run=mine, writes=["x"])
        )
        assert there.json()["runs"] == {mine: mine}
        here = tell(teller(cast), an_event(run=mine))["runs"][mine]
        assert here == str(uuid5(cast.namespace.pk, f"reported:{mine}"))
        assert tell(teller(cast), an_event("FAIL", 4, run=mine))["runs"] == {mine: here}
        written = str(LineageUse.objects.get(run_id=UUID(mine)).occurrence)
        assert tell(teller(cast), an_event(run=written))["runs"][written] != written

    def test_a_run_that_speaks_for_itself_is_not_told_by_others(self, cast: Cast) -> None:
        run = a_run(cast, by="ci")
        before = shown(cast, str(run.pk))
        assert tell(teller(cast), an_event("FAIL", run=str(run.pk), writes=["x"])) == {
            "namespace": cast.namespace.name,
            "new": 1,
            "runs": {str(run.pk): None},
        }
        assert shown(cast, str(run.pk)) == before

        assert not Experiment.objects.filter(namespace=cast.namespace, name="airflow/etl").exists()

    def test_of_what_was_deleted_nothing_is_told(self, cast: Cast) -> None:
        run = str(uuid4())
        tell(teller(cast), an_event("START", run=run))
        Experiment.objects.filter(namespace=cast.namespace).update(lifecycle=Lifecycle.DELETED)
        answer = teller(cast).post("/api/v1/lineage", an_event(minute=3, run=run))
        assert (answer.status_code, answer.json()["code"]) == (409, "run-is-deleted")
        assert shown(cast, run)["status"] == "running"
        assert LineageEvent.objects.filter(namespace=cast.namespace).count() == 1

    def test_a_reported_run_is_not_written_otherwise(self, cast: Cast) -> None:
        run = str(uuid4())
        tell(teller(cast), an_event("START", run=run))
        answer = cast.client("ci").patch(f"/api/v1/runs/{run}", {"status": "failed"})
        assert (answer.status_code, answer.json()["code"]) == (409, "run-is-reported")


SECRETS = ("hunter2", "s3cr3t", "sekrit")


def test_no_secret_is_kept(cast: Cast) -> None:
    event = an_event(
        facets={
            "environmentVariables": facet("E", environmentVariables=[
                {"name": "DB", "value": "hunter2"}, {"name": "RANK", "value": "1"}, "hunter2",
            ]),
            "executionParameters": facet("P", parameters=[
                {"key": "api_key", "value": "s3cr3t"}, {"key": "db.password", "value": "s3cr3t"},
                {"key": "max_tokens", "value": "5"}, {"key": "url", "value": "https://x.example/?token=s3cr3t&a=1"},
            ]),
            "spark_properties": facet("S", properties={"spark.hadoop.fs.s3a.secret.key": "sekrit"}),
        },
        reads=[{"namespace": "postgres://etl:hunter2@db:5432", "name": "a.b"}],
    )  # fmt: skip
    run = tell(teller(cast), event)["runs"].popitem()[1]
    kept = json.dumps([LineageEvent.objects.get(run_id=UUID(run)).body, shown(cast, run)])
    assert not [secret for secret in SECRETS if secret in kept]
    assert shown(cast, run)["parameters"] == {
        "api_key": "[redacted]", "db.password": "[redacted]", "max_tokens": "5",
        "url": "https://x.example/?token=[redacted]&a=1",
    }  # fmt: skip
    assert shown(cast, run)["environment"]["variables"] == {"RANK": "1"}
    assert shown(cast, run)["datasets"][0]["name"] == "postgres://db:5432/a.b"


FACTS = [
    "UPDATE lineage_run SET code = '{}' WHERE id = %(run)s",
    "UPDATE lineage_run SET reported = NULL WHERE id = %(run)s",
    "UPDATE lineage_run SET started_at = now() WHERE id = %(run)s",
    "UPDATE lineage_lineageuse SET available_at = now() WHERE run_id = %(run)s",
    "UPDATE lineage_lineageuse SET occurrence = gen_random_uuid() WHERE run_id = %(run)s",
    "DELETE FROM lineage_lineageuse WHERE run_id = %(run)s",
    "UPDATE lineage_lineageuse SET run_id = (SELECT id FROM lineage_run LIMIT 1) WHERE run_id = %(run)s",
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attack", FACTS)
def test_facts_change_with_an_event_only(committed: Cast, attack: str) -> None:
    run = tell(teller(committed), an_event(reads=["y"], writes=["x"]))["runs"].popitem()[1]
    tell(teller(committed), an_event())
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(attack, {"run": run})


@pytest.fixture
def committed() -> Cast:
    """A cast that is committed: a transaction that adds an event lets its run change until it ends."""
    return make_cast()


REFUSED: list[tuple[str, Any]] = [
    ("eventTime", None), ("eventTime", "2026-05-04T09:30:00"), ("eventTime", 5), ("producer", ""), ("schemaURL", None),
    ("eventType", "DONE"), ("run", []), ("run.runId", "x"), ("run.runId", None), ("run.facets", []), ("job", None),
    ("job.name", 1), ("job.namespace", "n" * 2001), ("inputs", {}), ("inputs[0]", "x"), ("outputs[0].name", ""),
    ("outputs[0].facets", 3), ("run.facets.parent", "x"), ("inputs[0].inputFacets", []),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_what_is_malformed_is_refused_by_its_field(cast: Cast, field: str, value: Any) -> None:
    event = an_event(reads=["x"], writes=["y"])
    at: Any = event
    *way, last = field.replace("[0]", ".0").split(".")
    for step in way:
        at = at[int(step)] if step.isdigit() else at[step]
    at[int(last) if last.isdigit() else last] = value
    client = teller(cast)
    answer = client.post("/api/v1/lineage", event)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.content
    assert field in answer.json()["detail"]
    answer = client.post("/api/v1/lineage", [an_event(), event])
    assert (answer.status_code, answer.json()["field"]) == (422, f"[1].{field}")
    assert not LineageEvent.objects.filter(namespace=cast.namespace).exists()


def broken(value: Any) -> Iterator[Any]:
    """The value with each of its parts in turn replaced by something else."""
    yield from (None, 2**63 - 1, "x'%s" * 700, [None], {"a": {"b": []}})
    if isinstance(value, dict):
        for key in value:
            for other in broken(value[key]):
                yield {**value, key: other}
    elif isinstance(value, list):
        for position, each in enumerate(value):
            for other in broken(each):
                yield [*value[:position], other, *value[position + 1 :]]


def test_no_json_is_an_error_of_ours(cast: Cast) -> None:
    usual = copy.deepcopy(task("train", 1))
    whole = usual[3]
    whole["run"]["facets"] = {
        **usual[1]["run"]["facets"],
        "errorMessage": facet("E", message="x", stackTrace="y"),
    }
    whole["run"]["facets"].pop("nominalTime")
    whole["job"]["facets"] = usual[0]["job"]["facets"]
    whole["inputs"], whole["outputs"] = usual[2]["inputs"][:1], usual[2]["outputs"]
    client = teller(cast)
    told = {"201": 0, "422": 0}
    # Every third: of each part some, and of all parts together all.
    for body in islice(broken(whole), None, None, 3):
        with transaction.atomic():
            answer = client.post("/api/v1/lineage", body)
            transaction.set_rollback(True)
        told[str(answer.status_code)] += 1
    assert min(told.values()) > 30, told
