"""Sending files as a client does: announced by REST, put to the store by signed addresses, registered."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import httpx
from rest_framework.test import APIClient

from registry.actions.uploads import create_upload
from registry.actions.versions import create_version
from registry.artifacts import storage
from registry.artifacts.manifests import Entry
from registry.artifacts.publish import publish
from registry.models import Blob, Event, ModelVersion, Upload
from tests.cast import Cast


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def announced(files: dict[str, bytes], **how: bool) -> dict[str, Any]:
    """The body that announces the files; `how`: packed, resume."""
    return {
        **how,
        "files": [
            {"path": path, "size": len(content), "sha256": sha256(content)} for path, content in files.items()
        ],
    }


def begin(cast: Cast, files: dict[str, bytes], by: str = "ben", **how: bool) -> dict[str, Any]:
    """Announce files; the answer."""
    path = f"/api/v1/namespaces/{cast.namespace.name}/uploads"
    answer = cast.client(by).post(path, announced(files, **how))
    assert answer.status_code in (200, 201), answer.json()
    return dict(answer.json())


def parts_of(content: bytes, part_size: int) -> list[bytes]:
    return [content[n * part_size : (n + 1) * part_size] for n in range(math.ceil(len(content) / part_size))]


def sign(client: APIClient, upload: dict[str, Any], index: int, parts: list[bytes]) -> list[dict[str, Any]]:
    """Addresses for all parts of a file."""
    wishes = [
        {"number": number, "size": len(part), "sha256": sha256(part)} for number, part in enumerate(parts, 1)
    ]
    answer = client.post(
        f"/api/v1/uploads/{upload['id']}/parts", {"files": [{"index": index, "parts": wishes}]}
    )
    assert answer.status_code == 200, answer.json()
    return list(answer.json()["urls"])


def put(url: dict[str, Any], part: bytes, timeout: float = 30) -> httpx.Response:
    return httpx.put(url["url"], content=part, headers=url["headers"], timeout=timeout)


def send(cast: Cast, files: dict[str, bytes], by: str = "ben") -> Upload:
    """Everything sent and completed."""
    upload = begin(cast, files, by)
    client = cast.client(by)
    for file in upload["files"]:
        if file["status"] != "wanted":
            continue
        content = files[file["path"]]
        parts = parts_of(content, upload["part_size"])
        sent = []
        for url, part in zip(sign(client, upload, file["index"], parts), parts, strict=True):
            answer = put(url, part)
            assert answer.status_code == 200, answer.text
            sent.append({"number": url["number"], "etag": answer.headers["ETag"], "sha256": sha256(part)})
        body = {"files": [{"index": file["index"], "parts": sent}]}
        done = client.post(f"/api/v1/uploads/{upload['id']}/complete", body)
        assert done.status_code == 200, done.json()
    return Upload.objects.get(pk=upload["id"])


def staged(cast: Cast, files: dict[str, bytes], by: str = "ben") -> Upload:
    """An upload whose files lie in the staging area, without the way there."""
    entries = [Entry(path, len(content), sha256(content)) for path, content in files.items()]
    upload = create_upload(namespace=cast.namespace, files=entries, by=cast.principal(by))
    for file in upload.files.filter(status="wanted"):
        storage.hot().put(file.staging_key, files[file.path], file.sha256)
    upload.files.filter(status="wanted").update(status="received")
    return upload


def register(cast: Cast, upload: Upload, *, model: str = "scorer", by: str = "ben") -> ModelVersion:
    """A version that waits for its bytes to be proven."""
    return create_version(namespace=cast.namespace, name=model, upload=upload, by=cast.principal(by))


def published(cast: Cast, files: dict[str, bytes], *, model: str = "scorer", by: str = "ben") -> ModelVersion:
    """A version with these files, ready."""
    version = register(cast, send(cast, files, by), model=model, by=by)
    publish(version.pk)
    version = ModelVersion.objects.select_related("model__namespace", "manifest").get(pk=version.pk)
    assert version.status == "ready", version.status_message
    return version


def again(version: ModelVersion) -> ModelVersion:
    """The version as the database has it now."""
    return ModelVersion.objects.select_related("model__namespace", "manifest").get(pk=version.pk)


def stored(content: bytes, tier: str = "hot") -> bytes | None:
    """What the store holds under the digest of `content`."""
    try:
        body, _ = storage.bucket(tier).get(storage.content_key(sha256(content)))
    except storage.ObjectMissing:
        return None
    with body:
        return bytes(body.read())


def overwrite(content: bytes, other: bytes, tier: str = "hot") -> None:
    """Change the stored object behind the registry's back."""
    storage.bucket(tier).put(storage.content_key(sha256(content)), other, sha256(other))


def lose(content: bytes, tier: str = "hot") -> None:
    """Remove the stored object behind the registry's back."""
    storage.bucket(tier).delete(storage.content_key(sha256(content)))


def blob(content: bytes) -> Blob:
    return Blob.objects.get(pk=sha256(content))


def events(cast: Cast, *types: str) -> list[Event]:
    """The namespace's events of these types, oldest first."""
    return list(Event.objects.filter(namespace=cast.namespace, type__in=types).order_by("pk"))


def publish_all(cast: Cast, upload: Upload) -> ModelVersion:
    """Register a version of the upload and publish it."""
    version = register(cast, upload)
    publish(version.pk)
    assert again(version).status == "ready", again(version).status_message
    return again(version)
