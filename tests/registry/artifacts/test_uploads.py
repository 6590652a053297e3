"""Announcing, sending by parts or in a stream, completing, giving up."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from registry.artifacts import reap, storage
from registry.artifacts.publish import publish
from registry.artifacts.uploads import part_size_for
from registry.models import Blob, Upload, UploadFile
from tests.cast import Cast
from tests.registry.artifacts.sending import (
    again,
    announced,
    begin,
    parts_of,
    publish_all,
    put,
    register,
    send,
    sha256,
    sign,
)

pytestmark = pytest.mark.django_db(transaction=True)
MIB = storage.MIB


def post(cast: Cast, path: str, body: Any = None, by: str = "ben") -> Any:
    return cast.client(by).post(f"/api/v1/{path}", body)


def staged(upload: str) -> list[str]:
    return [key for key, _ in storage.hot().keys(storage.staging_prefix(upload))]


def test_it_works(cast: Cast) -> None:
    content = os.urandom(33 * MIB)
    upload = begin(cast, {"weights.bin": content})
    assert (upload["state"], upload["part_size"]) == ("open", 16 * MIB)
    client, parts = cast.client("ben"), parts_of(content, upload["part_size"])
    urls = sign(client, upload, 0, parts)
    assert [url["number"] for url in urls] == [1, 2, 3]
    etags = [put(url, part).headers["ETag"] for url, part in zip(urls, parts, strict=True)]
    shown = client.get(f"/api/v1/uploads/{upload['id']}").json()
    assert [(file["status"], file["parts"]) for file in shown["files"]] == [("wanted", [1, 2, 3])]
    body = {"files": [{"index": 0, "parts": [{"number": n, "etag": e} for n, e in enumerate(etags, 1)]}]}
    done = post(cast, f"uploads/{upload['id']}/complete", body)
    assert done.status_code == 200
    assert done.json()["files"][0]["status"] == "received"
    assert post(cast, f"uploads/{upload['id']}/complete", body).status_code == 200  # repeated


def test_another_session_needs_no_etags(cast: Cast) -> None:
    content = os.urandom(17 * MIB)
    upload = begin(cast, {"weights.bin": content})
    parts = parts_of(content, upload["part_size"])
    for url, part in zip(sign(cast.client("ben"), upload, 0, parts), parts, strict=True):
        put(url, part)
    body = {"files": [{"index": 0, "parts": []}]}
    assert post(cast, f"uploads/{upload['id']}/complete", body).json()["files"][0]["status"] == "received"


def test_missing_parts_are_named(cast: Cast) -> None:
    content = os.urandom(17 * MIB)
    upload = begin(cast, {"weights.bin": content})
    parts = parts_of(content, upload["part_size"])
    put(sign(cast.client("ben"), upload, 0, parts)[0], parts[0])
    answer = post(cast, f"uploads/{upload['id']}/complete", {"files": [{"index": 0, "parts": []}]})
    assert answer.status_code == 422
    assert "Parts 2 of weights.bin" in answer.json()["detail"]


def test_the_store_takes_nothing_but_what_was_signed(cast: Cast) -> None:
    content = os.urandom(1000)
    upload = begin(cast, {"model.bin": content})
    (url,) = sign(cast.client("ben"), upload, 0, [content])
    assert put(url, os.urandom(1000)).status_code == 400  # other bytes
    assert put(url, content + b"x").status_code == 403  # more of them
    assert httpx.put(url["url"], content=content).status_code == 403  # without the digest's header
    moved = url["url"].replace(f"/{upload['id']}/0", f"/{upload['id']}/1")
    assert httpx.put(moved, content=content, headers=url["headers"]).status_code == 403
    assert put(url, content).status_code == 200


def test_empty_files_are_not_sent(cast: Cast) -> None:
    upload = begin(cast, {"empty": b""})
    assert [file["status"] for file in upload["files"]] == ["received"]


@pytest.mark.parametrize(
    "files",
    [
        [],
        [{"path": "a", "size": 1, "sha256": "x"}],
        [{"path": "a", "size": -1, "sha256": "a" * 64}],
        [{"path": "a", "size": 2**60, "sha256": "a" * 64}],
        [{"path": "a", "size": 0, "sha256": "a" * 64}],
        [{"path": "../a", "size": 1, "sha256": "a" * 64}],
        [{"path": "a", "size": 1, "sha256": "a" * 64}, {"path": "A", "size": 1, "sha256": "b" * 64}],
        [{"path": "a", "size": 1, "sha256": "a" * 64}, {"path": "b", "size": 2, "sha256": "a" * 64}],
        [{"path": "a"}],
        "a",
    ],
)
def test_what_cannot_be_announced(cast: Cast, files: Any) -> None:
    answer = post(cast, f"namespaces/{cast.namespace.name}/uploads", {"files": files})
    assert answer.status_code == 422, answer.json()
    assert not Upload.objects.filter(namespace=cast.namespace).exists()


@pytest.mark.parametrize(
    ("part", "status"),
    [({"number": 2}, 422), ({"size": 999}, 422), ({"sha256": "zz"}, 422), ({"number": 0}, 422)],
)
def test_parts_that_are_not_of_the_file_are_refused(cast: Cast, part: dict[str, Any], status: int) -> None:
    content = os.urandom(1000)
    upload = begin(cast, {"model.bin": content})
    wish = {"number": 1, "size": 1000, "sha256": sha256(content), **part}
    answer = post(cast, f"uploads/{upload['id']}/parts", {"files": [{"index": 0, "parts": [wish]}]})
    assert answer.status_code == status


def test_only_who_began_an_upload_goes_on_with_it(cast: Cast) -> None:
    upload = begin(cast, {"model.bin": b"abc"})
    body = {"files": [{"index": 0, "parts": [{"number": 1, "size": 3, "sha256": sha256(b"abc")}]}]}
    assert post(cast, f"uploads/{upload['id']}/parts", body, by="eve").status_code == 403
    assert post(cast, f"uploads/{upload['id']}/abort", by="eve").status_code == 403
    assert post(cast, f"uploads/{upload['id']}/parts", body, by="mallory").status_code == 404
    assert cast.client("mallory").get(f"/api/v1/uploads/{upload['id']}").status_code == 404
    assert cast.client("vera").get(f"/api/v1/uploads/{upload['id']}").status_code == 403


def test_a_streamed_file_is_the_same_as_a_signed_one(cast: Cast) -> None:
    content = os.urandom(20 * MIB + 11)
    upload = begin(cast, {"weights.bin": content})
    path = f"/api/v1/uploads/{upload['id']}/files/0/content"
    for _ in range(2):  # repeating it is harmless
        answer = cast.client("ben").put(path, content, content_type="application/octet-stream")
        assert answer.status_code == 200, answer.json()
        assert answer.json()["files"][0]["status"] == "received"
    version = publish_all(cast, Upload.objects.get(pk=upload["id"]))
    assert version.manifest.size == len(content)


@pytest.mark.parametrize("change", ["other", "short", "long"])
def test_a_streamed_file_is_refused_when_it_is_not_what_was_announced(cast: Cast, change: str) -> None:
    content = os.urandom(9 * MIB)
    sent = {"other": os.urandom(9 * MIB), "short": content[:-1], "long": content + b"x"}[change]
    upload = begin(cast, {"weights.bin": content})
    path = f"/api/v1/uploads/{upload['id']}/files/0/content"
    answer = cast.client("ben").put(path, sent, content_type="application/octet-stream")
    assert (answer.status_code, answer.json()["code"]) == (422, "bytes-refused")
    assert staged(upload["id"]) == []
    assert not list(storage.hot().pending(storage.staging_prefix(upload["id"])))
    assert UploadFile.objects.get(upload=upload["id"]).status == "wanted"


def test_an_aborted_upload_takes_nothing_and_leaves_nothing(cast: Cast) -> None:
    upload = send(cast, {"model.bin": os.urandom(100)})
    (begun,) = sign(cast.client("ben"), begin(cast, {"other.bin": b"abc"}), 0, [b"abc"])
    assert begun["url"]
    assert staged(str(upload.pk))
    for _ in range(2):
        assert post(cast, f"uploads/{upload.pk}/abort").json()["state"] == "aborted"
    reap.reap(str(upload.pk))
    assert staged(str(upload.pk)) == []
    body = {"files": [{"index": 0, "parts": []}]}
    assert post(cast, f"uploads/{upload.pk}/complete", body).json()["code"] == "upload-closed"


def test_the_staging_of_abandoned_uploads_is_removed(cast: Cast) -> None:
    content = os.urandom(17 * MIB)
    upload = begin(cast, {"weights.bin": content})
    parts = parts_of(content, upload["part_size"])
    put(sign(cast.client("ben"), upload, 0, parts)[0], parts[0])
    waiting = send(cast, {"model.bin": os.urandom(100)})
    version = register(cast, waiting)
    Upload.objects.filter(namespace=cast.namespace).update(expires_at=timezone.now() - timedelta(minutes=1))

    due = reap.due()
    assert upload["id"] in due
    assert str(waiting.pk) not in due  # its version is still to be published
    reap.reap(upload["id"])
    reap.reap(str(waiting.pk))

    assert not list(storage.hot().pending(storage.staging_prefix(upload["id"])))
    assert Upload.objects.get(pk=upload["id"]).state == "aborted"
    assert staged(str(waiting.pk))
    assert version.status == "verifying"


def test_the_staging_of_published_uploads_is_removed_a_day_later(cast: Cast) -> None:
    upload = send(cast, {"model.bin": os.urandom(100)})
    publish_all(cast, upload)
    assert str(upload.pk) not in reap.due()
    assert str(upload.pk) in reap.due(timezone.now() + timedelta(hours=25))
    reap.reap(str(upload.pk))
    assert staged(str(upload.pk)) == []


def test_an_expired_upload_takes_nothing(cast: Cast) -> None:
    upload = begin(cast, {"model.bin": b"abc"})
    Upload.objects.filter(pk=upload["id"]).update(expires_at=timezone.now())
    body = {"files": [{"index": 0, "parts": [{"number": 1, "size": 3, "sha256": sha256(b"abc")}]}]}
    assert post(cast, f"uploads/{upload['id']}/parts", body).json()["code"] == "upload-closed"


def test_ten_thousand_files_are_announced_at_once(cast: Cast) -> None:
    files = {f"shard/{n:05}": os.urandom(8) for n in range(10_000)}
    answer = post(cast, f"namespaces/{cast.namespace.name}/uploads", announced(files))
    assert answer.status_code == 201
    assert len(answer.json()["files"]) == 10_000


def test_parts_grow_with_the_largest_file() -> None:
    assert part_size_for([1, 100 * 1024 * MIB]) == 16 * MIB
    size = part_size_for([1024 * 1024 * MIB])
    assert size % MIB == 0
    assert -(-1024 * 1024 * MIB // size) <= 10_000


def test_a_store_that_does_not_answer_is_said_so(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = begin(cast, {"model.bin": b"abc"})
    monkeypatch.setattr("django.conf.settings.S3_ENDPOINT_URL", "http://127.0.0.1:9")
    body = {"files": [{"index": 0, "parts": [{"number": 1, "size": 3, "sha256": sha256(b"abc")}]}]}
    answer = post(cast, f"uploads/{upload['id']}/parts", body)
    assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
    assert answer["Retry-After"] == "5"
    assert "127.0.0.1" not in answer.json()["detail"]


# ---- large files announced without their digest


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A file that is large enough to be announced by its size alone."""
    for module in ("registry.actions.uploads", "registry.artifacts.uploads"):
        monkeypatch.setattr(f"{module}.HASHED_FIRST", MIB)
    return os.urandom(17 * MIB)


def announce(cast: Cast, size: int, by: str = "ben", **how: bool) -> dict[str, Any]:
    body = {"files": [{"path": "weights.bin", "size": size}], **how}
    answer = post(cast, f"namespaces/{cast.namespace.name}/uploads", body, by=by)
    assert answer.status_code in (200, 201), answer.json()
    return dict(answer.json())


def send_parts(cast: Cast, upload: dict[str, Any], content: bytes) -> None:
    parts = parts_of(content, upload["part_size"])
    for url, part in zip(sign(cast.client("ben"), upload, 0, parts), parts, strict=True):
        assert put(url, part).status_code == 200


def complete(cast: Cast, upload: dict[str, Any], digest: str | None) -> Any:
    said = {} if digest is None else {"sha256": digest}
    body = {"files": [{"index": 0, "parts": [], **said}]}
    return post(cast, f"uploads/{upload['id']}/complete", body)


def test_a_large_file_says_its_digest_when_it_was_sent(cast: Cast, large: bytes) -> None:
    upload = announce(cast, len(large))
    send_parts(cast, upload, large)
    refused = complete(cast, upload, None)
    assert (refused.status_code, refused.json()["field"]) == (422, "sha256")
    assert complete(cast, upload, sha256(large)).json()["files"][0]["sha256"] == sha256(large)
    version = publish_all(cast, Upload.objects.get(pk=upload["id"]))
    assert version.manifest.artifacts.get().blob_id == sha256(large)


def test_a_small_file_is_announced_with_its_digest(cast: Cast) -> None:
    body = {"files": [{"path": "conf", "size": 64 * MIB}]}
    answer = post(cast, f"namespaces/{cast.namespace.name}/uploads", body)
    assert (answer.status_code, answer.json()["field"]) == (422, "files[0].sha256")


def test_a_wrong_digest_said_at_the_end_fails_the_version(cast: Cast, large: bytes) -> None:
    upload = announce(cast, len(large))
    send_parts(cast, upload, large)
    complete(cast, upload, "a" * 64)
    version = register(cast, Upload.objects.get(pk=upload["id"]))
    publish(version.pk)
    assert again(version).status == "failed"
    assert not Blob.objects.filter(pk="a" * 64).exists()
    gone_on = announce(cast, len(large), resume=True)
    assert (gone_on["id"], gone_on["files"][0]["sha256"]) == (upload["id"], "")
    send_parts(cast, gone_on, large)
    assert complete(cast, gone_on, sha256(large)).status_code == 200
    publish_all(cast, Upload.objects.get(pk=upload["id"]))


def test_a_digest_is_said_once(cast: Cast, large: bytes) -> None:
    upload = begin(cast, {"weights.bin": large})
    send_parts(cast, upload, large)
    refused = complete(cast, upload, "a" * 64)
    assert (refused.status_code, refused.json()["field"]) == (422, "sha256")
    assert complete(cast, upload, sha256(large)).status_code == 200


def test_what_may_be_here_already_is_told_by_its_size_in_the_own_namespace_only(
    cast: Cast, large: bytes
) -> None:
    assert announce(cast, len(large))["same_size"] == []
    publish_all(cast, send(cast, {"weights.bin": large}))
    assert announce(cast, len(large))["same_size"] == [0]
    assert announce(cast, len(large) + 1)["same_size"] == []
    body = {"files": [{"path": "weights.bin", "size": len(large)}]}
    elsewhere = post(cast, f"namespaces/{cast.elsewhere.name}/uploads", body, by="mallory")
    assert elsewhere.json()["same_size"] == []


def test_a_large_file_that_is_streamed_is_hashed_by_the_server(cast: Cast, large: bytes) -> None:
    upload = announce(cast, len(large))
    answer = cast.client("ben").put(
        f"/api/v1/uploads/{upload['id']}/files/0/content", large, content_type="application/octet-stream"
    )
    assert answer.json()["files"][0]["sha256"] == sha256(large)
    publish_all(cast, Upload.objects.get(pk=upload["id"]))


def test_the_digests_of_parts_that_arrived_are_told(cast: Cast, large: bytes) -> None:
    upload = announce(cast, len(large))
    parts = parts_of(large, upload["part_size"])
    put(sign(cast.client("ben"), upload, 0, parts)[1], parts[1])
    file = announce(cast, len(large), resume=True)["files"][0]
    assert (file["parts"], file["digests"]["2"]) == ([2], sha256(parts[1]))


def test_another_digest_is_not_said_of_what_has_arrived(cast: Cast, large: bytes) -> None:
    """Two sessions of one account send different files of one path and size: the second is told."""
    upload = announce(cast, len(large))
    send_parts(cast, upload, large)
    assert complete(cast, upload, sha256(large)).status_code == 200
    assert complete(cast, upload, sha256(large)).status_code == 200
    refused = complete(cast, upload, "a" * 64)
    assert (refused.status_code, refused.json()["code"]) == (409, "file-received")


@pytest.mark.parametrize(
    ("change", "code"),
    [({"status": "received", "s3_upload_id": ""}, "file-received"), ({"s3_upload_id": ""}, "parts-lost")],
)
def test_addresses_that_another_session_overtakes_are_refused(
    cast: Cast, large: bytes, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], code: str
) -> None:
    upload = announce(cast, len(large))
    part = parts_of(large, upload["part_size"])[0]
    sign(cast.client("ben"), upload, 0, [part])

    def overtaken(*_: object) -> None:
        Upload.objects.get(pk=upload["id"]).files.update(**change)

    monkeypatch.setattr("registry.artifacts.uploads._check_part", overtaken)
    wish = {"number": 1, "size": len(part), "sha256": sha256(part)}
    body = {"files": [{"index": 0, "parts": [wish]}]}
    refused = post(cast, f"uploads/{upload['id']}/parts", body)
    assert (refused.status_code, refused.json()["code"]) == (409, code)


def test_what_would_need_too_much_memory_is_not_streamed(cast: Cast) -> None:
    upload = announce(cast, 200 * 1024 * MIB)
    answer = cast.client("ben").put(
        f"/api/v1/uploads/{upload['id']}/files/0/content", b"1", content_type="application/octet-stream"
    )
    assert answer.status_code == 422
    assert "156 GiB" in answer.json()["detail"]
