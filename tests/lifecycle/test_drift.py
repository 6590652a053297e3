"""What runs beside what is approved: every difference is told once, when it begins, and once when it ends."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from lifecycle.actions.promotions import move_version
from lifecycle.actions.quarantine import quarantine_versions
from lifecycle.deployments import ROWS, running_now, sweep
from registry.models import StageChange
from tests.cast import Cast
from tests.factories import ready_version, staged_version
from tests.lifecycle.running import Clock, deployment, events, in_production, runs, stops, told

GRACE = timedelta(seconds=300)
OTHER = "sha256:" + "7" * 64


def test_another_than_production_is_told_once_and_again_when_it_ends(cast: Cast) -> None:
    old = in_production(cast)
    new, clock = in_production(cast, 0.95), Clock()
    row = runs(cast, old, now=clock.at(1))
    (event,) = events(row, "drifted")
    assert event.reason.startswith(f"eu-1 runs {old.reference}, but {new.reference} is in production since")
    assert (event.after or {})["drift"] == ["not_approved"]
    assert row.drifted_at == clock.at(1)
    for hours in (2, 3):
        runs(cast, old, now=clock.at(hours))
        sweep(clock.at(hours))
    assert told(row) == ["reported", "drifted"]
    runs(cast, new, now=clock.at(4))
    assert told(row) == ["reported", "drifted", "reported", "settled"]
    row = deployment(row)
    assert (row.drift, row.drifted_at, row.drift_sentence) == ([], None, "")


def test_targets_have_a_while_to_follow_production(cast: Cast) -> None:
    """Else every promotion would be an alarm."""
    old = in_production(cast)
    row = runs(cast, old)
    new = in_production(cast, 0.95)
    since = StageChange.objects.filter(version=new, to_stage="production").get().at
    just_before, after = since + GRACE - timedelta(seconds=1), since + GRACE
    assert sweep(just_before) == 0
    (shown,) = running_now(ROWS.filter(pk=row.pk), just_before)
    assert (shown.approved, shown.drift) == (False, [])  # said to who looks, not yet an event
    assert sweep(after) == 1
    assert told(row) == ["reported", "drifted"]
    assert sweep(after) == 0


def test_nothing_in_production(cast: Cast) -> None:
    version = ready_version(cast)
    row = runs(cast, version)
    assert row.drift == ["not_approved"]
    assert row.drift_sentence == (
        f"eu-1 runs {version.reference}, but nothing of {version.model} is in production."
    )


def test_the_same_bytes_under_another_number_are_what_was_approved(cast: Cast) -> None:
    version = in_production(cast)
    twin = ready_version(cast)
    row = runs(cast, twin, digest=f"sha256:{version.manifest.digest}", now=Clock().at(1))
    assert row.drift == ["other_bytes"]  # not those of version 2, which it says it runs
    assert runs(cast, version, now=Clock().at(1)).drift == []


def test_other_bytes_than_were_published(cast: Cast) -> None:
    version = in_production(cast)
    row = runs(cast, version, digest=OTHER)
    assert row.drift == ["other_bytes"]
    assert "sha256:777777777777…" in row.drift_sentence
    assert f"sha256:{(version.manifest.digest or '')[:12]}…" in row.drift_sentence
    (shown,) = running_now(ROWS.filter(pk=row.pk), row.last_seen)
    assert shown.loud


def test_silence(cast: Cast) -> None:
    version, clock = in_production(cast), Clock()
    row = runs(cast, version, now=clock.at(0), interval=3600)
    assert sweep(clock.at(1)) == 0
    assert sweep(clock.at(1.01)) == 1
    (event,) = events(row, "drifted")
    assert "was last heard of at" in event.reason
    assert event.reason.endswith("and was to report every 3600 seconds.")
    assert event.actor is None
    runs(cast, version, now=clock.at(2))
    assert told(row) == ["reported", "drifted", "settled"]
    assert deployment(row).since == clock.at(0)


def test_a_silence_that_no_sweep_met_is_told_by_the_report_that_ends_it(cast: Cast) -> None:
    version, clock = in_production(cast), Clock()
    row = runs(cast, version, now=clock.at(0), interval=3600)
    runs(cast, version, now=clock.at(5))
    assert told(row) == ["reported", "drifted", "settled"]
    silent = row.changes.get(what="drifted")
    assert (silent.drift, silent.seen_before) == (["silent"], clock.at(0))


def test_who_promised_nothing_may_be_silent(cast: Cast) -> None:
    version, clock = in_production(cast), Clock()
    row = runs(cast, version, now=clock.at(0))
    assert sweep(clock.at(24 * 400)) == 0
    assert told(row) == ["reported"]


def test_what_comes_on_top_is_told_too_and_what_is_left_is_not(cast: Cast) -> None:
    version, clock = in_production(cast), Clock()
    row = runs(cast, version, now=clock.at(0), interval=3600, digest=OTHER)
    sweep(clock.at(2))
    assert [(e.after or {})["drift"] for e in events(row, "drifted")] == [
        ["other_bytes"],
        ["other_bytes", "silent"],
    ]
    runs(cast, version, now=clock.at(3), digest=OTHER)  # heard again, and no better
    assert told(row) == ["reported", "drifted", "drifted"]
    assert deployment(row).drift == ["other_bytes"]
    runs(cast, version, now=clock.at(3.1))
    assert told(row)[3:] == ["reported", "settled"]


@pytest.mark.parametrize("serves", ["production", "staging"])
def test_what_was_suspended_and_still_runs_is_named_loudly(cast: Cast, serves: str) -> None:
    version = in_production(cast)
    row = runs(cast, version, serves=serves)
    move_version(version=version, move="suspend", reason="It is biased.", by=cast.principal("cora"))
    assert sweep(row.last_seen) == 1  # at once: no time to follow
    (event,) = events(row, "drifted")
    assert f"eu-1 still runs {version.reference}, which was suspended by {cast.user('cora').username} on" in (
        event.reason
    )
    assert event.reason.endswith("UTC: It is biased.")
    (shown,) = running_now(ROWS.filter(pk=row.pk), row.last_seen)
    assert (shown.loud, shown.drift) == (True, ["out_of_use"])


def test_what_is_under_quarantine_and_still_runs_is_named_loudly(cast: Cast) -> None:
    version = in_production(cast)
    row = runs(cast, version)
    quarantine_versions(versions=[version], reason="shifted labels", by=cast.principal("cora"))
    sweep(row.last_seen)
    (event,) = events(row, "drifted")
    assert "still runs a doubted version" in event.reason
    assert "shifted labels" in event.reason
    assert deployment(row).drift == ["under_quarantine"]


def test_staging_targets_run_what_is_staged(cast: Cast) -> None:
    in_production(cast)
    version = staged_version(cast)
    row = runs(cast, version, "staging-1", serves="staging")
    assert row.drift == []
    (shown,) = running_now(ROWS.filter(pk=row.pk), row.last_seen)
    assert shown.approved is None
    move_version(version=version, move="demote", reason="not yet", by=cast.principal("eve"))
    sweep(row.last_seen)
    assert "which is in development" in events(row, "drifted")[0].reason


def test_taking_away_what_drifted_settles_it(cast: Cast) -> None:
    version = ready_version(cast)
    row = runs(cast, version)
    stops(cast, version)
    assert told(row) == ["reported", "drifted", "settled", "removed"]
    assert sweep(row.last_seen + timedelta(days=1)) == 0


def test_the_sweep_asks_as_much_of_many_as_of_one(cast: Cast) -> None:
    version = in_production(cast)
    row = runs(cast, version, "eu-0")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert sweep(row.last_seen) == 0
        return len(queries)

    first = cost()
    other = in_production(cast, model="other")
    for number in range(1, 6):
        runs(cast, version, f"eu-{number}")
        runs(cast, other, f"eu-{number}")
    assert cost() == first
