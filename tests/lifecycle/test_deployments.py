"""What runs where: kept as it is reported, now and at a time, and counted on by deletion."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from lifecycle import deployments
from lifecycle.actions.deletion import delete_version
from lifecycle.actions.deployments import NotDeployed, TooManyTargets, remove_deployment
from lifecycle.actions.promotions import roll_back
from lifecycle.deletion import referrers
from lifecycle.deployments import ROWS, running_at, running_now
from lifecycle.models import Deployment, DeploymentChange
from lifecycle.promotions import settle
from registry.errors import DomainError, Forbidden, InvalidInput, NotVisible
from registry.models import Event, ModelVersion
from tests.cast import Cast, make_cast
from tests.factories import fresh, ready_version
from tests.lifecycle.running import Clock, deployment, events, in_production, runs, stops, told

OTHER = "sha256:" + "7" * 64


# ---- reporting


def test_it_works(cast: Cast) -> None:
    version = in_production(cast)
    row = runs(cast, version)
    assert (row.version, row.digest, row.serves) == (version, version.manifest.digest, "production")
    assert (row.reporter, row.drift, told(row)) == (cast.user("cora"), [], ["reported"])
    (shown,) = running_now(ROWS.filter(model=version.model), row.last_seen)
    assert (shown.target, shown.approved, shown.loud, shown.sentence) == ("eu-1", True, False, "")


def test_a_heartbeat_changes_the_time_and_nothing_else(cast: Cast) -> None:
    version, clock = in_production(cast), Clock()
    row = runs(cast, version, now=clock.at(0), interval=7200)
    for hours in (1, 2, 3):
        runs(cast, version, now=clock.at(hours))
    row = deployment(row)
    assert (row.since, row.last_seen, row.interval) == (clock.at(0), clock.at(3), 7200)
    assert (row.changes.count(), told(row)) == (1, ["reported"])


def test_a_heartbeat_costs_the_same_whatever_the_history(cast: Cast) -> None:
    version = in_production(cast)
    runs(cast, version)

    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            runs(cast, version)
        return len(queries)

    first = cost()
    for digest in (OTHER, None, OTHER, None):
        runs(cast, version, digest=digest)
    assert cost() == first


def test_another_version_is_a_change(cast: Cast) -> None:
    old, clock = in_production(cast), Clock()
    runs(cast, old, now=clock.at(0))
    new = in_production(cast, 0.95)
    row = runs(cast, new, now=clock.at(1), serves="production")
    assert (row.version, row.since, told(row)) == (new, clock.at(1), ["reported", "reported"])
    (event,) = events(row, "reported")[1:]
    assert (event.before or {})["version"] == old.reference
    assert (event.after or {})["version"] == new.reference
    assert [change.version for change in row.changes.order_by("pk")] == [old, new]


def test_another_reporter_is_a_change_so_that_nobody_keeps_it_alive_unseen(cast: Cast) -> None:
    version = in_production(cast)
    row = runs(cast, version)
    row = runs(cast, version, by="eve")
    assert [change.by for change in row.changes.order_by("pk")] == [cast.user("cora"), cast.user("eve")]
    assert row.since == row.changes.order_by("pk")[0].since


def test_taking_it_away_and_back(cast: Cast) -> None:
    version, clock = in_production(cast), Clock()
    row = runs(cast, version, now=clock.at(0))
    stops(cast, version, now=clock.at(1))
    assert running_now(ROWS.filter(model=version.model), clock.at(1)) == []
    stops(cast, version)  # again: nothing
    with pytest.raises(NotDeployed):
        stops(cast, version, target="us-1")
    row = runs(cast, version, now=clock.at(2))
    assert (row.since, row.removed_at, told(row)) == (
        clock.at(2),
        None,
        ["reported", "removed", "reported"],
    )


@pytest.mark.parametrize("who", ["ben", "otto", "vera", "ci"])
def test_who_runs_it_may(cast: Cast, who: str) -> None:
    version = ready_version(cast)
    with pytest.raises(Forbidden):
        runs(cast, version, by=who)
    with pytest.raises(Forbidden):
        remove_deployment(model=version.model, target="eu-1", by=cast.principal(who))
    assert not Deployment.objects.filter(model=version.model).exists()


def test_the_stranger_may_not(cast: Cast) -> None:
    with pytest.raises(NotVisible):
        runs(cast, ready_version(cast), by="mallory")


@pytest.mark.parametrize(
    "said",
    [
        {"target": "EU 1"},
        {"target": ""},
        {"target": "x" * 101},
        {"digest": "sha256:short"},
        {"serves": "development"},
        {"interval": 9},
        {"interval": 31 * 86_400 + 1},
    ],
)
def test_what_cannot_be_meant_is_refused(cast: Cast, said: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        runs(cast, ready_version(cast), **said)
    assert not Deployment.objects.filter(model__namespace=cast.namespace).exists()


def test_a_promise_to_report_is_taken_back_by_zero(cast: Cast) -> None:
    version = in_production(cast)
    assert runs(cast, version, interval=60).interval == 60
    assert runs(cast, version, interval=0).interval is None


def test_there_are_not_endless_targets(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifecycle.actions.deployments.MOST_TARGETS", 1)
    version = in_production(cast)
    runs(cast, version)
    runs(cast, version)
    with pytest.raises(TooManyTargets):
        runs(cast, version, "eu-2")


@pytest.mark.django_db(transaction=True)
def test_reported_twice_at_once_it_is_there_once() -> None:
    cast = make_cast()
    version, barrier = in_production(cast), Barrier(6)
    failed: list[Exception] = []

    def report() -> None:
        try:
            barrier.wait(10)
            runs(cast, version)
        except Exception as error:  # told below
            failed.append(error)
        finally:
            connection.close()

    threads = [Thread(target=report) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    row = Deployment.objects.get(model=version.model)
    assert (row.changes.count(), told(row)) == (1, ["reported"])


# ---- the past


def test_what_ran_where_then(cast: Cast) -> None:
    old = in_production(cast)
    began = Clock().began
    runs(cast, old, "eu-1", now=began + timedelta(hours=1))
    runs(cast, old, "us-1", now=began + timedelta(hours=2), digest=OTHER)
    stops(cast, old, "us-1", now=began + timedelta(hours=3))

    def at(hours: float) -> dict[str, tuple[str, list[str], bool | None]]:
        found = running_at(old.model, began + timedelta(hours=hours))
        return {each.target: (each.version.reference, each.drift, each.approved) for each in found}

    assert at(0.5) == {}
    assert at(1.5) == {"eu-1": (old.reference, [], True)}
    assert at(2.5) == {
        "eu-1": (old.reference, [], True),
        "us-1": (old.reference, ["other_bytes"], False),
    }
    assert at(3) == {"eu-1": (old.reference, [], True)}


def test_the_present_and_the_past_agree_on_what_is_now(cast: Cast) -> None:
    old = in_production(cast)
    runs(cast, old)
    in_production(cast, 0.95)
    back = roll_back(model=old.model, reason="errors", by=cast.principal("cora"))
    settle(promotion_id=back.pk)
    row = runs(cast, old, "us-1")
    now = running_now(ROWS.filter(model=old.model), row.last_seen)
    then = running_at(old.model, row.last_seen)
    assert [(e.target, e.version, e.approved, e.drift) for e in now] == [
        (e.target, e.version, e.approved, e.drift) for e in then
    ]


# ---- what else counts on it


def test_what_runs_is_not_deleted(cast: Cast) -> None:
    version = ready_version(cast)
    runs(cast, version)
    assert [each for each in referrers(version, cast.principal("eve")) if "eu-1" in each]
    with pytest.raises(DomainError):
        delete_version(version=version, reason="old", by=cast.principal("eve"))
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersion.objects.filter(pk=version.pk).update(status="deleted", deleted_at=Clock().began)
    stops(cast, version)
    delete_version(version=version, reason="old", by=cast.principal("eve"))


def test_what_was_deleted_and_is_found_running_is_kept_and_told(cast: Cast) -> None:
    version = ready_version(cast)
    delete_version(version=version, reason="old", by=cast.principal("eve"))
    row = runs(cast, fresh(version))
    assert row.drift == ["out_of_use"]
    assert "was deleted on" in row.drift_sentence


def test_a_target_is_never_another(cast: Cast) -> None:
    row = runs(cast, ready_version(cast))
    for change in ({"target": "us-1"}, {"model": ready_version(cast, model="other").model}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Deployment.objects.filter(pk=row.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        Deployment.objects.filter(pk=row.pk).delete()
    assert DeploymentChange.objects.filter(deployment=row).exists()
    assert Event.objects.filter(subject_id=str(row.pk)).exists()
    assert deployments.locked(row.pk).target == "eu-1"
