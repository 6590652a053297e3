"""A signature's way: registered, published, verified, believed, and believed no more."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.test import TestCase
from django.utils import timezone

from lifecycle.gates.kinds import Context, Finding
from lifecycle.gates.signatures import SignatureValid
from lifecycle.models import Promotion
from registry.actions.attachments import add_attachment
from registry.actions.keys import add_signing_key, revoke_signing_key
from registry.artifacts import signature_checks, storage
from registry.artifacts.publish import publish
from registry.artifacts.signature_checks import due, verify
from registry.artifacts.signatures import judge
from registry.models import Attachment, ModelVersion, SignatureCheck, SigningKey, Upload
from registry.tasks.signatures import sweep_signatures, verify_signatures
from tests.cast import Cast
from tests.registry.artifacts.sending import again, events, staged
from tests.registry.artifacts.signing import a_key, folder_of, pem_of, sign

pytestmark = pytest.mark.django_db
KEY = a_key()
FILES = {"model.bin": b"signed weights", "a/b.json": b"{}"}


@pytest.fixture
def signature(tmp_path: Path) -> str:
    return sign(folder_of(tmp_path / "model", FILES), KEY).decode()


def believe(cast: Cast, key: Any = KEY, name: str = "release") -> SigningKey:
    return add_signing_key(namespace=cast.namespace, name=name, pem=pem_of(key), by=cast.principal("ada"))


def register(cast: Cast, upload: Upload, **body: Any) -> Any:
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions"
    return cast.client("ben").post(path, {"upload": str(upload.pk), **body})


def signed_version(cast: Cast, signature: str, files: dict[str, bytes] | None = None) -> ModelVersion:
    """Registered with the signature, published, and the signature verified, as the tasks do."""
    answer = register(cast, staged(cast, files or FILES), signature=signature)
    assert answer.status_code == 202, answer.json()
    version = ModelVersion.objects.get(pk=answer.json()["id"])
    publish(version.pk)
    verify_signatures(version_id=str(version.pk))
    return again(version)


def shown(cast: Cast, version: ModelVersion) -> dict[str, Any]:
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/{version.number}"
    return dict(cast.client("vera").get(path).json())


def gate(version: ModelVersion, key: str = "", *, prepared: bool = False) -> Finding:
    """What the gate says now."""
    context = Context(promotion=Promotion(), version=version, incumbent=None, now=timezone.now())
    found = SignatureValid()
    if prepared:
        found.prepare(context)
    return found.evaluate(context, found.checked({"key": key} if key else {}, "parameters"))


def test_it_works(cast: Cast, signature: str) -> None:
    believe(cast)
    version = signed_version(cast, signature)
    assert shown(cast, version)["signature"] == {
        "state": "valid",
        "key": "release",
        "sentence": "Signed with release, as it is: 2 files.",
    }
    (event,) = events(cast, "version.signature_checked")
    assert (event.subject_id, (event.after or {})["verdict"]) == (str(version.pk), "valid")
    found = gate(version)
    ada = cast.user("ada").username
    assert found.verdict == "pass"
    assert found.sentence == f"Signed with release, as it is: 2 files. release was added by {ada}."
    key, sha256 = SigningKey.objects.get(), Attachment.objects.get(version=version).sha256
    assert found.evidence == {"key": "release", "fingerprint": key.fingerprint, "signature": sha256}
    assert gate(version, "release").verdict == "pass"
    assert gate(version, "other").verdict == "fail"


def test_publishing_asks_for_it_and_a_lost_message_is_swept(
    cast: Cast, signature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    believe(cast)
    sent: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(signature_checks, "enqueue", lambda task, **ids: sent.append((task, ids)))
    upload = staged(cast, FILES)
    version = ModelVersion.objects.get(pk=register(cast, upload, signature=signature).json()["id"])
    publish(version.pk)
    assert sent == [("registry.verify_signatures", {"version_id": str(version.pk)})]
    assert shown(cast, version)["signature"]["state"] == "unchecked"
    assert gate(version).sentence.startswith(f"{version.reference} has no verified signature. Accepted is")
    swept: list[str] = []
    monkeypatch.setattr(verify_signatures, "delay", lambda *, version_id: swept.append(version_id))
    sweep_signatures()
    assert str(version.pk) in swept
    # The gate does not wait for any of that.
    assert gate(version, prepared=True).verdict == "pass"
    swept.clear()
    sweep_signatures()
    assert str(version.pk) not in swept


def test_verified_twice_is_told_once(cast: Cast, signature: str) -> None:
    believe(cast)
    version = signed_version(cast, signature)
    verify(version.pk)
    verify(version.pk)
    assert SignatureCheck.objects.filter(attachment__version=version).count() == 1


def test_a_key_that_is_added_later(cast: Cast, signature: str) -> None:
    version = signed_version(cast, signature)
    assert shown(cast, version)["signature"]["state"] == "unknown_key"
    assert gate(version).verdict == "fail"
    assert not due().filter(version=version).exists()
    with TestCase.captureOnCommitCallbacks() as after_commit:
        believe(cast, a_key(), "another")
    assert after_commit
    verify(version.pk)
    assert shown(cast, version)["signature"]["state"] == "unknown_key"
    believe(cast)
    assert due().filter(version=version).exists()
    verify(version.pk)
    assert shown(cast, version)["signature"]["state"] == "valid"
    assert gate(version).verdict == "pass"
    verdicts = (
        SignatureCheck.objects.filter(attachment__version=version).order_by("pk").values_list("verdict")
    )
    assert [each for (each,) in verdicts] == ["unknown_key", "unknown_key", "valid"]


def test_a_key_that_is_revoked_is_believed_no_more(cast: Cast, signature: str) -> None:
    key = believe(cast)
    version = signed_version(cast, signature)
    revoke_signing_key(key=key, reason="lost", by=cast.principal("ada"))
    found = gate(version, prepared=True)
    assert found.verdict == "fail"
    assert "The key release is revoked. Accepted is a signature by OpenSSF model_signing" in found.sentence
    state = shown(cast, version)["signature"]
    assert state["state"] == "revoked"
    assert "release was revoked on" in state["sentence"]
    later = signed_version(cast, signature)
    assert shown(cast, later)["signature"]["state"] == "unknown_key"
    assert gate(later).verdict == "fail"


def test_a_key_added_while_a_signature_is_judged_is_not_missed(
    cast: Cast, signature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[SigningKey] = []

    def slow(*given: Any) -> Any:
        judged = judge(*given)
        if not added:
            added.append(believe(cast))
        return judged

    monkeypatch.setattr(signature_checks, "judge", slow)
    version = signed_version(cast, signature)
    assert shown(cast, version)["signature"]["state"] == "valid"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({**FILES, "model.bin": b"other"}, "other bytes were signed as model.bin"),
        ({**FILES, "extra.py": b"x"}, "not signed: extra.py"),
        ({"model.bin": FILES["model.bin"]}, "signed, but not here: a/b.json"),
    ],
)
def test_a_version_that_is_not_what_was_signed(
    cast: Cast, signature: str, files: dict[str, bytes], said: str
) -> None:
    believe(cast)
    version = signed_version(cast, signature, files)
    assert version.status == "ready"
    found = gate(version)
    assert found.verdict == "fail"
    assert said in found.sentence


def test_a_second_signature_does_not_spoil_the_first(cast: Cast, signature: str) -> None:
    believe(cast)
    version = signed_version(cast, signature)
    add_attachment(
        version=version,
        kind="signature",
        name="x.sig",
        body=io.BytesIO(b"{}"),
        length=2,
        by=cast.principal("ben"),
    )
    verify(version.pk)
    assert shown(cast, version)["signature"]["state"] == "valid"
    assert gate(version).verdict == "pass"


def test_a_signature_whose_object_is_lost_is_verified_when_it_is_there_again(
    cast: Cast, signature: str
) -> None:
    believe(cast)
    answer = register(cast, staged(cast, FILES), signature=signature)
    version = ModelVersion.objects.get(pk=answer.json()["id"])
    kept = Attachment.objects.get(version=version)
    storage.attachments().delete(storage.attachment_key(kept.sha256))
    publish(version.pk)
    verify(version.pk)
    assert shown(cast, version)["signature"]["state"] == "unchecked"
    raw = signature.encode()
    same = add_attachment(
        version=version, kind="signature", name=kept.name, body=io.BytesIO(raw), length=len(raw),
        by=cast.principal("ben"),
    )  # fmt: skip
    assert same.pk == kept.pk
    verify(version.pk)
    assert shown(cast, version)["signature"]["state"] == "valid"


@pytest.mark.parametrize("given", ["", "x" * (4 * 1024 * 1024 + 1), "ö" * (3 * 1024 * 1024), "a\x00b", ["x"]])
def test_what_is_no_text_of_a_signature_is_refused(cast: Cast, given: Any) -> None:
    answer = register(cast, staged(cast, {"model.bin": b"m"}), signature=given)
    assert answer.status_code == 422, answer.json()
    assert not ModelVersion.objects.filter(model__namespace=cast.namespace).exists()


def test_garbage_does_not_stop_a_version(cast: Cast) -> None:
    believe(cast)
    version = signed_version(cast, "[" * 10_000)
    assert version.status == "ready"
    state = shown(cast, version)["signature"]
    assert (state["state"], state["key"]) == ("invalid", None)
    assert "It is no JSON" in state["sentence"]


def test_a_page_of_signed_versions_takes_no_more_queries(
    cast: Cast, signature: str, django_assert_max_num_queries: Any
) -> None:
    believe(cast)
    path = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions"
    client = cast.client("vera")
    signed_version(cast, signature)
    with django_assert_max_num_queries(100) as one:
        client.get(path)
        asked = len(one)
    signed_version(cast, signature)
    signed_version(cast, signature)
    with django_assert_max_num_queries(asked):
        assert len(client.get(path).json()["results"]) == 3
