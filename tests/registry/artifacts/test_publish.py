"""From what was sent to what is served."""

from __future__ import annotations

import os

import pytest

from registry.actions.versions import UploadIncomplete
from registry.artifacts import storage
from registry.artifacts.content import settle
from registry.artifacts.manifests import Entry, manifest_digest, oms_digest
from registry.artifacts.publish import publish
from registry.models import Artifact, Blob, ModelVersion, Upload, UploadFile
from registry.tasks import publish_version
from tests.cast import Cast
from tests.registry.artifacts.sending import (
    again,
    begin,
    blob,
    events,
    lose,
    overwrite,
    parts_of,
    published,
    put,
    register,
    send,
    sha256,
    sign,
    staged,
    stored,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_works(cast: Cast) -> None:
    files = {"model.bin": os.urandom(70_000), "conf/config.json": os.urandom(20), "empty": b""}
    upload = send(cast, files)
    version = register(cast, upload)
    assert version.status == "verifying"
    assert version.number == 1
    assert [event.type for event in events(cast, "model.created", "version.registered")] == [
        "model.created",
        "version.registered",
    ]

    publish(version.pk)

    version = again(version)
    assert version.status == "ready"
    assert version.claimed_at is None
    entries = [Entry(path, len(content), sha256(content)) for path, content in files.items()]
    assert version.manifest.digest == manifest_digest(entries)
    assert version.manifest.oms_digest == oms_digest(entries)
    assert (version.manifest.files, version.manifest.size) == (3, 70_020)
    for content in files.values():
        assert stored(content) == content
        assert blob(content).verified_at is not None
    ready = events(cast, "version.ready")
    assert [event.after["digest"] for event in ready if event.after] == [f"sha256:{version.manifest.digest}"]
    assert Upload.objects.get(pk=upload.pk).state == "completed"


def test_publishing_twice_does_nothing_the_second_time(cast: Cast) -> None:
    version = published(cast, {"model.bin": os.urandom(100)})
    publish(version.pk)
    assert len(events(cast, "version.ready")) == 1


def test_a_file_of_several_parts_is_published_whole(cast: Cast) -> None:
    content = os.urandom(40 * storage.MIB + 7)
    published(cast, {"weights.bin": content})
    assert stored(content) == content


def test_many_small_files_are_published_side_by_side(cast: Cast) -> None:
    files = {f"shards/{n:03}.bin": os.urandom(1000 + n) for n in range(60)}
    version = published(cast, files)
    assert version.manifest.files == 60
    assert all(stored(content) == content for content in files.values())


def test_a_version_of_an_upload_that_is_not_complete_is_refused(cast: Cast) -> None:
    upload = Upload.objects.get(pk=begin(cast, {"model.bin": b"abc", "other.bin": b"def"})["id"])
    with pytest.raises(UploadIncomplete, match=r"model\.bin") as refused:
        register(cast, upload)
    assert len(refused.value.reasons) == 2
    assert not ModelVersion.objects.filter(model__namespace=cast.namespace).exists()


def test_bytes_that_are_not_what_was_announced_fail_the_version_and_leave_nothing(cast: Cast) -> None:
    good, announced, sent = os.urandom(500), os.urandom(600), os.urandom(600)
    upload = send(cast, {"good.bin": good, "bad.bin": announced})
    bad = upload.files.get(path="bad.bin")
    storage.hot().put(bad.staging_key, sent, sha256(sent))
    version = register(cast, upload)

    publish(version.pk)

    version = again(version)
    assert version.status == "failed"
    assert sha256(sent) in version.status_message
    assert "bad.bin" in version.status_message
    assert stored(announced) is None
    assert stored(sent) is None
    assert not Artifact.objects.filter(manifest=version.manifest_id).exists()
    assert not Blob.objects.filter(pk__in=[sha256(good), sha256(announced)]).exists()
    assert [event.reason for event in events(cast, "version.failed")] == [version.status_message]
    assert not events(cast, "version.ready")


def test_a_failed_upload_takes_the_file_again(cast: Cast) -> None:
    content, other = os.urandom(600), os.urandom(600)
    upload = send(cast, {"model.bin": content})
    storage.hot().put(upload.files.get().staging_key, other, sha256(other))
    first = register(cast, upload)
    publish(first.pk)
    assert again(first).status == "failed"

    client = cast.client("ben")
    shown = client.get(f"/api/v1/uploads/{upload.pk}").json()
    assert [file["status"] for file in shown["files"]] == ["wanted"]
    (url,) = sign(client, shown, 0, [content])
    etag = put(url, content).headers["ETag"]
    body = {"files": [{"index": 0, "parts": [{"number": 1, "etag": etag}]}]}
    assert client.post(f"/api/v1/uploads/{upload.pk}/complete", body).status_code == 200
    second = register(cast, upload)
    publish(second.pk)

    assert again(second).status == "ready"
    assert again(second).number == 2
    assert again(first).manifest_id != again(second).manifest_id
    assert again(first).status == "failed"


@pytest.mark.parametrize("change", ["missing", "short"])
def test_what_never_arrived_fails_the_version(cast: Cast, change: str) -> None:
    content = os.urandom(900)
    upload = send(cast, {"model.bin": content})
    file = upload.files.get()
    if change == "missing":
        storage.hot().delete(file.staging_key)
    else:
        storage.hot().put(file.staging_key, content[:-1], sha256(content[:-1]))
    version = register(cast, upload)
    publish(version.pk)
    version = again(version)
    assert version.status == "failed"
    assert "send it again" in version.status_message
    assert stored(content) is None
    assert UploadFile.objects.get(pk=file.pk).status == "wanted"


def test_bytes_the_namespace_holds_are_not_sent_again(cast: Cast) -> None:
    content = os.urandom(5000)
    published(cast, {"model.bin": content})
    proven = blob(content).verified_at

    upload = begin(cast, {"renamed.bin": content})
    assert [file["status"] for file in upload["files"]] == ["present"]
    second = register(cast, Upload.objects.get(pk=upload["id"]))
    publish(second.pk)

    assert again(second).status == "ready"
    assert blob(content).verified_at == proven


def test_bytes_of_another_namespace_are_asked_for_and_then_shared(cast: Cast) -> None:
    content = os.urandom(5000)
    published(cast, {"model.bin": content})
    body = {"files": [{"path": "m", "size": len(content), "sha256": sha256(content)}]}
    answer = cast.client("mallory").post(f"/api/v1/namespaces/{cast.elsewhere.name}/uploads", body)
    assert [file["status"] for file in answer.json()["files"]] == ["wanted"]


def test_an_existing_content_object_is_never_written_again(cast: Cast) -> None:
    content = os.urandom(5000)
    published(cast, {"model.bin": content})
    before = storage.hot().head(storage.content_key(sha256(content)))
    written = dict(storage.hot().keys(storage.content_key(sha256(content))))
    upload = Upload.objects.get(pk=begin(cast, {"again.bin": content})["id"])
    # As though another namespace had sent it: the same bytes arrive in staging.
    file = upload.files.get()
    file.staging_key, file.status = storage.staging_key(upload.pk, 0), "received"
    file.save()
    storage.hot().put(file.staging_key, content, sha256(content))
    version = register(cast, upload)
    publish(version.pk)
    assert again(version).status == "ready"
    assert storage.hot().head(storage.content_key(sha256(content))) == before
    assert dict(storage.hot().keys(storage.content_key(sha256(content)))) == written


@pytest.mark.parametrize("damage", ["overwritten", "lost"])
def test_good_bytes_heal_what_was_damaged(cast: Cast, damage: str) -> None:
    content = os.urandom(5000)
    first = published(cast, {"model.bin": content})
    if damage == "lost":
        lose(content)
    else:
        overwrite(content, os.urandom(4000))
    row = blob(content)
    row.quarantined_at, row.quarantine_reason = first.created_at, "found by the scrub"
    row.save()

    second = published(cast, {"model.bin": content})

    assert stored(content) == content
    assert blob(content).quarantined_at is None
    (healed,) = events(cast, "blob.healed")
    assert healed.after == {"sha256": sha256(content), "size": 5000, "versions": [first.reference]}
    assert second.number == 2


def test_a_held_file_that_was_damaged_meanwhile_is_asked_for_again(cast: Cast) -> None:
    content = os.urandom(5000)
    published(cast, {"model.bin": content})
    upload = Upload.objects.get(pk=begin(cast, {"model.bin": content})["id"])
    lose(content)
    version = register(cast, upload)
    publish(version.pk)
    assert again(version).status == "failed"
    assert "damaged or gone" in again(version).status_message
    assert blob(content).quarantined_at is not None
    assert upload.files.get().status == "wanted"
    assert upload.files.get().staging_key


def test_a_signed_address_used_after_publishing_changes_nothing_that_is_served(cast: Cast) -> None:
    content, evil = os.urandom(3000), os.urandom(3000)
    client = cast.client("ben")
    upload = begin(cast, {"model.bin": content})
    (url,) = sign(client, upload, 0, parts_of(content, upload["part_size"]))
    etag = put(url, content).headers["ETag"]
    body = {"files": [{"index": 0, "parts": [{"number": 1, "etag": etag}]}]}
    assert client.post(f"/api/v1/uploads/{upload['id']}/complete", body).status_code == 200
    version = register(cast, Upload.objects.get(pk=upload["id"]))
    publish(version.pk)

    assert put(url, content).status_code >= 400
    assert put(url, evil).status_code >= 400
    storage.hot().put(storage.staging_key(upload["id"], 0), evil, sha256(evil))  # were the store to allow it
    answer = client.get(
        f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/1/artifacts/model.bin?as=stream"
    )
    assert b"".join(answer.streaming_content) == content  # type: ignore[attr-defined]
    assert again(version).status == "ready"


def test_a_copy_larger_than_one_request_takes_is_made_of_pieces(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.artifacts.content.COPIED_WHOLE", 1 * storage.MIB)
    monkeypatch.setattr("registry.artifacts.content.PIECE", 6 * storage.MIB)
    content = os.urandom(20 * storage.MIB + 3)
    published(cast, {"weights.bin": content})
    assert stored(content) == content


def test_one_upload_registered_twice_makes_two_versions_of_one_manifest(cast: Cast) -> None:
    upload = send(cast, {"model.bin": os.urandom(100)})
    first, second = register(cast, upload), register(cast, upload, model="other")
    publish(first.pk)
    publish(second.pk)
    assert again(first).manifest_id == again(second).manifest_id
    assert {again(first).status, again(second).status} == {"ready"}


def test_a_store_that_is_away_fails_nothing(cast: Cast) -> None:
    content = os.urandom(500)
    version = register(cast, send(cast, {"model.bin": content}))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("django.conf.settings.S3_ENDPOINT_URL", "http://127.0.0.1:9")
        publish_version(version_id=str(version.pk))
    version = again(version)
    assert (version.status, version.claimed_at, version.claims) == ("verifying", None, 1)
    publish_version(version_id=str(version.pk))
    assert again(version).status == "ready"


def test_a_version_whose_upload_was_registered_anew_fails(cast: Cast) -> None:
    """Two versions of one upload: the first fails, the upload is mended and registered a third time, and only
    then comes a worker to the second."""
    content = os.urandom(70_000)
    upload = staged(cast, {"model.bin": content})
    file = upload.files.get()
    storage.hot().delete(file.staging_key)
    first, second = register(cast, upload), register(cast, upload)
    publish(first.pk)
    storage.hot().put(file.staging_key, content, file.sha256)
    upload.files.update(status="received")
    third = register(cast, upload)
    publish(second.pk)
    publish(third.pk)
    assert [again(version).status for version in (first, second, third)] == ["failed", "failed", "ready"]
    assert "another version was registered" in again(second).status_message


def test_a_wrong_size_for_bytes_that_are_held_casts_no_doubt_on_them(cast: Cast) -> None:
    content = os.urandom(50)
    published(cast, {"model.bin": content})
    assert not settle(sha256(content), 999, None)
    assert blob(content).quarantined_at is None
