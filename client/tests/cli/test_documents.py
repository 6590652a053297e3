"""What commands about manifests, signatures, keys and suppliers send and print."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assay.cli import app
from client.tests.cli.test_commands import Assay, assay
from client.tests.stand_in import VERSION, Answer, Asked, StandIn

__all__ = ["assay"]
KEYS = "/api/v1/namespaces/fraud/keys"
SIGNATURE = b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The version's files, and the signature where model_signing may have put it."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m/model.skops").write_bytes(b"0123456789")
    (tmp_path / "m/model.sig").write_bytes(SIGNATURE)
    return tmp_path / "m"


@pytest.fixture
def registered(stand_in: StandIn) -> StandIn:
    """The stand-in, which registers versions."""
    versions = VERSION.rpartition("/")[0]
    stand_in.routes["POST", versions] = lambda asked: Answer.of(stand_in.version(), 202)
    return stand_in


def sent(stand_in: StandIn) -> Asked:
    return next(asked for asked in stand_in.asked if asked.path.endswith("/versions"))


def test_the_manifest_hashes_to_the_digest(assay: Assay, stand_in: StandIn, tmp_path: Path) -> None:
    text = CliRunner().invoke(app, ["manifest", "fraud/card:1"]).stdout_bytes
    assert "sha256:" + hashlib.sha256(text).hexdigest() == stand_in.version()["digest"]
    saved = tmp_path / "card-1.manifest.json"
    result = assay("manifest", "fraud/card:1", "-o", str(saved))
    assert result.exit_code == 0
    assert stand_in.version()["digest"] in result.stdout
    assert saved.read_bytes() == text


def test_a_manifest_of_another_version_is_refused(assay: Assay, stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.routes["GET", f"{VERSION}/manifest"] = lambda asked: Answer(200, b'{"files":[],"v":1}')
    result = assay("manifest", "fraud/card:1", "-o", str(tmp_path / "x"))
    assert result.exit_code == 1
    assert "The manifest received for fraud/card:1 has sha256:" in " ".join(result.stderr.split())
    assert not (tmp_path / "x").exists()


def test_a_saved_manifest_needs_no_server(
    assay: Assay, stand_in: StandIn, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, digest = tmp_path / "card-1.manifest.json", stand_in.version()["digest"]
    assay("manifest", "fraud/card:1", "-o", str(saved))
    monkeypatch.delenv("ASSAY_URL")
    monkeypatch.delenv("ASSAY_TOKEN")
    asked = len(stand_in.asked)
    (folder / "model.sig").unlink()
    result = assay("verify", str(folder), "--manifest", str(saved), "--digest", digest)
    assert result.exit_code == 0
    assert "every byte agrees" in " ".join(result.stdout.split())
    (folder / "model.skops").write_bytes(b"012345678X")
    result = assay("verify", str(folder), "--manifest", str(saved))
    assert (result.exit_code, "differs  model.skops" in result.stdout) == (1, True)
    assert assay("verify", str(folder), "--manifest", str(saved), "--digest", "sha256:0").exit_code == 1
    for spoiled in (
        saved.read_bytes() + b"\n",
        b"[]",
        b"\xff",
    ):
        (tmp_path / "spoiled").write_bytes(spoiled)
        result = assay("verify", str(folder), "--manifest", str(tmp_path / "spoiled"))
        assert result.exit_code == 1
        assert "is not a manifest" in " ".join(result.stderr.split())
    assert len(stand_in.asked) == asked


def test_verify_takes_a_version_or_a_manifest(assay: Assay, folder: Path) -> None:
    assert assay("verify", str(folder)).exit_code == 2
    assert assay("verify", str(folder), "fraud/card:1", "--manifest", "x").exit_code == 2
    assert assay("verify", str(folder), "fraud/card:1", "--digest", "x").exit_code == 2


def test_a_signature_in_the_folder_is_kept_beside_the_files(
    assay: Assay, registered: StandIn, folder: Path
) -> None:
    result = assay("push", str(folder), "fraud/card", "--signature", str(folder / "model.sig"))
    assert result.exit_code == 0, result.output
    assert set(registered.arrived()) == {"model.skops"}
    assert sent(registered).json["signature"] == SIGNATURE.decode()
    # Kept, it is not one more file either.
    assert assay("verify", str(folder), "fraud/card:1").exit_code == 1
    registered.attached = [SIGNATURE]
    assert assay("verify", str(folder), "fraud/card:1").exit_code == 0


def test_what_is_no_signature_is_not_sent(assay: Assay, registered: StandIn, folder: Path) -> None:
    for path in (folder / "model.skops", folder / "absent.sig", folder):
        (folder / "model.skops").write_bytes(b"no JSON")
        assert assay("push", str(folder), "fraud/card", "--signature", str(path)).exit_code == 1
    itself = assay("push", str(folder / "model.sig"), "fraud/card", "--signature", str(folder / "model.sig"))
    assert "is the signature itself" in " ".join(itself.stderr.split())
    assert registered.asked == []


def test_a_model_that_was_bought(assay: Assay, registered: StandIn, folder: Path, tmp_path: Path) -> None:
    kept: list[Asked] = []

    def keep(asked: Asked) -> Answer:
        kept.append(asked)
        return Answer.of({}, 201)

    registered.routes["POST", f"{VERSION}/attachments"] = keep
    (tmp_path / "report.pdf").write_bytes(b"fine")
    result = assay(
        "push", str(folder), "fraud/card", "--supplier", "Acme", "--contract", "C-17", "--supplier-digest",
        "sha256:" + "a" * 64, "--supplier-report", str(tmp_path / "report.pdf"),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    supply = {"supplier": "Acme", "contract": "C-17", "digest": "sha256:" + "a" * 64}
    assert sent(registered).json["supply"] == supply
    (report,) = kept
    assert (report.query, report.body) == ({"kind": ["supplier_report"], "name": ["report.pdf"]}, b"fine")
    assert assay("push", str(folder), "fraud/card", "--contract", "C-17").exit_code == 2
    assert assay("push", str(folder), "fraud/card", "--supplier", "Acme", "--run", "r1").exit_code == 2


def test_show_says_who_signed_and_who_sold(assay: Assay, stand_in: StandIn) -> None:
    version = {
        **stand_in.version(),
        "supply": {
            "supplier": "Acme", "origin": "https://acme.example/m", "contract": "C-17",
            "digest": "sha256:" + "ab" * 32, "digest_of": None, "report": True,
        },
        "signature": {"state": "unknown_key", "key": None, "sentence": "Signed with a key it does not name."},
    }  # fmt: skip
    stand_in.routes["GET", "/api/v1/resolve"] = lambda asked: Answer.of(version)
    shown = " ".join(assay("show", "fraud/card:1").stdout.split())
    for words in (
        "bought from Acme",
        "contract C-17",
        "that of nothing in this version",
        "signature unknown key",
    ):
        assert words in shown


def key(name: str, revoked: str | None = None) -> dict[str, object]:
    return {
        "id": f"id-of-{name}", "namespace": "fraud", "name": name, "fingerprint": "ab" * 32, "pem": "",
        "added_by": "ada", "added_at": "2026-11-23T10:00:00Z", "revoked_by": None, "revoked_at": revoked,
    }  # fmt: skip


def test_keys(assay: Assay, stand_in: StandIn, tmp_path: Path) -> None:
    pem = tmp_path / "release.pub"
    pem.write_text("-----BEGIN PUBLIC KEY-----")
    stand_in.routes["POST", KEYS] = lambda asked: Answer.of(key("release"), 201)
    assert "release signs for fraud from now on." in assay("keys", "add", "fraud", "release", str(pem)).stdout
    assert stand_in.asked[-1].json == {"name": "release", "pem": "-----BEGIN PUBLIC KEY-----"}
    listed = {"results": [key("old", "2026-11-24T10:00:00Z"), key("release")], "next": None}
    stand_in.routes["GET", KEYS] = lambda asked: Answer.of(listed)
    lines = assay("keys", "list", "fraud").stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["old", "abababababab", "revoked"],
        ["release", "abababababab", "valid"],
    ]
    stand_in.routes["DELETE", "/api/v1/keys/id-of-release"] = lambda asked: Answer.of(key("release", "now"))
    assert assay("keys", "revoke", "fraud", "release", "--reason", "lost").exit_code == 0
    assert json.loads(stand_in.asked[-1].body) == {"reason": "lost"}
    unknown = assay("keys", "revoke", "fraud", "other", "--reason", "lost")
    assert unknown.exit_code == 2
    assert "it has old, release." in " ".join(unknown.stderr.split())
