"""What a version looks like, and that a page of them costs as many queries as one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone as clock

from registry.actions.aliases import move_alias
from registry.api.shows import VERSION_ROWS, time_json, version_json
from registry.models import Blob
from tests.cast import Cast
from tests.factories import HELD_OUT, TRAINING, evaluate, ready_version


def test_it_works(cast: Cast) -> None:
    version = ready_version(cast)
    evaluate(cast, version, 0.8)
    evaluate(cast, version, 0.9)
    evaluate(cast, version, 0.7, digest=TRAINING)
    move_alias(model=version.model, name="champion", version=version, by=cast.principal("eve"))
    shown = version_json(VERSION_ROWS.get(pk=version.pk))
    assert shown["reference"] == f"{cast.namespace.name}/scorer:1"
    assert shown["digest"] == f"sha256:{version.manifest.digest}"
    assert (shown["tier"], shown["quarantined"], shown["aliases"]) == ("hot", False, ["champion"])
    assert shown["verified_at"].endswith("Z")
    assert shown["created_by"] == cast.user("ben").username
    assert {(m["dataset_digest"], m["value"]) for m in shown["metrics"]} == {(HELD_OUT, 0.9), (TRAINING, 0.7)}
    assert shown["url"].endswith(f"/m/{cast.namespace.name}/scorer/1")


def test_a_bare_row_is_shown_the_same(cast: Cast) -> None:
    version = ready_version(cast)
    assert version_json(version) == version_json(VERSION_ROWS.get(pk=version.pk))


def test_tier_quarantine_and_verification_come_from_the_blobs(cast: Cast) -> None:
    version = ready_version(cast)
    blobs = Blob.objects.filter(artifacts__manifest=version.manifest)
    blobs.update(tier="cold", quarantined_at=clock.now())
    shown = version_json(version)
    assert (shown["tier"], shown["quarantined"]) == ("cold", True)
    blobs.update(verified_at=None)
    assert version_json(version)["verified_at"] is None


def test_bytes_that_others_had_before_do_not_tell_so(cast: Cast) -> None:
    version = ready_version(cast)
    blobs = Blob.objects.filter(artifacts__manifest=version.manifest)
    blobs.update(verified_at=clock.now() - timedelta(days=3))
    version.refresh_from_db(fields=["ready_at"])
    assert version_json(version)["verified_at"] == time_json(version.ready_at)


def test_a_page_asks_as_many_queries_as_one_row(cast: Cast) -> None:
    for _ in range(2):
        evaluate(cast, ready_version(cast), 0.9)
    one = _queries(cast, 1)
    for _ in range(4):
        evaluate(cast, ready_version(cast), 0.9)
    assert _queries(cast, 6) == one
    assert one <= 5


def _queries(cast: Cast, count: int) -> int:
    rows = VERSION_ROWS.visible_to(cast.principal("ben"))[:count]
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert len([version_json(version) for version in rows]) == count
    return len(asked)


def test_times_are_utc_with_z() -> None:
    east = timezone(timedelta(hours=2))
    assert time_json(datetime(2026, 3, 1, 12, tzinfo=east)) == "2026-03-01T10:00:00Z"
    assert time_json(datetime(2026, 3, 1, 12, tzinfo=UTC)) == "2026-03-01T12:00:00Z"
    assert time_json(None) is None
