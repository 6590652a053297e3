"""Documents kept with a version: by whom, how large, and what is handed out."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import pytest

from registry.actions import attachments as actions
from registry.artifacts import storage
from registry.artifacts.attachments import LARGEST, receive
from registry.artifacts.uploads import BytesRefused
from registry.errors import InvalidInput
from registry.models import Attachment, ModelVersion
from tests.cast import Cast
from tests.factories import ready_version
from tests.registry.artifacts.sending import events

pytestmark = pytest.mark.django_db
REPORT = b"<script>alert(1)</script>"


@pytest.fixture
def version(cast: Cast) -> ModelVersion:
    """Ben's."""
    return ready_version(cast)


def path_of(cast: Cast) -> str:
    return f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/1/attachments"


def attach(
    cast: Cast, who: str, body: bytes = REPORT, *, kind: str = "supplier_report", name: str = "r.html"
) -> Any:
    query = {"kind": kind, "name": name}
    return cast.client(who).post(
        path_of(cast), body, content_type="application/octet-stream", query_params=query
    )


def test_it_works(cast: Cast, version: ModelVersion) -> None:
    answer = attach(cast, "ben")
    assert answer.status_code == 201, answer.json()
    told = answer.json()
    assert (told["kind"], told["name"], told["size"]) == ("supplier_report", "r.html", len(REPORT))
    assert told["sha256"] == hashlib.sha256(REPORT).hexdigest()
    assert told["signature"] is None
    assert cast.client("vera").get(path_of(cast)).json()["results"] == [told]
    (event,) = events(cast, "attachment.added")
    assert (event.subject_id, (event.after or {})["sha256"]) == (str(version.pk), told["sha256"])


def test_it_comes_back_as_a_download_that_no_browser_runs(cast: Cast, version: ModelVersion) -> None:
    made = attach(cast, "ben").json()
    answer = cast.client("vera").get(f"/api/v1/attachments/{made['id']}/content")
    assert (answer.status_code, answer.content) == (200, REPORT)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"].startswith("attachment;")
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    digest = base64.b64encode(hashlib.sha256(REPORT).digest()).decode()
    assert answer["Repr-Digest"] == f"sha-256=:{digest}:"


@pytest.mark.parametrize("other", [b"<script>alert(2)</script>", b"short", None])
def test_other_bytes_are_not_handed_out(cast: Cast, version: ModelVersion, other: bytes | None) -> None:
    made = attach(cast, "ben").json()
    key = storage.attachment_key(made["sha256"])
    if other is None:
        storage.attachments().delete(key)
    else:
        storage.attachments().put(key, other, hashlib.sha256(other).hexdigest())
    answer = cast.client("vera").get(f"/api/v1/attachments/{made['id']}/content")
    assert (answer.status_code, answer.json()["code"]) == (409, "attachment-damaged")
    # Attached again, it is whole again.
    assert attach(cast, "ben").json()["id"] == made["id"]
    assert cast.client("vera").get(f"/api/v1/attachments/{made['id']}/content").content == REPORT


def test_the_same_again_changes_nothing(cast: Cast, version: ModelVersion) -> None:
    first, second = attach(cast, "ben").json(), attach(cast, "ben").json()
    assert first == second
    assert Attachment.objects.filter(version=version).count() == len(events(cast, "attachment.added")) == 1


def test_others_do_not_attach_to_it(cast: Cast, version: ModelVersion) -> None:
    answers = {who: attach(cast, who).status_code for who in ("ada", "ben", "eve", "vera", "ci", "mallory")}
    assert answers == {"ada": 403, "ben": 201, "eve": 403, "vera": 403, "ci": 403, "mallory": 404}


def test_who_answers_for_a_service_account_attaches_to_what_it_made(cast: Cast) -> None:
    ready_version(cast, by="ci")
    assert [attach(cast, who).status_code for who in ("ada", "ci", "ben")] == [201, 201, 403]


def test_names_are_one_part_of_a_path(cast: Cast, version: ModelVersion) -> None:
    names = ["", "../x", "a/b", "a\\b", ".", "..", "x\u202e", "%2e%2e", "n" * 256, "ö" * 200]
    assert {name: attach(cast, "ben", name=name).status_code for name in names} == dict.fromkeys(names, 422)
    assert not Attachment.objects.filter(version=version).exists()


def test_what_is_refused(cast: Cast, version: ModelVersion) -> None:
    assert (
        attach(cast, "ben", kind="virus").json()["detail"]
        == "kind is one of signature, supplier_report, code_diff."
    )
    assert attach(cast, "ben", b"").status_code == 422
    assert attach(cast, "ben", bytes(4 * 1024 * 1024 + 1), kind="signature").status_code == 413
    over = attach(cast, "ben", bytes(LARGEST + 1))
    assert (over.status_code, over.json()["code"]) == (413, "attachment-too-large")
    assert not Attachment.objects.filter(version=version).exists()


def test_a_body_that_ends_early_is_refused() -> None:
    with pytest.raises(BytesRefused, match="ended after 3 of 9 bytes"):
        receive("supplier_report", io.BytesIO(b"abc"), 9)
    with pytest.raises(InvalidInput, match="Content-Length"):
        receive("supplier_report", io.BytesIO(b"abc"), None)
    assert receive("supplier_report", io.BytesIO(b"abcd"), 3) == b"abc"


def test_there_is_a_bound(cast: Cast, version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "MOST_ATTACHMENTS", 2)
    assert [attach(cast, "ben", name=f"r{number}").status_code for number in range(2)] == [201, 201]
    assert attach(cast, "ben", name="r2").json()["code"] == "too-many-attachments"


def test_the_largest_fits(cast: Cast, version: ModelVersion) -> None:
    made = attach(cast, "ben", bytes(LARGEST))
    assert made.status_code == 201
    assert len(cast.client("ben").get(f"/api/v1/attachments/{made.json()['id']}/content").content) == LARGEST
