"""Runs over REST: started, logged to, ended; what is written once stays."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from lineage.actions.runs import Measurement, ParameterIsWritten, log_to_run, start_run
from lineage.models import Experiment, LatestMetric, Lifecycle, Node, Run, RunMetric, RunParameter
from registry.models import Event, OutboxItem
from tests.cast import Cast, make_cast

CODE = {
    "commit": "1" * 40,
    "remote": "",
    "branch": "main",
    "dirty": False,
    "diff_digest": "",
    "untracked": [],
}
STARTED = "2026-05-04T09:30:00Z"


def start(client: APIClient, cast: Cast, **facts: Any) -> Any:
    body = {"experiment": "scoring", "started_at": STARTED, "code": CODE, **facts}
    return client.post(f"/api/v1/namespaces/{cast.namespace.name}/runs", body)


def log(client: APIClient, run: str, **what: Any) -> Any:
    return client.post(f"/api/v1/runs/{run}/log", what)


def metric(key: str, value: Any, step: Any = 0, timestamp: int = 1) -> dict[str, Any]:
    return {"key": key, "value": value, "step": step, "timestamp": timestamp}


@pytest.fixture
def ben(cast: Cast) -> APIClient:
    return cast.client("ben")


@pytest.fixture
def run(cast: Cast, ben: APIClient) -> str:
    return str(start(ben, cast).json()["id"])


def test_it_works(cast: Cast, ben: APIClient) -> None:
    made = start(
        ben,
        cast,
        name="first",
        entry_point="train.py",
        command=["python", "train.py"],
        environment={"python": "CPython 3.11.7", "packages": {"numpy": "2.2.0"}},
        config={"path": "conf.yaml", "digest": "sha256:" + "c" * 64},
    )
    assert made.status_code == 201
    shown = made.json()
    assert shown["experiment"] == "scoring"
    assert shown["status"] == "running"
    assert shown["started_at"] == STARTED
    assert shown["ended_at"] is None
    assert shown["created_by"] == cast.user("ben").username
    assert shown["code"] == CODE
    assert shown["parameters"] == shown["metrics"] == shown["tags"] == {}
    assert shown["capture"] == {"state": "unknown", "notes": []}
    assert ben.get(f"/api/v1/runs/{shown['id']}").json() == shown
    assert Node.objects.get(pk=shown["id"]).kind == Node.Kind.RUN
    event = Event.objects.get(subject_id=shown["id"])
    assert (event.type, event.actor) == ("run.started", cast.user("ben"))
    assert OutboxItem.objects.filter(event=event).exists()


def test_an_experiment_is_made_once(cast: Cast, ben: APIClient) -> None:
    start(ben, cast)
    start(ben, cast)
    assert Experiment.objects.get(namespace=cast.namespace).name == "scoring"
    assert Run.objects.filter(namespace=cast.namespace).count() == 2


def test_a_deleted_experiment_takes_no_runs(cast: Cast, ben: APIClient) -> None:
    start(ben, cast)
    Experiment.objects.filter(namespace=cast.namespace).update(lifecycle=Lifecycle.DELETED)
    assert start(ben, cast).json()["code"] == "run-is-deleted"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("started_at", "2026-05-04T09:30:00"),
        ("started_at", "yesterday"),
        ("started_at", 12),
        ("started_at", "9999-12-31T23:59:59-14:00"),
        ("command", "python train.py"),
        ("command", [1]),
        ("code", []),
        ("environment", None),
        ("environment", {"packages": {"x": "y" * 1_100_000}}),
        ("experiment", ""),
        ("experiment", "x" * 501),
    ],
)
def test_what_cannot_be_a_run_is_refused_by_name(cast: Cast, ben: APIClient, field: str, value: Any) -> None:
    answer = start(ben, cast, **{field: value})
    assert answer.status_code == 422
    assert answer.json()["field"] == field


class TestAccess:
    def test_a_stranger_sees_nothing(self, cast: Cast, run: str) -> None:
        mallory = cast.client("mallory")
        assert start(mallory, cast).status_code == 404
        assert mallory.get(f"/api/v1/namespaces/{cast.namespace.name}/runs").status_code == 404
        assert mallory.get(f"/api/v1/runs/{run}").status_code == 404
        assert mallory.patch(f"/api/v1/runs/{run}", {"status": "failed"}).status_code == 404
        assert log(mallory, run, tags={"a": "b"}).status_code == 404
        assert mallory.post(f"/api/v1/runs/{run}/datasets", {"datasets": []}).status_code == 404

    def test_who_may_only_read_writes_nothing(self, cast: Cast, run: str) -> None:
        otto = cast.client("otto")
        assert otto.get(f"/api/v1/runs/{run}").status_code == 200
        assert start(otto, cast).status_code == 403
        assert otto.patch(f"/api/v1/runs/{run}", {"status": "failed"}).status_code == 403
        assert log(otto, run, tags={"a": "b"}).status_code == 403
        assert otto.post(f"/api/v1/runs/{run}/datasets", {"datasets": []}).status_code == 403


class TestEnd:
    CAPTURE = {"state": "incomplete", "notes": ["`x.csv` was read and is gone."]}

    def end(self, client: APIClient, run: str, **more: Any) -> Any:
        body = {"status": "finished", "ended_at": "2026-05-04T10:00:00Z", "capture": self.CAPTURE, **more}
        return client.patch(f"/api/v1/runs/{run}", body)

    def test_it_ends_once_with_an_event(self, ben: APIClient, run: str) -> None:
        shown = self.end(ben, run).json()
        assert (shown["status"], shown["ended_at"]) == ("finished", "2026-05-04T10:00:00Z")
        assert shown["capture"] == self.CAPTURE
        assert self.end(ben, run).json() == shown
        assert Event.objects.filter(subject_id=run, type="run.finished").count() == 1

    def test_another_end_is_refused(self, ben: APIClient, run: str) -> None:
        self.end(ben, run)
        assert self.end(ben, run, status="failed").json()["code"] == "run-has-ended"
        assert self.end(ben, run, ended_at="2026-05-04T11:00:00Z").json()["code"] == "run-has-ended"
        assert ben.patch(f"/api/v1/runs/{run}", {"status": "running"}).json()["code"] == "run-has-ended"

    def test_another_capture_is_refused(self, ben: APIClient, run: str) -> None:
        self.end(ben, run)
        answer = self.end(ben, run, capture={"state": "complete", "notes": []})
        assert answer.status_code == 409
        assert answer.json()["code"] == "capture-is-written"

    def test_it_does_not_end_before_it_started(self, ben: APIClient, run: str) -> None:
        answer = self.end(ben, run, ended_at="2026-05-04T09:00:00Z")
        assert (answer.status_code, answer.json()["field"]) == (422, "ended_at")

    def test_an_end_needs_a_status(self, ben: APIClient, run: str) -> None:
        answer = ben.patch(f"/api/v1/runs/{run}", {"ended_at": "2026-05-04T10:00:00Z"})
        assert (answer.status_code, answer.json()["field"]) == (422, "ended_at")

    def test_it_can_be_renamed_and_failed_with_a_reason(self, ben: APIClient, run: str) -> None:
        body = {"name": "second", "status": "failed", "failure": "ValueError: no"}
        shown = ben.patch(f"/api/v1/runs/{run}", body).json()
        assert (shown["name"], shown["status"], shown["failure"]) == ("second", "failed", "ValueError: no")
        assert shown["ended_at"] is not None

    def test_a_capture_is_not_told_afterwards(self, ben: APIClient, run: str) -> None:
        ben.patch(f"/api/v1/runs/{run}", {"status": "finished"})
        answer = ben.patch(f"/api/v1/runs/{run}", {"capture": {"state": "complete", "notes": []}})
        assert (answer.status_code, answer.json()["code"]) == (409, "run-has-ended")
        assert Run.objects.get(pk=run).capture == {}

    @pytest.mark.parametrize("change", [{"status": "failed"}, {"capture": CAPTURE}, {"name": "mine"}])
    def test_it_is_ended_by_nobody_else(self, cast: Cast, run: str, change: dict[str, Any]) -> None:
        answer = cast.client("eve").patch(f"/api/v1/runs/{run}", change)
        assert (answer.status_code, answer.json()["code"]) == (403, "not-your-run")
        assert f"is {cast.user('ben').username}'s" in answer.json()["detail"]
        held = Run.objects.get(pk=run)
        assert (held.status, held.capture, held.name) == ("running", {}, "")


class TestLog:
    def test_everything_at_once_and_again(self, ben: APIClient, run: str) -> None:
        what = {
            "parameters": {"lr": "0.1", "empty": ""},
            "metrics": [metric("loss", 0.5, 0), metric("loss", 0.25, 1, 2)],
            "tags": {"team": "risk"},
        }
        assert log(ben, run, **what).json() == {}
        assert log(ben, run, **what).status_code == 200
        shown = ben.get(f"/api/v1/runs/{run}").json()
        assert shown["parameters"] == {"empty": "", "lr": "0.1"}
        assert shown["metrics"] == {"loss": 0.25}
        assert shown["tags"] == {"team": "risk"}
        assert RunMetric.objects.filter(run_id=run).count() == 2

    def test_a_parameter_is_written_once(self, ben: APIClient, run: str) -> None:
        log(ben, run, parameters={"lr": "0.1"})
        answer = log(ben, run, parameters={"depth": "3", "lr": "0.2"}, tags={"a": "b"})
        assert answer.status_code == 409
        assert answer.json()["code"] == "parameter-is-written"
        assert "'0.1'" in answer.json()["detail"]
        assert "'0.2'" in answer.json()["detail"]
        shown = ben.get(f"/api/v1/runs/{run}").json()
        assert shown["parameters"] == {"lr": "0.1"}
        assert shown["tags"] == {}

    def test_after_the_end_only_what_is_known_is_said_again(self, ben: APIClient, run: str) -> None:
        what = {
            "parameters": {"lr": "0.1"},
            "metrics": [metric("loss", 0.5), metric("odd", "NaN", 2), metric("none", -0.0)],
        }
        log(ben, run, **what)
        ben.patch(f"/api/v1/runs/{run}", {"status": "finished"})
        before = ben.get(f"/api/v1/runs/{run}").json()
        assert log(ben, run, **what).status_code == 200
        more: list[dict[str, Any]] = [
            {"parameters": {"lr": "0.1", "depth": "3"}},
            {"metrics": [metric("loss", 0.5), metric("loss", 0.25)]},
            {"metrics": [metric("loss", 0.5, 1)]},
            {"metrics": [metric("loss", 0.5, timestamp=2)]},
            {"metrics": [metric("accuracy", 0.5)]},
        ]
        for each in more:
            answer = log(ben, run, tags={"a": "b"}, **each)
            assert (answer.status_code, answer.json()["code"]) == (409, "run-has-ended")
            assert answer.json()["field"] == next(iter(each))
        assert log(ben, run, parameters={"lr": "0.2"}).json()["code"] == "parameter-is-written"
        assert ben.get(f"/api/v1/runs/{run}").json() == before
        assert log(ben, run, tags={"late": "yes"}).status_code == 200

    def test_of_somebody_elses_run_only_tags_are_written(self, cast: Cast, run: str) -> None:
        eve = cast.client("eve")
        for what in ({"parameters": {"lr": "1"}}, {"metrics": [metric("loss", 0.5)]}):
            assert log(eve, run, **what).json()["code"] == "not-your-run"
        assert log(eve, run, tags={"seen": "by eve"}).status_code == 200
        shown = eve.get(f"/api/v1/runs/{run}").json()
        assert (shown["parameters"], shown["metrics"], shown["tags"]) == ({}, {}, {"seen": "by eve"})

    def test_a_tag_is_overwritten(self, ben: APIClient, run: str) -> None:
        log(ben, run, tags={"team": "risk"})
        log(ben, run, tags={"team": "fraud"})
        assert ben.get(f"/api/v1/runs/{run}").json()["tags"] == {"team": "fraud"}

    def test_the_latest_is_by_step_then_time_then_value(self, ben: APIClient, run: str) -> None:
        log(ben, run, metrics=[metric("m", 1.0, step=5, timestamp=10)])
        log(ben, run, metrics=[metric("m", 9.0, step=4, timestamp=99)])
        assert LatestMetric.objects.get(run_id=run).value == 1.0
        log(
            ben, run, metrics=[metric("m", 2.0, step=5, timestamp=11), metric("m", 3.0, step=5, timestamp=11)]
        )
        assert LatestMetric.objects.get(run_id=run).value == 3.0
        log(ben, run, metrics=[metric("m", 2.5, step=5, timestamp=11)])
        assert LatestMetric.objects.get(run_id=run).value == 3.0

    def test_numbers_that_json_cannot_write(self, ben: APIClient, run: str) -> None:
        what = [metric("a", "NaN"), metric("b", "Infinity"), metric("c", "-Infinity"), metric("d", 1)]
        assert log(ben, run, metrics=what).status_code == 200
        assert log(ben, run, metrics=what).status_code == 200
        shown = ben.get(f"/api/v1/runs/{run}").json()["metrics"]
        assert shown == {"a": "NaN", "b": "Infinity", "c": "-Infinity", "d": 1.0}
        assert RunMetric.objects.filter(run_id=run).count() == 4

    @pytest.mark.parametrize(
        "what",
        [
            {"metrics": [metric("m", "nan")]},
            {"metrics": [metric("m", True)]},
            {"metrics": [metric("m", None)]},
            {"metrics": [metric("", 1.0)]},
            {"metrics": [metric("m", 1.0, timestamp=-1)]},
            {"metrics": [metric("m", 1.0, step="x")]},
            {"metrics": [metric("m", 1.0)] * 1001},
            {"parameters": {"k": "v" * 6001}},
            {"parameters": {"k" * 251: "v"}},
            {"parameters": {"": "v"}},
            {"parameters": {"k": 1.5, "l": None}},
            {"parameters": {str(i): "v" for i in range(1001)}},
            {"tags": {"k": "v" * 8001}},
            {"tags": []},
        ],
    )
    def test_what_cannot_be_kept_is_refused(self, ben: APIClient, run: str, what: dict[str, Any]) -> None:
        answer = log(ben, run, **what)
        assert answer.status_code == 422
        assert answer.json()["field"].startswith(next(iter(what)))

    def test_a_deleted_run_takes_nothing(self, ben: APIClient, run: str) -> None:
        Run.objects.filter(pk=run).update(lifecycle=Lifecycle.DELETED)
        assert log(ben, run, tags={"a": "b"}).json()["code"] == "run-is-deleted"
        assert ben.patch(f"/api/v1/runs/{run}", {"name": "x"}).json()["code"] == "run-is-deleted"
        assert ben.post(f"/api/v1/runs/{run}/datasets", {"datasets": []}).json()["code"] == "run-is-deleted"

    @pytest.mark.django_db(transaction=True)
    def test_two_writers_of_one_parameter(self) -> None:
        """One value wins; the other writer is told, though neither saw the other's row when it began."""
        cast = make_cast()
        run = start_run(namespace=cast.namespace, by=cast.principal("ben"))
        gate, refused = threading.Barrier(2), []

        def write(value: str) -> None:
            try:
                with transaction.atomic():
                    gate.wait(10)
                    log_to_run(run=run, by=cast.principal("ben"), parameters={"lr": value})
            except ParameterIsWritten as error:
                refused.append(error.sentence)
            finally:
                connection.close()

        threads = [threading.Thread(target=write, args=(value,)) for value in ("0.1", "0.2")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1
        assert RunParameter.objects.filter(run=run).count() == 1

    @pytest.mark.django_db(transaction=True)
    def test_many_writers_of_one_metric(self) -> None:
        """The latest is the latest whoever commits last."""
        cast = make_cast()
        run = start_run(namespace=cast.namespace, by=cast.principal("ben"))

        def write(worker: int) -> None:
            try:
                for step in range(worker, 60, 4):
                    measured = [Measurement(key, float(step), step, step) for key in ("b", "a")]
                    log_to_run(run=run, by=cast.principal("ben"), metrics=measured)
            finally:
                connection.close()

        threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(LatestMetric.objects.filter(run=run).values_list("key", "value")) == {
            ("a", 59.0),
            ("b", 59.0),
        }
        assert RunMetric.objects.filter(run=run).count() == 120


class TestList:
    def test_newest_first_by_experiment(self, cast: Cast, ben: APIClient) -> None:
        for day in (1, 3, 2):
            start(ben, cast, name=f"day {day}", started_at=f"2026-05-0{day}T00:00:00Z")
        start(ben, cast, name="other", experiment="other")
        address = f"/api/v1/namespaces/{cast.namespace.name}/runs"
        first = ben.get(address, {"experiment": "scoring", "limit": "2"}).json()
        assert [run["name"] for run in first["results"]] == ["day 3", "day 2"]
        second = ben.get(first["next"]).json()
        assert [run["name"] for run in second["results"]] == ["day 1"]
        assert second["next"] is None

    def test_the_queries_do_not_grow_with_the_page(
        self, cast: Cast, ben: APIClient, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(6):
            run = start(ben, cast).json()["id"]
            log(ben, run, parameters={"n": str(number)}, metrics=[metric("m", number)], tags={"t": "t"})
            use = {"name": f"d{number}", "digest": "sha256:" + f"{number}" * 64, "role": "input"}
            ben.post(f"/api/v1/runs/{run}/datasets", {"datasets": [use]})
        address = f"/api/v1/namespaces/{cast.namespace.name}/runs"
        with django_assert_max_num_queries(11) as counted:
            assert len(ben.get(address, {"limit": 1}).json()["results"]) == 1
        with django_assert_max_num_queries(len(counted.captured_queries)):
            runs = ben.get(address).json()["results"]
        assert len(runs) == 6
        assert all(run["datasets"] and run["metrics"] and run["parameters"] for run in runs)
