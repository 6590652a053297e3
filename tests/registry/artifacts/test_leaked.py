"""Addresses that got into other hands: used after they have done their work, nothing that is served changes."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pytest_django import Settings

from registry.artifacts import download, storage, uploads
from registry.artifacts.publish import publish
from registry.models import Artifact, ModelVersion, Upload
from tests.cast import Cast
from tests.registry.artifacts.sending import (
    again,
    begin,
    parts_of,
    put,
    register,
    sha256,
    sign,
    staged,
    stored,
)
from tests.registry.artifacts.wholeness import wrong_with

pytestmark = pytest.mark.django_db(transaction=True)
MIB = storage.MIB


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A file of two parts."""
    monkeypatch.setattr(uploads, "SMALLEST_PART", 5 * MIB)
    return os.urandom(5 * MIB + 1000)


def sent(cast: Cast, content: bytes) -> tuple[Upload, list[dict[str, Any]], list[bytes]]:
    """An upload whose parts have arrived, their addresses, and the parts."""
    upload = begin(cast, {"model.bin": content})
    parts = parts_of(content, upload["part_size"])
    assert len(parts) == 2
    urls = sign(cast.client("ben"), upload, 0, parts)
    for url, part in zip(urls, parts, strict=True):
        assert put(url, part).status_code == 200
    return Upload.objects.get(pk=upload["id"]), urls, parts


def complete(cast: Cast, upload: Upload) -> None:
    body = {"files": [{"index": 0, "parts": []}]}
    answer = cast.client("ben").post(f"/api/v1/uploads/{upload.pk}/complete", body)
    assert answer.status_code == 200, answer.json()


def abused(urls: list[dict[str, Any]], parts: list[bytes]) -> list[int]:
    """The statuses of everything that can be tried with addresses of parts."""
    statuses = []
    for url, part in zip(urls, parts, strict=True):
        other = os.urandom(len(part))
        forged = {"x-amz-checksum-sha256": storage.base64_of(sha256(other))}
        for body, headers in ((part, url["headers"]), (other, url["headers"]), (other, forged), (other, {})):
            statuses.append(httpx.put(url["url"], content=body, headers=headers, timeout=30).status_code)
        statuses += [
            httpx.request(method, url["url"], timeout=30).status_code for method in ("DELETE", "POST", "GET")
        ]
        whole = url["url"].replace("partNumber", "ignored").replace("uploadId", "ignored2")
        statuses.append(httpx.put(whole, content=other, headers=forged, timeout=30).status_code)
    return statuses


def test_part_addresses_used_after_completion(cast: Cast, content: bytes) -> None:
    upload, urls, parts = sent(cast, content)
    complete(cast, upload)
    assert 200 not in abused(urls, parts)
    version = register(cast, upload)
    publish(version.pk)
    assert again(version).status == "ready", again(version).status_message
    assert wrong_with(again(version)) == []


def test_part_addresses_used_after_publishing(cast: Cast, content: bytes) -> None:
    upload, urls, parts = sent(cast, content)
    complete(cast, upload)
    version = register(cast, upload)
    publish(version.pk)
    assert 200 not in abused(urls, parts)
    # A store that would take them: what is served lies elsewhere.
    file = upload.files.get()
    storage.hot().put(file.staging_key, b"other", sha256(b"other"))
    assert stored(content) == content
    assert wrong_with(again(version)) == []


def test_part_addresses_used_before_completion_take_what_was_signed_only(cast: Cast, content: bytes) -> None:
    upload, urls, parts = sent(cast, content)
    for url, part in zip(urls, parts, strict=True):
        other = os.urandom(len(part))
        forged = {"x-amz-checksum-sha256": storage.base64_of(sha256(other))}
        for headers in (url["headers"], forged, {}):
            assert httpx.put(url["url"], content=other, headers=headers, timeout=30).status_code in (400, 403)
        assert httpx.put(url["url"], content=part[:-1], headers=url["headers"]).status_code in (400, 403)
    complete(cast, upload)
    version = register(cast, upload)
    publish(version.pk)
    assert wrong_with(again(version)) == []
    assert again(version).status == "ready"


@pytest.mark.parametrize("checked", [True, False])
def test_a_part_is_not_copied_from_elsewhere(cast: Cast, settings: Settings, checked: bool) -> None:
    """Knowing the digest of bytes in another namespace is not holding them."""
    settings.S3_PART_CHECKSUMS = checked
    secret = os.urandom(3000)
    publish_of(cast, secret)
    upload = begin_elsewhere(cast, secret)
    (url,) = sign(cast.client("mallory"), upload, 0, [secret])
    source = f"/{storage.hot().name}/{storage.content_key(sha256(secret))}"
    for headers in (
        {**url["headers"], "x-amz-copy-source": source},
        {**url["headers"], "x-amz-copy-source": source, "x-amz-copy-source-range": "bytes=0-2999"},
        {"x-amz-copy-source": source},
    ):
        for body in (b"", bytes(3000)):
            answer = httpx.put(url["url"], content=body, headers=headers, timeout=30)
            assert answer.status_code == 403, answer.text
    asked = {"files": [{"index": 0, "parts": []}]}
    done = cast.client("mallory").post(f"/api/v1/uploads/{upload['id']}/complete", asked)
    assert done.status_code >= 400, done.json()


def begin_elsewhere(cast: Cast, content: bytes) -> dict[str, Any]:
    answer = cast.client("mallory").post(
        f"/api/v1/namespaces/{cast.elsewhere.name}/uploads",
        {"files": [{"path": "model.bin", "size": len(content), "sha256": sha256(content)}]},
    )
    assert answer.status_code == 201, answer.json()
    return dict(answer.json())


def publish_of(cast: Cast, content: bytes) -> ModelVersion:
    version = register(cast, staged(cast, {"model.bin": content}))
    publish(version.pk)
    return again(version)


def test_a_download_address_reads_one_object_and_nothing_else(cast: Cast) -> None:
    content, other = os.urandom(3000), os.urandom(3000)
    version = publish_of(cast, content)
    publish_of(cast, other)
    artifact = Artifact.objects.select_related("blob").get(manifest=version.manifest_id)
    url = download.signed_url(artifact)
    assert httpx.get(url).content == content
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        for query in ("", "&uploads=", "&partNumber=1&uploadId=x", "&delete=", "&acl=", "&tagging="):
            answer = httpx.request(method, url + query, content=other if method != "DELETE" else None)
            assert answer.status_code >= 400, (method, query)
    key = storage.content_key(sha256(content))
    for altered in (
        url.replace(key, storage.content_key(sha256(other))),
        url.replace(key, ""),
        url.replace(f"{key}?", "?list-type=2&"),
        url.replace(f"X-Amz-Expires={storage.DOWNLOAD_URL_SECONDS}", "X-Amz-Expires=600000"),
        url.replace("application%2Foctet-stream", "text%2Fhtml"),
        url.replace("attachment", "inline"),
        url.replace(key, f"{key}/../{sha256(other)}"),
    ):
        assert altered != url
        answer = httpx.get(altered)
        assert answer.status_code in (400, 403, 404), (urlsplit(altered).path, answer.status_code)
        assert other not in answer.content
    assert stored(content) == content
    assert stored(other) == other
    assert wrong_with(version) == []
