"""What a signature is worth, made by the real library and then spoiled in every way."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import hashing, verifying

from registry.artifacts.attachments import LARGEST_SIGNATURE
from registry.artifacts.manifests import Entry, oms_digest
from registry.artifacts.signatures import Judged, judge
from registry.artifacts.signing_keys import read_public_key
from registry.models import SigningKey
from tests.registry.artifacts.signing import FILES, a_key, changed, folder_of, pem_of, sign

KEY = a_key()


def entries(files: dict[str, bytes] | None = None) -> list[Entry]:
    given = FILES if files is None else files
    return [Entry(path, len(content), hashlib.sha256(content).hexdigest()) for path, content in given.items()]


def believed(
    key: ec.EllipticCurvePrivateKey = KEY, name: str = "release", revoked: bool = False
) -> SigningKey:
    pem, fingerprint = read_public_key(pem_of(key))
    at = datetime(2026, 3, 1, tzinfo=UTC) if revoked else None
    return SigningKey(name=name, pem=pem, fingerprint=fingerprint, revoked_at=at)


def told(judged: Judged) -> tuple[str, str]:
    return str(judged.verdict), judged.sentence


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The folder of FILES, signed with KEY."""
    return sign(folder_of(tmp_path_factory.mktemp("signed") / "model"), KEY)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_it_works(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    key = a_key(curve)
    bundle = sign(folder_of(tmp_path / "model"), key)
    judged = judge(bundle, [believed(name="other"), believed(key)], entries())
    assert told(judged) == ("valid", "Signed with release, as it is: 4 files.")
    assert judged.key is not None
    assert judged.key.name == "release"


def test_the_librarys_own_verdict_is_ours(tmp_path: Path, signed: bytes) -> None:
    """The same folders, judged by the library with the bytes at hand, and by us without."""
    public, written = tmp_path / "key.pub", tmp_path / "x.sig"
    public.write_text(pem_of(KEY))
    written.write_bytes(signed)
    changes: list[dict[str, bytes | None]] = [
        {}, {"model.bin": b"other"}, {"more.txt": b"x"}, {"conf.txt": None}, {".gitignore": b"x"},
    ]  # fmt: skip
    for number, change in enumerate(changes):
        files = {path: content for path, content in {**FILES, **change}.items() if content is not None}
        folder = folder_of(tmp_path / f"model{number}", files)
        try:
            verifying.Config().use_elliptic_key_verifier(public_key=public).verify(folder, written)
            library = "valid"
        except ValueError:
            library = "invalid"
        assert judge(signed, [believed()], entries(files)).verdict == library, change


def test_the_openssf_digest_is_the_subject_that_is_signed(signed: bytes) -> None:
    payload = json.loads(base64.b64decode(json.loads(signed)["dsseEnvelope"]["payload"]))
    assert payload["subject"][0]["digest"]["sha256"] == oms_digest(entries())
    assert [each["name"] for each in payload["predicate"]["resources"]][:2] == [
        "conf/a.json",
        "conf/größe.txt",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model.bin": b"other"}, "other bytes were signed as model.bin"),
        ({"added.py": b"x"}, "not signed: added.py"),
        ({"conf.txt": None}, "signed, but not here: conf.txt"),
        (
            {"model.bin": None, "model2.bin": b"weights"},
            "not signed: model2.bin; signed, but not here: model.bin",
        ),
        ({f"n{n}": b"x" for n in range(9)}, "not signed: n0, n1, n2 and 6 more"),
    ],
)
def test_what_differs_is_named(signed: bytes, change: dict[str, bytes | None], said: str) -> None:
    files = {path: content for path, content in {**FILES, **change}.items() if content is not None}
    expected = ("invalid", f"Signed with release, but not this version: {said}.")
    assert told(judge(signed, [believed()], entries(files))) == expected


def test_a_signature_of_another_version_is_invalid(tmp_path: Path) -> None:
    replayed = sign(folder_of(tmp_path / "model", {"model.bin": b"old and approved"}), KEY)
    assert judge(replayed, [believed()], entries({"model.bin": b"new and not"})).verdict == "invalid"


def test_a_key_that_is_not_believed(signed: bytes) -> None:
    verdict, sentence = told(judge(signed, [believed(a_key())], entries()))
    assert verdict == "unknown_key"
    assert "none that this namespace believes" in sentence
    judged = judge(signed, [believed(revoked=True)], entries())
    assert told(judged) == ("unknown_key", "Signed with release, which was revoked on 2026-03-01.")


def test_a_bundle_that_names_another_key_than_its_own(signed: bytes) -> None:
    other = believed(a_key(), "other")
    material = {"publicKey": {"hint": other.fingerprint}, "tlogEntries": []}
    forged = changed(signed, verificationMaterial=material)
    assert told(judge(forged, [other, believed()], entries())) == (
        "invalid",
        "It names the key other, which did not make it.",
    )
    # The key it names is unknown, and one that made it is not.
    verdict, sentence = told(judge(forged, [believed()], entries()))
    assert (verdict, sentence[-26:]) == ("invalid", "but was made with release.")


def test_an_old_bundle_names_no_key(signed: bytes) -> None:
    nameless = changed(signed, verificationMaterial={"publicKey": {}, "tlogEntries": []})
    assert judge(nameless, [believed(a_key(), "other"), believed()], entries()).verdict == "valid"
    assert judge(nameless, [believed(a_key())], entries()).verdict == "unknown_key"
    assert judge(nameless, [believed(revoked=True)], entries()).verdict == "unknown_key"


def test_a_model_of_one_file(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m", {"model.bin": b"weights"})
    bundle = sign(folder / "model.bin", KEY)
    assert judge(bundle, [believed()], entries({"model.bin": b"weights"})).verdict == "valid"
    assert judge(bundle, [believed()], entries({"model.bin": b"other"})).verdict == "invalid"
    assert judge(bundle, [believed()], entries({"model.bin": b"weights", "b": b""})).verdict == "invalid"


def test_what_the_signer_left_out_is_said(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "model", {**FILES, "notes/n.txt": b"n"})
    bundle = sign(folder, KEY, ignore=("notes",))
    files = {**FILES, "notes/other.txt": b"o", ".gitattributes": b"g"}
    assert told(judge(bundle, [believed()], entries(files))) == (
        "valid",
        "Signed with release, as it is: 4 files; left out by who signed: .gitattributes, notes/other.txt.",
    )
    assert judge(bundle, [believed()], entries({**FILES, "notes.txt": b"o"})).verdict == "invalid"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (hashing.Config().use_file_serialization(hashing_algorithm="blake2"), "files by blake2"),
        (hashing.Config().use_shard_serialization(), "It signs shards by"),
        (hashing.Config(), "leaves out every file"),
    ],
)
def test_what_cannot_be_compared(tmp_path: Path, how: hashing.Config, said: str) -> None:
    ignore = ("model.bin", "conf", "conf.txt") if "every" in said else ()
    bundle = sign(folder_of(tmp_path / "model"), KEY, how=how, ignore=ignore)
    verdict, sentence = told(judge(bundle, [believed()], entries()))
    assert verdict == "invalid"
    assert said in sentence


# ---- bundles that nobody's tool wrote


def enveloped(payload: Any, **more: Any) -> Callable[[bytes], bytes]:
    """A payload of our choice, signed by the believed key all the same."""

    def make(signed: bytes) -> bytes:
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        kind = b"application/vnd.in-toto+json"
        pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(raw), raw)
        signature = KEY.sign(pae, ec.ECDSA(hashes.SHA256()))
        envelope = {
            "payload": base64.b64encode(raw).decode(),
            "payloadType": kind.decode(),
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
            **more,
        }
        return changed(signed, dsseEnvelope=envelope)

    return make


def with_envelope(**more: Any) -> Callable[[bytes], bytes]:
    return lambda signed: changed(signed, dsseEnvelope={**json.loads(signed)["dsseEnvelope"], **more})


def with_material(**more: Any) -> Callable[[bytes], bytes]:
    return lambda signed: changed(signed, verificationMaterial=more)


def statement(**predicate: Any) -> dict[str, Any]:
    resources = predicate.pop("resources", [])
    digest = hashlib.sha256(b"".join(bytes.fromhex(r["digest"]) for r in resources)).hexdigest()
    made = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "m", "digest": {"sha256": digest}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"serialization": {**made, **predicate}, "resources": resources},
    }


def resource(name: str, content: bytes, algorithm: str = "sha256") -> dict[str, str]:
    return {"name": name, "algorithm": algorithm, "digest": hashlib.sha256(content).hexdigest()}


DEEP = b'{"mediaType": ' + b"[" * 200_000
GARBAGE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "bytes": lambda _: b"\xff\xfe\x00",
    "text": lambda _: b"hello",
    "number": lambda _: b"1",
    "list": lambda _: b"[]",
    "deep": lambda _: DEEP,
    "huge": lambda _: b" " * (LARGEST_SIGNATURE + 1),
    "long integer": lambda _: b'{"mediaType": ' + b"9" * 100_000 + b"}",
    "empty object": lambda _: b"{}",
    "media type": lambda s: changed(s, mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"),
    "media type of a wrong type": lambda s: changed(s, mediaType=["x"]),
    "no material": lambda s: changed(s, verificationMaterial=None),
    "no envelope": lambda s: changed(s, dsseEnvelope=None),
    "message signature": lambda s: changed(s, dsseEnvelope=None, messageSignature={}),
    "certificate": with_material(certificate={"rawBytes": "AAAA"}, tlogEntries=[]),
    "hint of a wrong type": with_material(publicKey={"hint": {"a": 1}}, tlogEntries=[]),
    "hint that is no digest": with_material(publicKey={"hint": "release"}, tlogEntries=[]),
    "log entries of a wrong type": lambda s: with_material(
        publicKey=json.loads(s)["verificationMaterial"]["publicKey"], tlogEntries=[{"logIndex": "x"}]
    )(s),
    "no signatures": with_envelope(signatures=[]),
    "two signatures": with_envelope(signatures=[{"sig": "AAAA"}, {"sig": "AAAA"}]),
    "signatures of a wrong type": with_envelope(signatures={"sig": "AAAA"}),
    "a signature of a wrong type": with_envelope(signatures=[7]),
    "no bytes as signature": with_envelope(signatures=[{"sig": "", "keyid": ""}]),
    "other bytes as signature": with_envelope(signatures=[{"sig": "MAYCAQECAQE=", "keyid": ""}]),
    "payload that is no base64": with_envelope(payload="***"),
    "another payload": with_envelope(payload=base64.b64encode(b"{}").decode()),
    "payload type": with_envelope(payloadType="text/plain"),
    "signed: no JSON": enveloped(b"\xff"),
    "signed: deep": enveloped(b"[" * 100_000),
    "signed: a list": enveloped([]),
    "signed: nothing": enveloped({}),
    "signed: another statement": enveloped({**statement(), "_type": "https://in-toto.io/Statement/v0.1"}),
    "signed: another predicate": enveloped(
        {**statement(), "predicateType": "https://slsa.dev/provenance/v1"}
    ),
    "signed: no files": enveloped(statement()),
    "signed: no files, all ignored": enveloped(statement(ignore_paths=["."])),
    "signed: another subject": enveloped(
        {
            **statement(resources=[resource("a", b"")]),
            "subject": [{"name": "m", "digest": {"sha256": "0" * 64}}],
        }
    ),
    "signed: ignored paths of a wrong type": enveloped(statement(ignore_paths=7)),
    "signed: a method of its own": enveloped(statement(method="none")),
    "signed: digests of its own": enveloped(
        statement(resources=[resource(path, content, "md5") for path, content in sorted(FILES.items())])
    ),
    "signed: names nobody keeps": enveloped(
        statement(resources=[resource(f"a\x00\x1b[31m{'x' * 9000}", b""), resource("b\ud800", b"")])
    ),
    "signed: one name twice": enveloped(
        statement(resources=[resource("conf/gro\u0308ße.txt", b"y"), resource("conf/größe.txt", b"z")])
    ),
}


@pytest.mark.parametrize("spoiled", GARBAGE.values(), ids=GARBAGE)
def test_a_hostile_bundle_is_invalid_with_a_sentence(
    signed: bytes, spoiled: Callable[[bytes], bytes]
) -> None:
    judged = judge(spoiled(signed), [believed()], entries())
    assert judged.verdict == "invalid"
    assert judged.sentence.endswith(".")
    assert judged.sentence.isprintable()
    assert len(judged.sentence) < 1500


def test_the_harness_signs_what_is_believed() -> None:
    """The statements above fail for what they say, not for how they are signed."""
    good = statement(resources=[resource(path, content) for path, content in sorted(FILES.items())])
    base = json.dumps(
        {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": believed().fingerprint}, "tlogEntries": []},
        }
    ).encode()
    assert judge(enveloped(good)(base), [believed()], entries()).verdict == "valid"
