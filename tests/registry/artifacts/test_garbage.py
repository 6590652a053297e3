"""Bytes that nobody needs go, and no others."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from lifecycle.actions.deletion import delete_version
from lifecycle.models import TierMove
from registry.actions.versions import create_version
from registry.artifacts import garbage, storage
from registry.artifacts.alone import alone
from registry.artifacts.manifests import Entry
from registry.artifacts.publish import publish
from registry.artifacts.quarantine import lock_content
from registry.artifacts.uploads import UploadClosed, held_by
from registry.models import Blob, Event, Upload, User
from registry.tasks import collect_garbage as task
from tests.cast import Cast
from tests.registry.artifacts.collecting import races
from tests.registry.artifacts.corner import collect, corner, delete, keys, kinds, live, packed
from tests.registry.artifacts.sending import (
    again,
    blob,
    lose,
    publish_all,
    register,
    sha256,
    staged,
    stored,
)

__all__ = ["corner"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("corner")]


def other_team(cast: Cast) -> Cast:
    return Cast(cast.elsewhere, cast.namespace, {**cast.people, "ben": cast.people["mallory"]})


def test_it_works(cast: Cast, settings: Settings) -> None:
    content = os.urandom(1000)
    version = publish_all(cast, staged(cast, {"model.bin": content}))
    storage.bucket("cold").put(storage.content_key(sha256(content)), content, sha256(content))
    settings.GARBAGE_GRACE_SECONDS = 3600
    collect()
    assert kinds(content) == ("live", True, True)  # needed; the second copy is too new to be astray
    delete(cast, version)

    assert sha256(content) in collect().condemn

    assert kinds(content) == ("condemned", True, True)
    assert sha256(content) not in collect().collect  # the grace
    Blob.objects.filter(pk=sha256(content)).update(condemned_at=timezone.now() - timedelta(hours=2))
    assert collect().collect[sha256(content)] == 1000
    assert kinds(content) == ("gone", False, False)
    told = Event.objects.filter(type__startswith="garbage.", after__sha256__contains=sha256(content))
    assert list(told.order_by("pk").values_list("type", flat=True)) == [
        "garbage.condemned",
        "garbage.collected",
    ]
    assert again(version).status == "deleted"


def test_what_is_left_is_what_is_live(cast: Cast) -> None:
    """1,500 objects under one version, one of them removed by hand; and one that another namespace holds too."""
    files = {f"shard-{n:04}": os.urandom(20) for n in range(1500)}
    shared = files["shard-0007"]
    version = publish_all(cast, packed(cast, files))
    other = other_team(cast)
    theirs = publish_all(other, staged(other, {"x.bin": shared}))
    mine = publish_all(cast, staged(cast, {"kept.bin": os.urandom(50), "same.bin": files["shard-0008"]}))
    storage.hot().put(
        storage.content_key("ab" * 32), b"left", sha256(b"left")
    )  # by a publish that was killed
    lose(files["shard-0100"])
    delete(cast, version)
    with CaptureQueriesContext(connection) as asked:
        planned = garbage.plan()
    assert len(asked) < 20
    assert len(set(planned.condemn) & {sha256(content) for content in files.values()}) == 1498
    for _ in range(2):
        collect()
    assert keys() == live(cast, other)
    assert keys() == {sha256(shared), *mine.manifest.artifacts.values_list("blob", flat=True)}
    assert stored(shared) == shared
    assert again(theirs).status == "ready"
    assert blob(files["shard-0100"]).state == Blob.State.GONE
    assert keys("cold") == set()


def test_the_run_does_what_the_dry_run_says(cast: Cast) -> None:
    contents = [os.urandom(100 + n) for n in range(4)]
    versions = [publish_all(cast, staged(cast, {"m": content})) for content in contents]
    for version in versions[:2]:
        delete(cast, version)
    collect()
    for version in versions[2:]:
        delete(cast, version)
    storage.bucket("cold").put(storage.content_key("cd" * 32), b"left", sha256(b"left"))
    dry, out = StringIO(), StringIO()
    call_command("collect_garbage", "--dry-run", "--json", stdout=dry)
    call_command("collect_garbage", "--json", stdout=out)
    assert json.loads(out.getvalue()) == json.loads(dry.getvalue())
    told = json.loads(out.getvalue())
    assert told["collect"]["blobs"] >= 2
    assert told["collect"]["bytes"] >= 201
    assert told["condemn"]["blobs"] >= 2
    assert told["strays"] == {"objects": 1, "bytes": 4}


def test_the_command_in_words(cast: Cast) -> None:
    delete(cast, publish_all(cast, staged(cast, {"m": os.urandom(2048)})))
    out = StringIO()
    call_command("collect_garbage", "--dry-run", stdout=out)
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[2].endswith("KB) would be condemned.")
    with at_it_elsewhere(), pytest.raises(CommandError, match="under way already"):
        call_command("collect_garbage")


@contextmanager
def at_it_elsewhere() -> Iterator[None]:
    """Somebody else is at it, in a session of their own."""
    there, end = threading.Event(), threading.Event()

    def hold() -> None:
        with alone("garbage") as first:
            assert first
            there.set()
            end.wait(timeout=30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert there.wait(timeout=30)
    try:
        yield
    finally:
        end.set()
        thread.join()


def test_one_at_a_time(cast: Cast) -> None:
    with at_it_elsewhere():
        assert garbage.collect_garbage() is None
        task()
    assert garbage.collect_garbage() is not None


# ---- what is claimed


def test_a_file_that_is_announced_is_claimed(cast: Cast) -> None:
    content = os.urandom(300)
    version = publish_all(cast, staged(cast, {"m": content}))
    upload = staged(cast, {"again": content})  # held already: nothing was sent
    assert upload.files.get().status == "present"
    delete(cast, version)
    assert sha256(content) not in collect().condemn
    waiting = create_version(namespace=cast.namespace, name="other", upload=upload, by=cast.principal("ben"))
    Upload.objects.filter(pk=upload.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    assert sha256(content) not in collect().condemn  # being published
    publish(waiting.pk)
    assert again(waiting).status == "ready"
    assert kinds(content) == ("live", True, False)


def test_what_expires_claims_nothing(cast: Cast) -> None:
    content = os.urandom(300)
    version = publish_all(cast, staged(cast, {"m": content}))
    upload = staged(cast, {"again": content})
    delete(cast, version)
    Upload.objects.filter(pk=upload.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert sha256(content) in collect().condemn


def test_bytes_that_change_tiers_are_left(cast: Cast) -> None:
    content = os.urandom(300)
    version = publish_all(cast, staged(cast, {"m": content}))
    move = TierMove.objects.create(blob=blob(content), version=version, to_tier="cold")
    TierMove.objects.filter(pk=move.pk).update(state="moved", moved_at=timezone.now())
    storage.bucket("cold").put(storage.content_key(sha256(content)), content, sha256(content))
    delete(cast, version)
    collect()
    assert kinds(content) == ("live", True, True)
    TierMove.objects.filter(pk=move.pk).update(state="done")
    for _ in range(2):
        collect()
    assert kinds(content) == ("gone", False, False)


def test_whoever_works_on_the_bytes_is_not_waited_for(cast: Cast) -> None:
    content = os.urandom(300)
    delete(cast, publish_all(cast, staged(cast, {"m": content})))
    collect()
    held, end = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            lock_content(sha256(content))
            held.set()
            end.wait(timeout=30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(timeout=30)
    try:
        assert sha256(content) not in collect().collect
        assert kinds(content) == ("condemned", True, False)
    finally:
        end.set()
        thread.join()
    assert sha256(content) in collect().collect


# ---- what is needed again


@pytest.mark.parametrize("runs", [1, 2])
def test_bytes_that_come_again_live_again(cast: Cast, runs: int) -> None:
    content = os.urandom(300)
    delete(cast, publish_all(cast, staged(cast, {"m": content})))
    for _ in range(runs):
        collect()
    assert blob(content).state == ("condemned", "gone")[runs - 1]
    upload = staged(cast, {"m": content})
    assert upload.files.get().staging_key  # what is condemned is not held: it is sent
    version = publish_all(cast, upload)
    row = blob(content)
    assert (row.state, row.condemned_at, row.tier) == ("live", None, "hot")
    for _ in range(2):
        collect()
    assert stored(content) == content
    assert again(version).status == "ready"


def test_a_released_manifest_holds_nothing(cast: Cast) -> None:
    content = os.urandom(300)
    version = publish_all(cast, staged(cast, {"m": content}))
    entries = [Entry("m", 300, sha256(content))]
    assert held_by(cast.namespace, entries) == {sha256(content)}
    delete(cast, version)
    assert held_by(cast.namespace, entries) == set()


def test_what_was_made_of_an_upload_and_deleted_is_not_made_again(cast: Cast) -> None:
    upload = staged(cast, {"m": os.urandom(30)})
    version = publish_all(cast, upload)
    twin = register(cast, upload, model="twin")
    publish(twin.pk)
    delete(cast, version)
    third = register(cast, upload, model="third")  # the twin still needs the bytes
    publish(third.pk)
    assert again(third).status == "ready"
    for each in (twin, third):
        delete(cast, each)
    with pytest.raises(UploadClosed, match="was deleted"):
        register(cast, upload, model="fourth")


def test_a_failed_version_that_was_deleted_leaves_its_upload_usable(cast: Cast) -> None:
    content = os.urandom(300)
    upload = staged(cast, {"m": content})
    file = upload.files.get()
    storage.hot().put(file.staging_key, b"x" * 300, sha256(b"x" * 300))
    failed = register(cast, upload)
    publish(failed.pk)
    assert again(failed).status == "failed"
    delete_version(version=failed, reason="wrong bytes", by=cast.principal("eve"))
    storage.hot().put(file.staging_key, content, sha256(content))
    upload.files.update(status="received")
    assert publish_all(cast, upload).status == "ready"


# ---- over REST


def test_over_rest(cast: Cast) -> None:
    content = os.urandom(300)
    delete(cast, publish_all(cast, staged(cast, {"m": content})))
    assert cast.client("ada").get("/api/v1/garbage").status_code == 403
    assert cast.client("ada").post("/api/v1/garbage/run").status_code == 403
    User.objects.filter(pk=cast.user("ada").pk).update(is_superuser=True)
    told = cast.client("ada").get("/api/v1/garbage").json()
    assert told["condemn"]["blobs"] >= 1
    answer = cast.client("ada").post("/api/v1/garbage/run")
    assert (answer.status_code, answer.json()) == (202, told)
    task()
    assert blob(content).state == "condemned"
    User.objects.filter(pk=cast.user("ada").pk).update(is_superuser=False)


# ---- against publishing


def test_a_publish_that_races_the_collector_loses_nothing(cast: Cast) -> None:
    assert races(cast, 30).lost == []
