"""A model that was bought and signed: by the command line, from the supplier's folder to the gate."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from model_signing import hashing

from tests.cast import Cast
from tests.conftest import Live
from tests.factories import simple_policy
from tests.journeys.conftest import Run
from tests.registry.artifacts.signing import a_key, folder_of, pem_of, sign

pytestmark = pytest.mark.django_db(transaction=True)
FILES = {"model.onnx": b"weights" * 1000, "conf/a.json": b"{}", "conf.txt": b"x"}


def until(found: Callable[[], Any]) -> Any:
    """What `found` finds, within 20 s."""
    deadline = time.monotonic() + 20
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)
    return value


def test_it_works(cast: Cast, run: Run, live: Live, tmp_path: Path) -> None:
    namespace, key = cast.namespace.name, a_key()
    model, version = f"{namespace}/bought", f"{namespace}/bought:1"
    folder = folder_of(tmp_path / "model", FILES)
    (folder / "model.sig").write_bytes(sign(folder, key))
    (tmp_path / "report.pdf").write_bytes(b"We measured everything.")
    digest = f"sha256:{hashlib.sha256(FILES['model.onnx']).hexdigest()}"

    # It comes in before anybody believes its key.
    run(
        "ben", 0, "push", str(folder), model, "--signature", str(folder / "model.sig"), "--supplier", "Acme AI",
        "--origin", "https://acme.example/scorer", "--contract", "C-17", "--supplier-digest", digest,
        "--supplier-report", str(tmp_path / "report.pdf"),
    )  # fmt: skip

    def told() -> dict[str, Any]:
        return dict(json.loads(run("ben", 0, "show", version, "--json").stdout))

    until(lambda: told()["signature"]["state"] == "unknown_key")
    (tmp_path / "release.pub").write_text(pem_of(key))
    run("ada", 0, "keys", "add", namespace, "acme-2026", str(tmp_path / "release.pub"))
    until(lambda: told()["signature"]["state"] == "valid")
    until(lambda: told()["supply"]["report"])
    shown = " ".join(run("ben", 0, "show", version).stdout.split())
    for words in ("bought from Acme AI", "that of model.onnx", "provenance complete", "signature valid"):
        assert words in shown
    assert "Signed with acme-2026, as it is: 3 files." in shown

    # Both digests, made again by others: sha256sum of the manifest, and the library of the folder.
    run("otto", 0, "manifest", version, "--output", str(tmp_path / "m.json"))
    assert f"sha256:{hashlib.sha256((tmp_path / 'm.json').read_bytes()).hexdigest()}" == told()["digest"]
    (folder / "model.sig").rename(tmp_path / "model.sig")
    hashed = [each.digest.digest_value for each in hashing.Config().hash(folder).resource_descriptors()]
    assert f"sha256:{hashlib.sha256(b''.join(hashed)).hexdigest()}" == told()["oms_digest"]
    (tmp_path / "model.sig").rename(folder / "model.sig")
    run("ben", 0, "verify", str(folder), version)

    # The page that people look at.
    page = Client()
    page.force_login(cast.user("vera"), backend="django.contrib.auth.backends.ModelBackend")
    text = page.get(f"/m/{namespace}/bought/1").content.decode()
    for words in (
        "Bought from Acme AI: the purchase is recorded.",
        "acme-2026",
        "that of model.onnx",
        "report.pdf",
    ):
        assert words in text

    # The gates believe both, until the key is revoked.
    gates: list[dict[str, Any]] = [
        {"gate": "lineage_complete", "parameters": {"require": ["supplier_report"]}},
        {"gate": "signature_valid", "parameters": {"key": "acme-2026"}},
    ]
    simple_policy(cast, "staging", gates=gates, approvals=0)
    asked = run("eve", 0, "promote", version, "staging", "--reason", "As bought.").stdout
    assert "Bought from Acme AI under contract C-17" in " ".join(asked.split())
    run("ada", 0, "keys", "revoke", namespace, "acme-2026", "--reason", "Acme lost it.")
    folder_of(folder, {"conf.txt": b"y"})
    run("ben", 0, "push", str(folder), model, "--signature", str(folder / "model.sig"))
    refused = run("eve", 1, "promote", f"{model}:2", "staging", "--reason", "Newer.").stdout
    assert "Signed with acme-2026, which was revoked on" in " ".join(refused.split())
    assert "no run" in refused
