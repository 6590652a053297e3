"""Scanning published versions: each blob once, what it says of the version, who is told, and what is refused."""

from __future__ import annotations

import os
import pickle
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from django.utils import timezone

from registry.actions.roles import edit_namespace
from registry.artifacts import download, scan, storage
from registry.artifacts.scanning import SCANNER
from registry.errors import Forbidden, NotVisible
from registry.models import Blob, ModelVersion, ScanReport
from registry.tasks.artifacts import scan_version, sweep_scans
from tests.cast import Cast
from tests.registry.artifacts.scanning.building import call
from tests.registry.artifacts.sending import again, events, lose, overwrite, published, sha256

pytestmark = pytest.mark.django_db(transaction=True)


def fine() -> bytes:
    return pickle.dumps({"weights": os.urandom(8)})


def evil() -> bytes:
    return call("os", "system", os.urandom(4).hex())


def get(cast: Cast, path: str, by: str = "vera", number: int = 1) -> Any:
    base = f"/api/v1/namespaces/{cast.namespace.name}/models/scorer/versions/{number}"
    return cast.client(by).get(f"{base}{path}")


def clean_only(cast: Cast) -> None:
    edit_namespace(namespace=cast.namespace, clean_downloads_only=True, by=cast.principal("ada"))


def test_a_clean_version(cast: Cast) -> None:
    version = published(cast, {"model.pkl": fine(), "README.md": b"# Scorer"})
    assert get(cast, "").json()["safety"] == ""
    assert scan.scan_version(version.pk)
    version = again(version)
    assert (version.safety, version.scanned_with) == ("clean", SCANNER)
    (event,) = events(cast, "version.scanned", "version.flagged")
    assert event.type == "version.scanned"
    assert event.after == {"safety": "clean", "scanner": SCANNER, "files": 2, "findings": []}
    assert version.claimed_at is None


def test_a_malicious_version_is_told_with_file_and_global(cast: Cast) -> None:
    version = published(cast, {"a.txt": b"fine", "model.pkl": evil()})
    scan.scan_version(version.pk)
    assert again(version).safety == "malicious"
    (event,) = events(cast, "version.scanned", "version.flagged")
    assert event.type == "version.flagged"
    assert "model.pkl is malicious: GLOBAL imports os.system" in event.reason
    assert event.after is not None
    (found,) = event.after["findings"]
    assert (found["path"], found["name"], found["verdict"]) == ("model.pkl", "os.system", "malicious")
    told = get(cast, "/scan").json()
    assert (told["safety"], told["scanned_with"]) == ("malicious", SCANNER)
    text, model = told["files"]
    assert (text["path"], text["format"], text["verdict"], text["findings"]) == ("a.txt", "text", "clean", [])
    assert (model["format"], model["verdict"], model["scanner"]) == ("pickle", "malicious", SCANNER)
    assert model["findings"][0]["name"] == "os.system"
    assert get(cast, "/scan", by="mallory").status_code == 404


def test_it_is_done_once(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = fine()
    first = published(cast, {"a.pkl": shared, "b.pkl": shared})
    scan.scan_version(first.pk)
    assert ScanReport.objects.filter(blob=sha256(shared)).count() == 1

    def not_again(*_: Any, **__: Any) -> Any:
        pytest.fail("bytes were scanned twice")

    second = published(cast, {"c.pkl": shared})
    monkeypatch.setattr("registry.artifacts.sandbox.Several.judge", not_again)
    assert scan.scan_version(first.pk)
    assert scan.scan_version(second.pk)
    assert again(second).safety == "clean"
    assert len(events(cast, "version.scanned")) == 2


def test_a_new_release_scans_everything_again(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    version = published(cast, {"a.pkl": fine()})
    scan.scan_version(version.pk)
    assert version.pk not in set(scan.unscanned())
    monkeypatch.setattr(scan, "SCANNER", "next")
    assert version.pk in set(scan.unscanned())
    assert scan.scan_version(version.pk)
    assert again(version).scanned_with == "next"
    assert ScanReport.objects.filter(blob__artifacts__manifest=version.manifest).count() == 2
    assert [event.before for event in events(cast, "version.scanned")] == [
        {"safety": "", "scanner": ""},
        {"safety": "clean", "scanner": SCANNER},
    ]


def test_what_cannot_be_read_is_left_for_another_time(cast: Cast) -> None:
    lost, bad, other = fine(), fine(), fine()
    version = published(cast, {"a.pkl": lost, "b.pkl": bad, "c.pkl": other})
    lose(lost)
    overwrite(bad, b"something else")
    Blob.objects.filter(pk=sha256(other)).update(quarantined_at=timezone.now(), quarantine_reason="lost")
    assert not scan.scan_version(version.pk)
    assert (again(version).safety, again(version).claimed_at) == ("", None)
    assert not ScanReport.objects.filter(blob__artifacts__manifest=version.manifest).exists()
    for content in (lost, bad):
        overwrite(content, content)
    Blob.objects.filter(pk=sha256(other)).update(quarantined_at=None, quarantine_reason="")
    assert scan.scan_version(version.pk)
    assert again(version).safety == "clean"


def test_the_store_being_away_says_nothing(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    version = published(cast, {"a.pkl": fine()})

    def away(*_: Any, **__: Any) -> Any:
        raise storage.StoreUnavailable("away")

    monkeypatch.setattr(storage.Bucket, "get", away)
    monkeypatch.setattr("registry.artifacts.hashing.time.sleep", lambda _: None)
    scan_version(version_id=str(version.pk))
    assert (again(version).safety, again(version).claimed_at) == ("", None)


def test_one_worker_at_a_time(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    version = published(cast, {"a.pkl": fine()})
    rows = ModelVersion.objects.filter(pk=version.pk)
    rows.update(claimed_at=timezone.now())
    assert not scan.scan_version(version.pk)
    sent: list[str] = []
    monkeypatch.setattr(scan_version, "delay", lambda *, version_id, swept: sent.append(version_id))
    monkeypatch.setattr("registry.tasks.artifacts.LOST_AFTER", timedelta(0))
    monkeypatch.setattr(
        "registry.tasks.artifacts.MOST_SWEPT", 100_000
    )  # other tests leave versions unscanned
    sweep_scans()
    assert str(version.pk) not in sent
    rows.update(claimed_at=timezone.now() - timedelta(minutes=10))
    sweep_scans()
    assert str(version.pk) in sent
    assert scan.scan_version(version.pk)


def test_a_scan_of_many_files_gives_way(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    version = published(cast, {f"{number}.pkl": fine() for number in range(3)})
    turns: list[str] = []
    monkeypatch.setattr(scan_version, "delay", lambda *, version_id: turns.append(version_id))
    monkeypatch.setattr("registry.tasks.artifacts.TURN_SECONDS", 0.0)
    for left in (2, 1):
        clock = SimpleNamespace(monotonic=iter((0, 0, 1)).__next__)  # a file a turn
        monkeypatch.setattr("registry.artifacts.scan.time", clock)
        scan_version(version_id=str(version.pk))
        assert turns.pop() == str(version.pk)
        assert (again(version).safety, again(version).claimed_at) == ("", None)
        reports = ScanReport.objects.filter(blob__artifacts__manifest=version.manifest)
        assert reports.count() == 3 - left
    monkeypatch.undo()
    scan_version(version_id=str(version.pk))
    assert turns == []
    assert again(version).safety == "clean"


def test_the_sweep_begins_no_second_line_of_turns(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    version = published(cast, {f"{number}.pkl": fine() for number in range(3)})
    sent: list[str] = []
    monkeypatch.setattr(scan_version, "delay", lambda *, version_id: sent.append(version_id))
    monkeypatch.setattr("registry.tasks.artifacts.TURN_SECONDS", 0.0)
    clock = SimpleNamespace(monotonic=iter((0, 0, 1)).__next__)
    monkeypatch.setattr("registry.artifacts.scan.time", clock)
    scan_version(version_id=str(version.pk), swept=True)
    assert sent == []
    assert ScanReport.objects.filter(blob__artifacts__manifest=version.manifest).count() == 1


def test_a_namespace_may_hand_out_only_what_is_clean(cast: Cast) -> None:
    good, bad = fine(), evil()
    published(cast, {"a.pkl": good})
    version = published(cast, {"a.txt": b"fine", "m.pkl": bad})
    assert get(cast, "/artifacts/m.pkl", number=2).status_code == 302
    clean_only(cast)
    early = get(cast, "/artifacts/a.pkl")
    assert (early.status_code, early.json()["code"]) == (409, "version-not-clean")
    assert early.json()["detail"].endswith("try again in a moment.")
    assert early["Retry-After"] == "5"
    for row in ModelVersion.objects.filter(model__namespace=cast.namespace):
        scan.scan_version(row.pk)
    assert httpx.get(get(cast, "/artifacts/a.pkl")["Location"]).content == good
    for path in ("/artifacts/m.pkl", "/artifacts/a.txt", "/artifacts/m.pkl?as=stream", "/artifacts/m.pkl?as=url",
                 "/artifacts?with=url"):  # fmt: skip
        refused = get(cast, path, number=2)
        assert (refused.status_code, refused.json()["code"]) == (409, "version-not-clean"), path
        assert refused.json()["reasons"] == [
            "m.pkl is malicious: GLOBAL imports os.system, which can run code when the file is loaded."
        ]
    with pytest.raises(download.VersionNotClean):
        download.artifact_of(again(version), "m.pkl")
    assert get(cast, "/artifacts", number=2).status_code == 200


def test_who_may_ask_for_that(cast: Cast) -> None:
    address = f"/api/v1/namespaces/{cast.namespace.name}"
    answer = cast.client("ada").patch(address, {"clean_downloads_only": True, "description": "careful"})
    assert answer.status_code == 200
    told = cast.client("vera").get(address).json()
    assert (told["clean_downloads_only"], told["description"]) == (True, "careful")
    (event,) = events(cast, "namespace.edited")
    assert event.before == {"description": "", "clean_downloads_only": False}
    assert event.after == {"description": "careful", "clean_downloads_only": True}
    assert cast.client("ada").patch(address, {"clean_downloads_only": True}).status_code == 200
    assert len(events(cast, "namespace.edited")) == 1
    assert cast.client("eve").patch(address, {"clean_downloads_only": False}).status_code == 403
    assert cast.client("mallory").patch(address, {"clean_downloads_only": False}).status_code == 404
    assert cast.client("ada").patch(address, {"name": "other"}).status_code == 422
    assert cast.client("ada").patch(address, {"clean_downloads_only": "maybe"}).status_code == 422
    for name, refusal in (("eve", Forbidden), ("mallory", NotVisible)):
        with pytest.raises(refusal):
            edit_namespace(namespace=cast.namespace, clean_downloads_only=False, by=cast.principal(name))
