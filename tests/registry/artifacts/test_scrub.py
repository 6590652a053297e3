"""Published bytes read again: what is found, what is not, and who is told."""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from lifecycle.actions.deletion import delete_version
from lifecycle.actions.promotions import request_promotion
from lifecycle.promotions import settle
from registry.actions.versions import VersionNotReady, request_verification
from registry.artifacts import scrub, scrubbing, storage
from registry.artifacts.alone import alone
from registry.artifacts.download import VersionQuarantined, artifact_of
from registry.artifacts.integrity import integrity
from registry.artifacts.scrub import verify_blobs_of
from registry.artifacts.scrubbing import Told
from registry.errors import Forbidden
from registry.models import Blob, Event, ModelVersion
from registry.tasks import sweep_versions
from tests.cast import Cast
from tests.registry.artifacts.corner import own_corner, packed
from tests.registry.artifacts.damage import careless, damaged
from tests.registry.artifacts.sending import (
    again,
    blob,
    events,
    lose,
    overwrite,
    publish_all,
    published,
    register,
    send,
    sha256,
    stored,
)

pytestmark = pytest.mark.django_db(transaction=True)
WEEK = timedelta(days=8)


def age(*contents: bytes) -> None:
    """As though these had been verified long ago, and every other blob just now."""
    Blob.objects.update(verified_at=timezone.now())
    Blob.objects.filter(pk__in=[sha256(c) for c in contents]).update(verified_at=timezone.now() - WEEK)


def read_what_is_due(most: int | None = None) -> Told:
    told = scrubbing.scrub(most=most)
    assert told is not None
    return told


def test_it_works(cast: Cast) -> None:
    contents = [os.urandom(100 + n) for n in range(12)]
    for n, content in enumerate(contents):
        published(cast, {"model.bin": content}, model=f"m{n}")
    age(*contents)
    altered, lost = contents[:3], contents[3:5]
    for content in altered:
        overwrite(content, os.urandom(len(content)))
    for content in lost:
        lose(content)

    told = read_what_is_due()

    assert (told.read, told.corrupt, told.missing, told.new) == (12, 3, 2, 5)
    bad = set(
        Blob.objects.filter(quarantined_at__isnull=False, pk__in=map(sha256, contents)).values_list(
            "pk", flat=True
        )
    )
    assert bad == {sha256(content) for content in (*altered, *lost)}
    quarantined = events(cast, "blob.quarantined")
    assert {event.after["sha256"] for event in quarantined if event.after} == bad
    assert {event.after["versions"][0] for event in quarantined if event.after} == {
        f"{cast.namespace.name}/m{n}:1" for n in range(5)
    }
    for n in range(12):
        path = f"/api/v1/namespaces/{cast.namespace.name}/models/m{n}/versions/1/artifacts/model.bin"
        assert cast.client("vera").get(path).status_code == (409 if n < 5 else 302)


def test_damage_is_told_once(cast: Cast) -> None:
    content = os.urandom(100)
    published(cast, {"model.bin": content})
    lose(content)
    for _ in range(3):
        assert not scrub.verify_blob(sha256(content))
    assert len(events(cast, "blob.quarantined")) == 1


def test_every_namespace_that_holds_the_bytes_is_told_of_its_own_versions(cast: Cast) -> None:
    content = os.urandom(100)
    mine = published(cast, {"model.bin": content})
    other = Cast(cast.elsewhere, cast.namespace, {**cast.people, "ben": cast.people["mallory"]})
    theirs = published(other, {"x.bin": content})
    overwrite(content, b"x" * 100)
    scrub.verify_blob(sha256(content))
    (here,), (there,) = events(cast, "blob.quarantined"), events(other, "blob.quarantined")
    assert here.after
    assert there.after
    assert here.after["versions"] == [mine.reference]
    assert there.after["versions"] == [theirs.reference]


def test_what_is_sound_again_is_healed(cast: Cast) -> None:
    content = os.urandom(100)
    published(cast, {"model.bin": content})
    overwrite(content, os.urandom(100))
    assert not scrub.verify_blob(sha256(content))
    overwrite(content, content)  # somebody restored a backup
    assert scrub.verify_blob(sha256(content))
    assert blob(content).quarantined_at is None
    assert len(events(cast, "blob.healed")) == 1


def test_a_store_that_is_away_says_nothing_about_bytes(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(100)
    published(cast, {"model.bin": content})
    with monkeypatch.context() as patched:
        patched.setattr("django.conf.settings.S3_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(storage.StoreUnavailable):
            scrub.verify_blob(sha256(content))
    with monkeypatch.context() as patched:
        patched.setitem(settings.S3_BUCKETS, "hot", "no-such-bucket")
        with pytest.raises(storage.StoreUnavailable):
            scrub.verify_blob(sha256(content))
    assert blob(content).quarantined_at is None


def test_the_least_recently_verified_come_first_and_the_recent_are_left(cast: Cast) -> None:
    contents = [os.urandom(50) for _ in range(3)]
    published(cast, {f"{n}.bin": content for n, content in enumerate(contents)})
    age(*contents)
    oldest = sha256(contents[1])
    Blob.objects.filter(pk=oldest).update(verified_at=timezone.now() - 2 * WEEK)
    assert read_what_is_due(most=1).read == 1
    verified_at = blob(contents[1]).verified_at
    assert verified_at is not None
    assert verified_at > timezone.now() - timedelta(minutes=1)
    assert read_what_is_due().read == 2
    assert read_what_is_due().read == 0


def test_verifying_a_version_on_request(cast: Cast) -> None:
    content = os.urandom(100)
    version = published(cast, {"model.bin": content})
    age(content)
    base = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/1"
    assert cast.client("vera").post(f"{base}/verify").status_code == 403
    assert cast.client("mallory").post(f"{base}/verify").status_code == 404
    answer = cast.client("cora").post(f"{base}/verify")
    assert answer.status_code == 202
    assert answer.json()["reference"] == version.reference

    scrub.verify_version(version.pk)

    shown = cast.client("vera").get(base).json()
    assert shown["quarantined"] is False
    assert shown["verified_at"] > timezone.now().replace(microsecond=0).isoformat()[:16]
    assert again(version).verify_requested_at is None
    assert again(version).claimed_at is None
    overwrite(content, b"y" * 100)
    request_verification(version=version, by=cast.principal("ben"))
    scrub.verify_version(version.pk)
    assert cast.client("vera").get(base).json()["quarantined"] is True


def test_only_what_is_published_is_verified(cast: Cast) -> None:
    version = register(cast, send(cast, {"model.bin": b"abc"}))
    with pytest.raises(VersionNotReady):
        request_verification(version=version, by=cast.principal("ben"))
    with pytest.raises(Forbidden):
        request_verification(version=version, by=cast.principal("vera"))


def test_integrity_in_a_sentence(cast: Cast) -> None:
    content, other = os.urandom(100), os.urandom(50)
    version = published(cast, {"model.bin": content, "b.bin": other})
    found = integrity(version)
    assert found.ok
    assert "All 2 files" in found.sentence
    assert found.evidence["digest"] == f"sha256:{version.manifest.digest}"

    age(content)
    stale = integrity(version)
    assert not stale.ok
    assert stale.sentence.startswith("model.bin was not read again recently enough")
    assert integrity(version, since=timezone.now() - 2 * WEEK).ok
    verify_blobs_of(version.pk)
    assert integrity(version).ok

    overwrite(other, b"z" * 50)
    verify_blobs_of(version.pk)
    bad = integrity(version)
    assert not bad.ok
    assert bad.sentence.startswith("b.bin is quarantined: its object holds 50 bytes with sha256")
    assert [wrong["path"] for wrong in bad.evidence["wrong"]] == ["b.bin"]
    assert stored(content) == content


def test_the_sweep_finds_what_was_lost(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    version = register(cast, send(cast, {"model.bin": os.urandom(10)}))
    sent: list[str] = []
    monkeypatch.setattr(
        "registry.tasks.artifacts.publish_version.delay", lambda *, version_id: sent.append(version_id)
    )
    sweep_versions()
    assert str(version.pk) not in sent  # its message is on the way
    ModelVersion.objects.filter(pk=version.pk).update(claims=1, claimed_at=timezone.now())
    sweep_versions()
    assert str(version.pk) not in sent  # somebody works on it
    ModelVersion.objects.filter(pk=version.pk).update(claimed_at=timezone.now() - timedelta(hours=1))
    sweep_versions()
    assert str(version.pk) in sent


# ---- the scrub as a whole


def test_damage_among_many_is_found_and_nothing_else(cast: Cast) -> None:
    with own_corner():
        damage = damaged(cast, 200, 10, 5)
    assert (len(damage.done), damage.bad) == (15, 0)


def test_a_scrub_that_reads_nothing_would_be_seen(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubbing, "_is_sound", careless)
    with own_corner():
        assert damaged(cast, 40, 4, 1).bad >= 4


def test_what_a_run_found_is_one_event(cast: Cast) -> None:
    contents = [os.urandom(100) for _ in range(4)]
    published(cast, {f"{n}.bin": content for n, content in enumerate(contents)})
    age(*contents)
    lose(contents[0])
    overwrite(contents[1], b"x" * 100)
    before = Event.objects.filter(type="scrub.found").count()
    counts = read_what_is_due().counts()
    assert counts == {"read": 4, "bytes": 400, "missing": 1, "corrupt": 1, "healed": 0, "new": 2}
    told = Event.objects.filter(type="scrub.found").order_by("pk")[before:]
    assert [(event.after, event.namespace) for event in told] == [(counts, None)]
    assert read_what_is_due().new == 0  # told once
    assert Event.objects.filter(type="scrub.found").count() == before + 1
    overwrite(contents[0], contents[0])
    overwrite(contents[1], contents[1])
    assert read_what_is_due().healed == 2


@pytest.mark.parametrize("tier", ["hot", "cold"])
def test_damage_blocks_and_good_bytes_sent_again_heal(cast: Cast, tier: str) -> None:
    content = os.urandom(100)
    version = published(cast, {"model.bin": content})
    if tier == "cold":
        overwrite(content, content, "cold")
        lose(content)
        Blob.objects.filter(pk=sha256(content)).update(tier="cold")
    age(content)
    overwrite(content, b"x" * 100, tier)
    assert read_what_is_due().corrupt == 1
    with pytest.raises(VersionQuarantined):
        artifact_of(version, "model.bin")
    assert not integrity(version).ok
    promotion = request_promotion(version=version, target="staging", by=cast.principal("eve"))
    assert settle(promotion_id=promotion.pk).state == "gates_failed"

    again_sent = send(cast, {"other-name.bin": content})
    assert again_sent.files.get().staging_key  # damaged bytes are not held: they are sent
    publish_all(cast, again_sent)

    row = blob(content)
    assert (row.quarantined_at, row.tier) == (None, "hot")
    assert stored(content) == content
    assert artifact_of(version, "model.bin").blob_id == sha256(content)
    assert len(events(cast, "blob.healed")) == 1


def test_a_collection_meanwhile_is_no_loss(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(100)
    published(cast, {"model.bin": content})
    Blob.objects.filter(pk=sha256(content)).update(verified_at=timezone.now() - WEEK)
    seen = Blob.objects.get(pk=sha256(content))
    delete_version(
        version=ModelVersion.objects.get(manifest__artifacts__blob=seen), reason="x", by=cast.principal("eve")
    )
    Blob.objects.filter(pk=seen.pk).update(state="condemned", condemned_at=timezone.now())
    lose(content)
    monkeypatch.setattr(Blob.objects, "get", lambda pk: seen)  # read before it was condemned
    assert scrub.read_again(seen.pk).verdict == scrub.Verdict.UNKEPT
    assert not Blob.objects.filter(pk=seen.pk, quarantined_at__isnull=False).exists()


def test_a_run_reads_its_share(cast: Cast, settings: Settings) -> None:
    """Of what is half-way through its period a share is read; of what is nearly due, all."""
    settings.SCRUB_PERIOD_SECONDS = 10 * 3600
    contents = [os.urandom(50) for _ in range(30)]
    publish_all(cast, packed(cast, {f"{n}.bin": content for n, content in enumerate(contents)}))
    Blob.objects.update(verified_at=timezone.now())
    digests = [sha256(content) for content in contents]
    Blob.objects.filter(pk__in=digests).update(verified_at=timezone.now() - timedelta(hours=6))
    live = Blob.objects.filter(state="live").count()
    assert read_what_is_due().read == min(30, -(-live * 2 // 17))
    Blob.objects.filter(pk__in=digests).update(verified_at=timezone.now() - timedelta(hours=9))
    assert read_what_is_due().read == 30


def test_it_reads_no_faster_than_allowed(cast: Cast, settings: Settings) -> None:
    settings.SCRUB_MIB_PER_SECOND = 2
    content = os.urandom(2 * storage.MIB)
    small = [os.urandom(storage.MIB // 4) for _ in range(2)]
    published(cast, {"large.bin": content, "a": small[0], "b": small[1]})
    age(content, *small)
    began = time.monotonic()
    assert read_what_is_due().read == 3
    assert time.monotonic() - began > 1.2
    settings.SCRUB_MIB_PER_SECOND = 0
    age(content, *small)
    began = time.monotonic()
    assert read_what_is_due().read == 3
    assert time.monotonic() - began < 1.2


def test_one_scrub_at_a_time(cast: Cast) -> None:
    held: list[Told | None] = []

    def other() -> None:
        held.append(scrubbing.scrub())
        connection.close()

    with alone("scrub") as first:
        assert first
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(timeout=30)
    assert held == [None]


def test_a_store_that_goes_away_ends_the_run_and_says_nothing(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(100)
    published(cast, {"model.bin": content})
    age(content)
    with monkeypatch.context() as patched:
        patched.setattr("django.conf.settings.S3_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(storage.StoreUnavailable):
            scrubbing.scrub()
    assert blob(content).quarantined_at is None
    assert read_what_is_due().read == 1
