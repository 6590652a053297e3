"""The way out: signed addresses, streams, ranges, and what is not handed out."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Any

import httpx
import pytest
from django.utils import timezone

from registry.artifacts import storage
from registry.models import Blob
from tests.cast import Cast
from tests.registry.artifacts.sending import (
    blob,
    lose,
    overwrite,
    published,
    register,
    send,
    sha256,
    staged,
)

pytestmark = pytest.mark.django_db(transaction=True)


def get(cast: Cast, path: str, by: str = "vera", **headers: str) -> Any:
    base = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/1/artifacts"
    return cast.client(by).get(f"{base}{path}", headers=headers)


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_it_works(cast: Cast) -> None:
    content = os.urandom(1000)
    version = published(cast, {"dir/модель.bin": content, "a.txt": b"a"})
    listed = get(cast, "").json()
    assert listed["digest"] == f"sha256:{version.manifest.digest}"
    assert listed["size"] == 1001
    assert listed["files"] == [
        {"path": "a.txt", "size": 1, "sha256": sha256(b"a")},
        {"path": "dir/модель.bin", "size": 1000, "sha256": sha256(content)},
    ]
    answer = get(cast, "/dir/модель.bin")
    assert answer.status_code == 302
    assert answer["Cache-Control"] == "no-store"
    served = httpx.get(answer["Location"])
    assert served.content == content
    assert served.headers["content-type"] == "application/octet-stream"
    assert served.headers["content-disposition"].startswith("attachment;")


def test_an_address_is_for_one_object_and_for_reading(cast: Cast) -> None:
    content, other = os.urandom(1000), os.urandom(1000)
    published(cast, {"a.bin": content, "b.bin": other})
    told = get(cast, "/a.bin?as=url").json()
    assert (told["size"], told["sha256"]) == (1000, sha256(content))
    assert "X-Amz-Expires=60" in told["url"]
    assert httpx.get(told["url"], headers={"Range": "bytes=10-19"}).content == content[10:20]
    assert httpx.get(told["url"].replace(sha256(content), sha256(other))).status_code == 403
    assert httpx.put(told["url"], content=b"x").status_code == 403
    assert httpx.delete(told["url"]).status_code == 403
    shown = told["url"].replace("attachment", "inline").replace("octet-stream", "html")
    assert httpx.get(shown).status_code == 403


def test_streaming(cast: Cast) -> None:
    content = os.urandom(1_000_000)
    published(cast, {"a.bin": content, "empty": b""})
    answer = get(cast, "/a.bin?as=stream")
    assert answer.status_code == 200
    assert body(answer) == content
    assert answer["Content-Length"] == "1000000"
    assert answer["ETag"] == f'"sha256:{sha256(content)}"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"].startswith("attachment;")
    assert body(get(cast, "/empty?as=stream")) == b""


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=900-", 900, 1000),
        ("bytes=-10", 990, 1000),
        ("bytes=990-5000", 990, 1000),
        ("bytes=-5000", 0, 1000),
    ],
)
def test_ranges(cast: Cast, asked: str, start: int, end: int) -> None:
    content = os.urandom(1000)
    published(cast, {"a.bin": content})
    answer = get(cast, "/a.bin?as=stream", Range=asked)
    assert answer.status_code == 206
    assert answer["Content-Range"] == f"bytes {start}-{end - 1}/1000"
    assert body(answer) == content[start:end]


@pytest.mark.parametrize("asked", ["bytes=1000-", "bytes=-0", "bytes=9999999999999999999-"])
def test_ranges_outside_the_file(cast: Cast, asked: str) -> None:
    published(cast, {"a.bin": os.urandom(1000)})
    assert get(cast, "/a.bin?as=stream", Range=asked).status_code == 416


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=", "bytes=a-b", "items=0-1", "bytes=0-1,4-5", "bytes=-"]
)
def test_ranges_that_say_nothing_are_passed_over(cast: Cast, asked: str) -> None:
    content = os.urandom(1000)
    published(cast, {"a.bin": content})
    answer = get(cast, "/a.bin?as=stream", Range=asked)
    assert answer.status_code == 200
    assert body(answer) == content


@pytest.mark.parametrize(
    "path",
    ["/b.bin", "/A.BIN", "/../a.bin", "/%2e%2e/a.bin", "/a.bin%00", "/a.bin/", "//a.bin", "/a%5cb", "/%ff"],
)
def test_paths_that_are_not_there(cast: Cast, path: str) -> None:
    published(cast, {"a.bin": os.urandom(10)})
    assert get(cast, path).status_code in (404, 422)


def test_a_stranger_sees_nothing(cast: Cast) -> None:
    published(cast, {"a.bin": os.urandom(10)})
    for path in ("", "/a.bin", "/a.bin?as=url", "/a.bin?as=stream"):
        assert get(cast, path, by="mallory").status_code == 404
        assert get(cast, path, by="otto").status_code in (200, 302)


def test_what_is_not_ready_is_not_handed_out(cast: Cast) -> None:
    register(cast, send(cast, {"a.bin": os.urandom(10)}))
    for path in ("", "/a.bin"):
        answer = get(cast, path)
        assert (answer.status_code, answer.json()["code"]) == (409, "version-not-ready")


def test_nothing_of_a_quarantined_version_is_handed_out(cast: Cast) -> None:
    bad, good = os.urandom(10), os.urandom(20)
    published(cast, {"bad.bin": bad, "good.bin": good})
    published(cast, {"good.bin": good}, model="other")
    Blob.objects.filter(pk=sha256(bad)).update(quarantined_at=timezone.now(), quarantine_reason="was altered")
    for path in ("/bad.bin", "/good.bin", "/good.bin?as=stream"):
        answer = get(cast, path)
        assert (answer.status_code, answer.json()["code"]) == (409, "version-quarantined")
        assert answer.json()["reasons"] == ["bad.bin: was altered"]
    other = f"/api/v1/namespaces/{cast.namespace.name}/models/other/versions/1/artifacts/good.bin"
    assert cast.client("vera").get(other).status_code == 302


def test_wrong_bytes_are_never_streamed_to_their_end(cast: Cast) -> None:
    content = os.urandom(700_000)
    published(cast, {"a.bin": content})
    overwrite(content, content[:-1] + bytes([content[-1] ^ 1]))
    answer = get(cast, "/a.bin?as=stream")
    received = b""
    with pytest.raises(storage.StoreRefused):
        for block in answer.streaming_content:
            received += block
    assert len(received) < len(content)


@pytest.mark.parametrize("damage", ["short", "lost"])
def test_damage_that_shows_at_once_is_said_so(cast: Cast, damage: str) -> None:
    content = os.urandom(1000)
    published(cast, {"a.bin": content})
    if damage == "lost":
        lose(content)
    else:
        overwrite(content, content[:-1])
    answer = get(cast, "/a.bin?as=stream")
    assert (answer.status_code, answer.json()["code"]) == (409, "version-quarantined")
    assert blob(content).quarantined_at is None  # that is for the scrub to decide


def test_another_way_than_the_three_is_refused(cast: Cast) -> None:
    published(cast, {"a.bin": os.urandom(10)})
    assert get(cast, "/a.bin?as=html").status_code == 422


def test_the_manifest_is_the_file_whose_sha256_is_the_digest(cast: Cast) -> None:
    version = published(cast, {"model.bin": b"0123456789", "ö/a.txt": b"x"})
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/1/manifest"
    answer = cast.client("vera").get(path)
    assert answer.status_code == 200
    digest = hashlib.sha256(answer.content)
    assert digest.hexdigest() == version.manifest.digest
    assert answer["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert answer["OMS-Digest"] == f"sha256:{version.manifest.oms_digest}"
    assert answer["Content-Disposition"].startswith('attachment; filename="scorer-1.manifest.json"')
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert cast.client("mallory").get(path).status_code == 404


def test_no_manifest_of_what_is_not_published(cast: Cast) -> None:
    register(cast, staged(cast, {"model.bin": b"0123456789"}))
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/1/manifest"
    answer = cast.client("vera").get(path)
    assert (answer.status_code, answer.json()["code"]) == (409, "version-not-ready")
