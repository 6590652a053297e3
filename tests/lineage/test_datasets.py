"""Occurrences: which one a run is said to have read, and that nothing is said twice."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from lineage.actions.datasets import log_datasets
from lineage.actions.runs import NotYourRun, RunHasEnded, start_run, update_run
from lineage.models import Dataset, DatasetVersion, Edge, Node, Run
from registry.models import SYSTEM
from tests.cast import Cast, make_cast
from tests.lineage.scenes import a_run, digest_of, read, wrote


def join(cast: Cast, run: Run, *uses: Any) -> None:
    log_datasets(run=run, by=cast.principal("ben"), uses=uses)


def occurrences(cast: Cast, name: str) -> list[DatasetVersion]:
    return list(DatasetVersion.objects.filter(dataset__namespace=cast.namespace, dataset__name=name))


def read_by(run: Run) -> set[Any]:
    return set(Edge.objects.filter(to_node=run.pk, role="input").values_list("from_node", flat=True))


def test_it_works(cast: Cast) -> None:
    client = cast.client("ben")
    run = str(a_run(cast, uses=[], status="running").pk)
    use = {
        "name": "train.csv",
        "digest": digest_of("a"),
        "role": "input",
        "context": "training",
        "size": 10,
        "rows": 2,
        "columns": 3,
        "schema": {"x": "int64"},
        "source": "data/train.csv",
    }
    table = {"name": "frame", "digest": "frame-v1:" + "a" * 64, "role": "output", "schema": [{"name": "x"}]}
    answer = client.post(f"/api/v1/runs/{run}/datasets", {"datasets": [use, table]})
    assert (answer.status_code, answer.json()) == (200, {})
    shown = {d["name"]: d for d in client.get(f"/api/v1/runs/{run}").json()["datasets"]}
    assert {key: shown["train.csv"][key] for key in use} == use
    assert shown["frame"]["role"] == "output"
    assert shown["frame"]["schema"] == [{"name": "x"}]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("digest", "md5:" + "a" * 32),
        ("digest", "sha256:" + "A" * 64),
        ("digest", "sha256:" + "a" * 65),
        ("role", "base"),
        ("name", ""),
        ("rows", -1),
        ("schema", "x"),
        ("context", "x" * 101),
    ],
)
def test_what_is_no_dataset_is_refused_by_name(cast: Cast, field: str, value: Any) -> None:
    use = {"name": "x", "digest": digest_of("x"), "role": "input", field: value}
    path = f"/api/v1/runs/{a_run(cast, uses=[], status='running').pk}/datasets"
    answer = cast.client("ben").post(path, {"datasets": [use]})
    assert answer.status_code == 422
    assert field in answer.json()["field"]
    assert not Dataset.objects.filter(namespace=cast.namespace).exists()


def test_saying_it_again_changes_nothing(cast: Cast) -> None:
    run = a_run(cast, uses=[read("train.csv"), wrote("features.csv")])
    before = set(Edge.objects.values_list("pk", flat=True))
    join(cast, run, read("train.csv"), wrote("features.csv"))
    assert set(Edge.objects.values_list("pk", flat=True)) == before
    assert len(occurrences(cast, "train.csv")) == len(occurrences(cast, "features.csv")) == 1


@pytest.mark.parametrize("status", ["finished", "failed", "killed"])
def test_nothing_is_added_to_a_run_that_has_ended(cast: Cast, status: str) -> None:
    run = a_run(cast, uses=[read("train.csv"), wrote("features.csv")], status=status)
    before = set(Edge.objects.values_list("pk", flat=True))
    for more in (read("more.csv"), wrote("more.csv"), wrote("train.csv"), read("train.csv", context="test")):
        with pytest.raises(RunHasEnded, match=f"has ended \\({status}\\)"):
            join(cast, run, read("train.csv"), more)
    assert set(Edge.objects.values_list("pk", flat=True)) == before
    assert not Dataset.objects.filter(namespace=cast.namespace, name="more.csv").exists()


def test_a_lost_answer_is_asked_again_after_the_end(cast: Cast) -> None:
    run = a_run(cast, uses=[read("train.csv"), wrote("features.csv")])
    join(cast, run, read("train.csv"))
    join(cast, run, wrote("features.csv"), read("train.csv"))
    assert Edge.objects.filter(to_node=run.pk).count() == 1


def test_datasets_of_somebody_elses_run(cast: Cast) -> None:
    run = a_run(cast, by="eve", uses=[], status="running")
    with pytest.raises(NotYourRun, match=cast.user("eve").username):
        join(cast, run, read("train.csv"))
    assert read_by(run) == set()


def test_who_answers_for_an_account_writes_its_run_and_the_other_way_round(cast: Cast) -> None:
    ci, ada = (
        a_run(cast, by="ci", uses=[], status="running"),
        a_run(cast, by="ada", uses=[], status="running"),
    )
    log_datasets(run=ci, by=cast.principal("ada"), uses=[read("train.csv")])
    log_datasets(run=ada, by=cast.principal("ci"), uses=[read("train.csv")])
    assert read_by(ci) == read_by(ada) != set()
    update_run(run=ci, by=SYSTEM, status="killed")


def test_equal_content_is_one_occurrence_to_its_readers(cast: Cast) -> None:
    first, second = a_run(cast), a_run(cast)
    assert read_by(first) == read_by(second)
    assert len(occurrences(cast, "train.csv")) == 1


def test_what_one_step_wrote_the_next_one_read(cast: Cast) -> None:
    prepared = a_run(cast, uses=[read("raw.csv"), wrote("features.csv")])
    trained = a_run(cast, uses=[read("features.csv")])
    assert read_by(trained) == {occurrences(cast, "features.csv")[0].pk}
    assert occurrences(cast, "features.csv")[0].produced_by_id == prepared.pk


def test_of_two_producers_none_is_claimed(cast: Cast) -> None:
    a_run(cast, uses=[wrote("features.csv")])
    a_run(cast, uses=[wrote("features.csv")])
    trained = a_run(cast, uses=[read("features.csv")])
    held = {row.pk: row.produced_by_id for row in occurrences(cast, "features.csv")}
    assert len(held) == 3
    assert [held[each] for each in read_by(trained)] == [None]


def test_a_producer_that_appears_later_does_not_move_what_was_read(cast: Cast) -> None:
    trained = a_run(cast, uses=[read("features.csv")], status="running")
    before = read_by(trained)
    a_run(cast, uses=[wrote("features.csv")])
    join(cast, trained, read("features.csv"))
    assert read_by(trained) == before


def test_a_step_that_changes_nothing_makes_no_circle(cast: Cast) -> None:
    run = a_run(cast, uses=[read("x.csv"), wrote("x.csv")], status="running")
    assert len(occurrences(cast, "x.csv")) == 2
    join(cast, run, read("x.csv", context="validation"))
    assert len(read_by(run)) == 1


def test_what_a_later_step_wrote_was_not_read_before(cast: Cast) -> None:
    first = a_run(cast, uses=[wrote("a.csv")], status="running")
    a_run(cast, uses=[read("a.csv"), wrote("b.csv")])
    join(cast, first, read("b.csv"))
    (chosen,) = read_by(first)
    assert DatasetVersion.objects.get(pk=chosen).produced_by is None


def test_one_content_read_for_two_purposes_is_two_edges(cast: Cast) -> None:
    run = a_run(cast, uses=[read("x.csv", context="training"), read("x.csv", context="test")])
    assert len(read_by(run)) == 1
    assert Edge.objects.filter(to_node=run.pk).count() == 2


def test_many_datasets_take_few_queries(cast: Cast, django_assert_max_num_queries: Any) -> None:
    run = a_run(cast, uses=[], status="running")
    with django_assert_max_num_queries(18):
        join(cast, run, *(read(f"{n}.csv") for n in range(200)), *(wrote(f"out/{n}.csv") for n in range(200)))
    assert len(read_by(run)) == 200


@pytest.mark.django_db(transaction=True)
def test_many_runs_that_read_the_same_at_once() -> None:
    cast = make_cast()
    principal = cast.principal("ben")
    runs = [start_run(namespace=cast.namespace, by=principal) for _ in range(4)]
    gate, failures = threading.Barrier(len(runs)), []

    def work(run: Run) -> None:
        try:
            gate.wait(10)
            uses = [read(f"{n}.csv") for n in range(20)]
            log_datasets(run=run, by=principal, uses=uses if run.pk.int % 2 else uses[::-1])
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert DatasetVersion.objects.filter(dataset__namespace=cast.namespace).count() == 20
    assert all(len(read_by(run)) == 20 for run in runs)
    assert Node.objects.filter(namespace=cast.namespace, kind="dataset_version").count() == 20
