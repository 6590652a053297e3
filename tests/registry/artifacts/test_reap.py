"""What uploads and copies leave behind is removed, and only when nobody owns it."""

from __future__ import annotations

import os
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry.artifacts import reap, storage
from registry.models import Upload
from registry.tasks import reap_uploads
from tests.cast import Cast
from tests.registry.artifacts.corner import corner
from tests.registry.artifacts.sending import publish_all, register, sha256, staged

__all__ = ["corner"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("corner")]


def staging() -> set[str]:
    return {key for key, _ in storage.hot().keys(storage.staging_prefix())}


def pending(tier: str = "hot") -> set[str]:
    prefixes = (storage.staging_prefix(), storage.content_prefix())
    return {found.upload_id for prefix in prefixes for found in storage.bucket(tier).pending(prefix)}


@pytest.fixture
def _long_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reap, "STRAY_AFTER", timedelta(seconds=-60))


def test_what_was_published_or_given_up_goes(cast: Cast) -> None:
    done = staged(cast, {"m": os.urandom(10)})
    version = publish_all(cast, done)
    open_, expired = staged(cast, {"m": os.urandom(10)}), staged(cast, {"m": os.urandom(10)})
    waiting = staged(cast, {"m": os.urandom(10)})
    register(cast, waiting)
    for upload in (expired, waiting):
        Upload.objects.filter(pk=upload.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    assert version.manifest.sealed_at is not None
    later = version.manifest.sealed_at + reap.AFTER_PUBLISH + timedelta(minutes=1)
    assert str(done.pk) not in reap.due()
    assert {str(done.pk), str(expired.pk)} <= set(reap.due(later))
    assert not {str(open_.pk), str(waiting.pk)} & set(reap.due())
    for pk in (str(done.pk), str(expired.pk), str(waiting.pk)):
        reap.reap(pk)
    kept = {storage.staging_key(upload.pk, 0) for upload in (open_, waiting)}
    assert staging() == kept
    expired.refresh_from_db()
    assert expired.state == "aborted"


@pytest.mark.usefixtures("_long_after")
def test_what_nobody_owns_goes(cast: Cast) -> None:
    bucket = storage.hot()
    mine = staged(cast, {f"{n}": os.urandom(10) for n in range(5)})
    bucket.begin(storage.staging_key(mine.pk, 7), checked=False)
    for n in range(3):
        bucket.put(storage.staging_key(uuid.uuid4(), n), b"left", sha256(b"left"))
    bucket.begin(storage.staging_key(uuid.uuid4(), 0), checked=False)
    for tier in ("hot", "cold"):  # a copy that was killed before its pieces were joined
        storage.bucket(tier).begin(storage.content_key(os.urandom(32).hex()), checked=False)
    assert (len(pending()), len(pending("cold"))) == (3, 1)
    with CaptureQueriesContext(connection) as asked:
        assert reap.reap_strays() == 6
    assert len(asked) == 5  # one an upload, however many keys it has
    assert staging() == {storage.staging_key(mine.pk, n) for n in range(5)}
    assert (len(pending()), len(pending("cold"))) == (1, 0)


def test_what_is_new_is_left(cast: Cast) -> None:
    bucket = storage.hot()
    bucket.put(storage.staging_key(uuid.uuid4(), 0), b"new", sha256(b"new"))
    bucket.begin(storage.content_key(os.urandom(32).hex()), checked=False)
    reap_uploads()
    assert (len(staging()), len(pending())) == (1, 1)
