"""A version and where it came from, registered together or not at all."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from rest_framework.test import APIClient

from lineage.actions.datasets import log_datasets
from lineage.actions.runs import start_run, update_run
from lineage.models import Edge, Lifecycle, Node, Run
from registry.actions.uploads import create_upload
from registry.artifacts.manifests import Entry
from registry.models import Event, ModelVersion, RegisteredModel, Upload
from tests.cast import Cast
from tests.lineage.scenes import COMPLETE, EMPTY_FILE, a_run, a_version, read


@pytest.fixture
def ben(cast: Cast) -> APIClient:
    return cast.client("ben")


@pytest.fixture
def upload(cast: Cast) -> Upload:
    entry = Entry("model.txt", 0, EMPTY_FILE)
    return create_upload(namespace=cast.namespace, files=[entry], by=cast.principal("ben"))


def register(client: APIClient, cast: Cast, upload: Any, name: str = "scorer", **more: Any) -> Any:
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/{name}/versions"
    return client.post(path, {"upload": str(getattr(upload, "pk", upload)), **more})


def test_it_works(cast: Cast, ben: APIClient, upload: Upload) -> None:
    base = a_version(cast)
    run = a_run(cast, parameters={"lr": "0.1"})
    answer = register(
        ben,
        cast,
        upload,
        run=str(run.pk),
        base=[base.reference],
        description="better",
        tags={"team": "risk"},
        format="skops",
        schema={"inputs": [], "outputs": []},
    )
    assert answer.status_code == 202
    shown = answer.json()
    assert shown["reference"] == f"{cast.namespace.name}/scorer:2"
    assert shown["status"] == "verifying"
    assert shown["run"] == str(run.pk)
    assert shown["parameters"] == {"lr": "0.1"}
    assert (shown["format"], shown["description"], shown["tags"]) == ("skops", "better", {"team": "risk"})
    assert shown["completeness"] == {
        "state": "complete",
        "score": 100,
        "missing": [],
        "absent": {},
        "notes": [],
    }
    assert Node.objects.get(pk=shown["id"]).kind == Node.Kind.MODEL_VERSION
    into = Edge.objects.filter(to_node=shown["id"])
    assert set(into.values_list("from_node", "role")) == {(run.pk, "output"), (base.pk, "base")}
    assert Event.objects.filter(type="version.registered", subject_id=shown["id"]).count() == 1


def test_a_second_call_with_its_key_registers_nothing_more(
    cast: Cast, ben: APIClient, upload: Upload
) -> None:
    ben.credentials(HTTP_AUTHORIZATION=f"Bearer {cast.token('ben')}", HTTP_IDEMPOTENCY_KEY="k")
    first, second = register(ben, cast, upload), register(ben, cast, upload)
    assert first.json()["number"] == second.json()["number"] == 1
    assert ModelVersion.objects.filter(model__namespace=cast.namespace).count() == 1


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"run": str(uuid.uuid4())}, 404),
        ({"base": ["nowhere/nothing:1"]}, 404),
        ({"base": ["nonsense"]}, 422),
        ({"base": ["a/b:1"] * 21}, 422),
        ({"run": "x"}, 422),
        ({"stage": "production"}, 422),
        ({"schema": "x"}, 422),
    ],
)
def test_nothing_is_made_when_something_is_wrong(
    cast: Cast, ben: APIClient, upload: Upload, more: dict[str, Any], status: int
) -> None:
    assert register(ben, cast, upload, **more).status_code == status
    assert not RegisteredModel.objects.filter(namespace=cast.namespace).exists()


def test_an_upload_that_is_not_there(cast: Cast, ben: APIClient) -> None:
    assert register(ben, cast, uuid.uuid4()).status_code == 404


def test_a_run_of_another_namespace_is_not_there(cast: Cast, upload: Upload) -> None:
    run = a_run(cast, by="mallory", elsewhere=True)
    assert register(cast.client("ben"), cast, upload, run=str(run.pk)).status_code == 404


def test_a_deleted_run_makes_no_version(cast: Cast, ben: APIClient, upload: Upload) -> None:
    run = a_run(cast)
    Run.objects.filter(pk=run.pk).update(lifecycle=Lifecycle.DELETED)
    answer = register(ben, cast, upload, run=str(run.pk))
    assert (answer.status_code, answer.json()["field"]) == (422, "run")


def test_who_may_not(cast: Cast, upload: Upload) -> None:
    assert register(cast.client("mallory"), cast, upload).status_code == 404
    assert register(cast.client("otto"), cast, upload).status_code == 403
    assert register(cast.client(None), cast, upload).status_code == 401


def test_a_version_without_a_run_says_so(cast: Cast) -> None:
    told = a_version(cast).completeness
    assert told["state"] == "incomplete"
    assert told["missing"][0].startswith("no run")


def test_a_version_registered_within_its_run_hears_how_it_ended(cast: Cast) -> None:
    by = cast.principal("ben")
    run = start_run(namespace=cast.namespace, by=by)
    version = a_version(cast, run)
    assert version.completeness["state"] == "unknown"
    log_datasets(run=run, by=by, uses=[read("train.csv")])
    version.refresh_from_db(fields=["completeness"])
    assert version.completeness["state"] == "unknown"
    assert "has not ended" in version.completeness["notes"][0]
    assert not [told for told in version.completeness["missing"] if "dataset" in told]
    update_run(run=run, by=by, status="finished", capture=COMPLETE)
    version.refresh_from_db(fields=["completeness"])
    assert version.completeness["state"] == "incomplete"
    assert [missing.split(":")[0] for missing in version.completeness["missing"]] == [
        "no Git commit",
        "no package versions",
    ]


def test_what_was_captured_does_not_make_a_run_complete_that_did_not_finish(cast: Cast) -> None:
    by = cast.principal("ben")
    run = a_run(cast, status="running")
    version = a_version(cast, run)
    for change, state in (({"capture": COMPLETE}, "unknown"), ({"status": "failed"}, "incomplete")):
        update_run(run=run, by=by, **change)
        version.refresh_from_db(fields=["completeness"])
        assert version.completeness["state"] == state
    assert version.completeness["missing"] == ["the run did not finish: it failed"]


def test_somebody_elses_run_is_not_claimed(cast: Cast, ben: APIClient, upload: Upload) -> None:
    answer = register(ben, cast, upload, run=str(a_run(cast, by="eve").pk))
    assert (answer.status_code, answer.json()["code"]) == (403, "not-your-run")
    assert cast.user("eve").username in answer.json()["detail"]
    assert not RegisteredModel.objects.filter(namespace=cast.namespace).exists()


class TestList:
    def names(self, answer: Any) -> list[int]:
        return [version["number"] for version in answer.json()["results"]]

    def test_newest_first_by_page_and_stage(self, cast: Cast, ben: APIClient) -> None:
        for _ in range(3):
            a_version(cast)
        path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions"
        first = ben.get(path, {"limit": 2})
        assert self.names(first) == [3, 2]
        assert self.names(ben.get(first.json()["next"])) == [1]
        assert self.names(ben.get(path, {"stage": "development"})) == [3, 2, 1]
        assert self.names(ben.get(path, {"stage": "production"})) == []
        wrong = ben.get(path, {"stage": "best"})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "stage")

    def test_a_stranger_finds_no_model(self, cast: Cast) -> None:
        a_version(cast)
        path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions"
        assert cast.client("mallory").get(path).status_code == 404
        assert cast.client("ben").get(path.replace("scorer", "nothing")).status_code == 404

    def test_the_queries_do_not_grow_with_the_page(
        self, cast: Cast, ben: APIClient, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(4):
            a_version(cast, a_run(cast, uses=[read(f"{number}.csv")]))
        path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions"
        with django_assert_max_num_queries(9) as counted:
            ben.get(path, {"limit": 1})
        with django_assert_max_num_queries(len(counted.captured_queries)):
            assert len(ben.get(path).json()["results"]) == 4
