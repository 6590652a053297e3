"""An upload found again by what it announced."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from django.utils import timezone

from registry.artifacts.storage import MIB
from registry.models import Upload
from tests.cast import Cast
from tests.registry.artifacts.sending import begin, parts_of, publish_all, put, register, send, sign

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_works(cast: Cast) -> None:
    content = os.urandom(33 * MIB)
    upload = begin(cast, {"weights.bin": content, "conf": b"1"})
    parts = parts_of(content, upload["part_size"])
    urls = sign(cast.client("ben"), upload, 0, parts)
    put(urls[0], parts[0])
    put(urls[2], parts[2])
    found = begin(cast, {"conf": b"1", "weights.bin": content}, resume=True)
    assert found["id"] == upload["id"]
    assert {file["path"]: file["parts"] for file in found["files"]} == {"weights.bin": [1, 3], "conf": []}


def test_it_is_kept_for_another_day(cast: Cast) -> None:
    upload = begin(cast, {"conf": b"1"})
    Upload.objects.filter(pk=upload["id"]).update(expires_at=timezone.now() + timedelta(minutes=1))
    begin(cast, {"conf": b"1"}, resume=True)
    assert Upload.objects.get(pk=upload["id"]).expires_at > timezone.now() + timedelta(hours=23)


def test_what_is_another_upload(cast: Cast) -> None:
    first = begin(cast, {"conf": b"1"})["id"]
    assert begin(cast, {"conf": b"1"})["id"] != first  # not asked to go on
    others = [
        begin(cast, {"conf": b"2"}, resume=True),
        begin(cast, {"other": b"1"}, resume=True),
        begin(cast, {"conf": b"1"}, resume=True, packed=True),
        begin(cast, {"conf": b"1"}, by="eve", resume=True),
    ]
    assert first not in {other["id"] for other in others}


def test_what_has_ended_is_begun_anew(cast: Cast) -> None:
    files = {"conf": os.urandom(8)}
    aborted = begin(cast, files)["id"]
    cast.client("ben").post(f"/api/v1/uploads/{aborted}/abort")
    expired = begin(cast, files, resume=True)["id"]
    Upload.objects.filter(pk=expired).update(expires_at=timezone.now())
    verified = send(cast, files)
    register(cast, verified)
    completed = send(cast, files)
    publish_all(cast, completed)
    fresh = begin(cast, files, resume=True)
    assert fresh["id"] not in {aborted, expired, str(verified.pk), str(completed.pk)}
    assert [file["status"] for file in fresh["files"]] == ["present"]
