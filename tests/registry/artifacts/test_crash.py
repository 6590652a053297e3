"""The worker killed (-9) in the middle: what is left can be gone on with, and happens once in effect."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import psycopg
import pytest
from django.db import connection

from registry.artifacts import storage
from registry.artifacts.publish import publish
from registry.models import Artifact, Blob, ModelVersion
from registry.tasks import publish_version, sweep_versions
from tests.cast import Cast
from tests.conftest import Worker
from tests.registry.artifacts.crash import Steps, watched
from tests.registry.artifacts.crashing import (
    BUGS,
    OPERATIONS,
    Operation,
    forget_lease,
    one_at_a_time,
    several,
    through,
)
from tests.registry.artifacts.sending import again, events, register, sha256, staged, stored

pytestmark = pytest.mark.django_db(transaction=True)
# Every so many steps of each: what takes longest is looked at least often.
STRIDES = {
    "publish, one file": 7,
    "publish, several": 13,
    "publish, in a pack": 7,
    "publish, in pieces": 13,
    "delete": 7,
    "collect": 13,
    "scrub": 5,
    "heal": 11,
}


def check_whole_or_not_at_all(version: ModelVersion, files: dict[str, bytes]) -> None:
    """Nobody sees a version half made, and what is served is there."""
    version = again(version)
    artifacts = Artifact.objects.filter(manifest=version.manifest_id)
    if version.status == "verifying":
        assert version.manifest.state == "open"
        assert not artifacts.exists()
    else:
        assert version.status == "ready"
        assert version.manifest.state == "sealed"
        assert {a.path: a.blob_id for a in artifacts} == {p: sha256(c) for p, c in files.items()}
    for content in files.values():
        if Blob.objects.filter(pk=sha256(content)).exists():
            assert stored(content) == content


@pytest.mark.parametrize(("name", "stride"), STRIDES.items())
def test_it_survives_a_kill_at_any_step(name: str, stride: int) -> None:
    """`make campaign-artifacts-crash` tries every step."""
    told = through(OPERATIONS[name], stride=stride)
    assert told.bad == []


def test_every_operation_is_killed() -> None:
    assert set(STRIDES) == set(OPERATIONS)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_the_harness_sees(bug: Callable[[Cast], Operation]) -> None:
    """The controls: bugs that only a kill at the right moment shows."""
    assert through(bug, stride=3, enough=1).bad


def test_the_harness_sees_every_statement(cast: Cast) -> None:
    """As many as the driver under Django is asked for: none goes by unseen."""
    version = register(cast, staged(cast, several()))
    steps, asked = Steps(0), 0
    execute = psycopg.Cursor.execute

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal asked
        asked += 1
        return execute(*args, **kwargs)

    with one_at_a_time(), watched(steps):
        connection.ensure_connection()
        with mock.patch.object(psycopg.Cursor, "execute", counted):
            publish(version.pk)
    assert steps.kinds["statement"] >= asked > 15
    assert steps.kinds["commit"] > 4
    assert steps.kinds["store"] > 10


def test_a_killed_worker_is_followed_by_another(cast: Cast, worker: Worker) -> None:
    files = {f"shard-{n}": os.urandom(24 * storage.MIB) for n in range(4)}
    upload = staged(cast, files)
    version = register(cast, upload)  # the message goes out on commit
    wait_until(lambda: again(version).claims > 0)
    worker.kill()
    assert again(version).status == "verifying"
    check_whole_or_not_at_all(version, files)
    forget_lease(version)
    worker.start()
    began = time.monotonic()
    sweep_versions.delay()
    wait_until(lambda: again(version).status == "ready")
    assert time.monotonic() - began < 90
    publish_version.delay(version_id=str(version.pk))  # the broker hands the lost message out again
    wait_until(lambda: again(version).claimed_at is None)
    check_whole_or_not_at_all(version, files)
    assert len(events(cast, "version.ready")) == 1


def wait_until(true: Callable[[], bool], timeout: float = 90) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
