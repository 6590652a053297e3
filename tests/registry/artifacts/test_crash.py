"""The worker killed (-9) in the middle: what is left can be gone on with, and happens once in effect."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from registry.artifacts import placing, storage
from registry.artifacts.publish import publish
from registry.models import Artifact, Blob, ModelVersion
from registry.tasks import publish_version, sweep_versions
from tests.cast import Cast
from tests.conftest import Worker
from tests.registry.artifacts.crash import every_step
from tests.registry.artifacts.sending import again, events, register, sha256, staged, stored

pytestmark = pytest.mark.django_db(transaction=True)


def forget_lease(version: ModelVersion) -> None:
    """As though the lease of the dead worker had run out."""
    ModelVersion.objects.filter(pk=version.pk, claimed_at__isnull=False).update(
        claimed_at=timezone.now() - timedelta(hours=1)
    )


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


def killed_at_every_step(cast: Cast, act: Callable[[ModelVersion], None]) -> int:
    contents: dict[Any, dict[str, bytes]] = {}

    def prepare() -> ModelVersion:
        files = {"model.bin": os.urandom(3000), "conf.json": os.urandom(30)}
        version = register(cast, staged(cast, files))
        contents[version.pk] = files
        return version

    def check(version: ModelVersion, step: int) -> None:
        files = contents[version.pk]
        check_whole_or_not_at_all(version, files)
        forget_lease(version)
        publish(version.pk)
        assert again(version).status == "ready", f"step {step}: {again(version).status_message}"
        check_whole_or_not_at_all(version, files)
        told = [e for e in events(cast, "version.ready") if e.subject_id == str(version.pk)]
        assert len(told) == 1, f"step {step}"

    return every_step(prepare, act, check)


def test_publishing_survives_a_kill_at_every_step(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "SIDE_BY_SIDE", 1)
    assert killed_at_every_step(cast, lambda version: publish(version.pk)) > 40


def test_the_harness_sees_rows_written_before_objects(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with the order reversed, a kill leaves a version that is ready and has no bytes."""
    monkeypatch.setattr(placing, "SIDE_BY_SIDE", 1)
    place = placing.place

    def act(version: ModelVersion) -> None:
        files = list(version.manifest.upload.files.all())
        with monkeypatch.context() as patched:
            patched.setattr(placing, "place", lambda files: [])
            publish(version.pk)
        place(files)

    with pytest.raises(AssertionError):
        killed_at_every_step(cast, act)


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
