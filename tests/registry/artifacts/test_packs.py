"""Small files in packs: one object, one read, and each file for itself in the end."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from registry.artifacts import packs, placing, storage
from registry.artifacts.publish import publish
from registry.models import Artifact, Upload, UploadFile
from tests.cast import Cast
from tests.registry.artifacts.sending import (
    again,
    begin,
    lose,
    overwrite,
    parts_of,
    publish_all,
    put,
    register,
    sha256,
    sign,
    stored,
)

pytestmark = pytest.mark.django_db(transaction=True)
MIB = storage.MIB


@pytest.fixture
def files() -> dict[str, bytes]:
    contents = {f"shard/{n:03}": os.urandom(n * 37 + 1) for n in range(120)}
    return {**contents, "big": os.urandom(MIB + 1), "empty": b"", "twin": contents["shard/007"]}


def pack_of(upload: dict[str, Any], files: dict[str, bytes], index: int) -> bytes:
    """What a client sends for a pack: its files one after another, where the answer says they are."""
    inside = [file for file in upload["files"] if file.get("pack") == index]
    content = bytearray(sum(file["size"] for file in inside))
    for file in inside:
        content[file["offset"] : file["offset"] + file["size"]] = files[file["path"]]
    return bytes(content)


def send(cast: Cast, upload: dict[str, Any], contents: dict[int, bytes]) -> Upload:
    """Each of these by its index."""
    client = cast.client("ben")
    for index, content in contents.items():
        parts = parts_of(content, upload["part_size"])
        for url, part in zip(sign(client, upload, index, parts), parts, strict=True):
            assert put(url, part).status_code == 200
        body = {"files": [{"index": index, "parts": []}]}
        answer = client.post(f"/api/v1/uploads/{upload['id']}/complete", body)
        assert answer.status_code == 200, answer.json()
    return Upload.objects.get(pk=upload["id"])


def send_all(cast: Cast, upload: dict[str, Any], files: dict[str, bytes]) -> Upload:
    alone = {
        file["index"]: files[file["path"]]
        for file in upload["files"]
        if file["status"] == "wanted" and "pack" not in file
    }
    packed = {pack["index"]: pack_of(upload, files, pack["index"]) for pack in upload["packs"]}
    return send(cast, upload, alone | packed)


def test_it_works(cast: Cast, files: dict[str, bytes]) -> None:
    upload = begin(cast, files, packed=True)
    assert [pack["index"] for pack in upload["packs"]] == [len(files)]
    assert sum("pack" in file for file in upload["files"]) == 121
    version = publish_all(cast, send_all(cast, upload, files))
    assert {a.path: a.blob_id for a in Artifact.objects.filter(manifest=version.manifest_id)} == {
        path: sha256(content) for path, content in files.items()
    }
    assert all(stored(content) == content for content in files.values())


def test_packs_are_bounded(cast: Cast, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    monkeypatch.setattr(packs, "LARGEST_PACK", 50_000)
    monkeypatch.setattr(placing, "MOST_FILES", 7)
    upload = begin(cast, files, packed=True)
    assert len(upload["packs"]) > 4
    assert all(pack["size"] <= 50_000 for pack in upload["packs"])
    publish_all(cast, send_all(cast, upload, files))
    assert all(stored(content) == content for content in files.values())


def test_without_asking_nothing_is_packed(cast: Cast, files: dict[str, bytes]) -> None:
    assert begin(cast, files)["packs"] == []
    assert begin(cast, {"one": b"1"}, packed=True)["packs"] == []


def test_what_travels_in_a_pack_is_not_sent_alone(cast: Cast) -> None:
    upload = begin(cast, {"a": b"a", "b": b"b"}, packed=True)
    client = cast.client("ben")
    part = {"number": 1, "size": 1, "sha256": sha256(b"a")}
    for path, body in (
        ("parts", {"files": [{"index": 0, "parts": [part]}]}),
        ("complete", {"files": [{"index": 0, "parts": []}]}),
    ):
        answer = client.post(f"/api/v1/uploads/{upload['id']}/{path}", body)
        assert (answer.status_code, answer.json()["field"]) == (422, "index")
        assert "travels in a pack" in answer.json()["detail"]
    address = f"/api/v1/uploads/{upload['id']}/files/0/content"
    assert client.put(address, b"a", content_type="application/octet-stream").status_code == 422


def test_a_pack_can_be_streamed(cast: Cast, files: dict[str, bytes]) -> None:
    del files["big"]
    upload = begin(cast, files, packed=True)
    (pack,) = upload["packs"]
    answer = cast.client("ben").put(
        f"/api/v1/uploads/{upload['id']}/files/{pack['index']}/content",
        pack_of(upload, files, pack["index"]),
        content_type="application/octet-stream",
    )
    assert answer.status_code == 200, answer.json()
    publish_all(cast, Upload.objects.get(pk=upload["id"]))


def test_wrong_bytes_in_a_pack_fail_the_version_and_are_sent_alone(
    cast: Cast, files: dict[str, bytes]
) -> None:
    upload = begin(cast, files, packed=True)
    wrong = {**files, "shard/003": os.urandom(len(files["shard/003"]))}
    sent = send_all(cast, upload, wrong)
    version = register(cast, sent)
    publish(version.pk)
    assert again(version).status == "failed"
    assert "shard/003" in again(version).status_message
    assert "more files" not in again(version).status_message
    assert stored(wrong["shard/003"]) is None
    shown = begin(cast, files, packed=True, resume=True)
    assert shown["id"] == upload["id"]
    (file,) = [file for file in shown["files"] if file["status"] == "wanted"]
    assert (file["path"], "pack" in file) == ("shard/003", False)
    version = publish_all(cast, send(cast, shown, {file["index"]: files["shard/003"]}))
    assert version.number == 2


@pytest.mark.parametrize("harm", [lambda content: content[:-1], lambda content: content + b"x"])
def test_a_pack_of_another_size_fails_the_version(
    cast: Cast, files: dict[str, bytes], harm: Callable[[bytes], bytes]
) -> None:
    upload = begin(cast, files, packed=True)
    sent = send_all(cast, upload, files)
    row = UploadFile.objects.get(upload=sent, index=len(files))
    content = harm(pack_of(upload, files, len(files)))
    storage.hot().put(row.staging_key, content, sha256(content))
    version = register(cast, sent)
    publish(version.pk)
    assert again(version).status == "failed"
    assert "came in a pack of" in again(version).status_message
    assert "120 more files" in again(version).status_message


def test_a_lost_pack_fails_the_version(cast: Cast, files: dict[str, bytes]) -> None:
    sent = send_all(cast, begin(cast, files, packed=True), files)
    storage.hot().delete(UploadFile.objects.get(upload=sent, index=len(files)).staging_key)
    version = register(cast, sent)
    publish(version.pk)
    assert "not in the staging area any more" in again(version).status_message


def test_damaged_and_lost_content_is_replaced_by_what_came_in_a_pack(
    cast: Cast, files: dict[str, bytes]
) -> None:
    """Held elsewhere, so the bytes are sent, and mend what has happened to them."""
    publish_all(cast, send_all(cast, begin(cast, files, packed=True), files))
    overwrite(files["shard/001"], b"damaged")
    lose(files["shard/002"])
    UploadFile.objects.filter(upload__namespace=cast.namespace).update(status="received")
    other = {path: content for path, content in files.items() if path != "big"}
    upload = begin(cast, {**other, "new": b"new"}, packed=True)
    assert upload["packs"] == []  # the namespace holds them: only `new` is sent
    version = register(cast, send_all(cast, upload, {**other, "new": b"new"}))
    publish(version.pk)
    assert again(version).status == "failed"
    upload = begin(cast, {**other, "new": b"new"}, packed=True, resume=True)
    publish_all(cast, send_all(cast, upload, {**other, "new": b"new"}))
    assert stored(files["shard/001"]) == files["shard/001"]
    assert stored(files["shard/002"]) == files["shard/002"]
