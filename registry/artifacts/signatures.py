"""What an OpenSSF model_signing signature is worth: whose it is, and whether it is over this manifest.

No bytes of a model are read: what was signed is a list of files with their digests, and so is a sealed manifest.
The bundle is whatever somebody sent. The library reads it, from memory, and whatever it raises on it is a reason
to call it invalid.
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, cast

from cryptography.exceptions import InvalidSignature
from model_signing import manifest as signed_manifests
from model_signing._signing.sign_ec_key import Verifier
from model_signing._signing.sign_sigstore_pb import Signature

from registry.artifacts.attachments import LARGEST_SIGNATURE
from registry.artifacts.manifests import GIT_PATHS, Entry
from registry.models import SignatureCheck, SigningKey

logger = logging.getLogger(__name__)
Verdict = SignatureCheck.Verdict
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
HINT = re.compile(r"[0-9a-f]{64}")
NAMED = 3
ACCEPTED = "accepted is what `model_signing sign key` writes"


@dataclass(frozen=True)
class Judged:
    """What came of verifying a signature; `key` is the one it was made with, where that is known."""

    verdict: str
    sentence: str
    key: SigningKey | None = None


class Unfit(Exception):
    """The bundle is no signature that can be verified; the sentence says how."""


class _Held:
    """Text in memory, for a library that reads paths."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read_text(self, encoding: str = "utf-8") -> str:
        return self._text

    def read_bytes(self) -> bytes:
        return self._text.encode()


def judge(bundle: bytes, keys: Sequence[SigningKey], entries: Sequence[Entry]) -> Judged:
    """Verify a bundle with the keys of a namespace, the revoked ones among them, and compare what it signs."""
    judged = _judge(bundle, keys, entries)
    # Names in it may hold what no database keeps and no screen should show.
    said = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in judged.sentence)
    return replace(judged, sentence=said)


def _judge(bundle: bytes, keys: Sequence[SigningKey], entries: Sequence[Entry]) -> Judged:
    try:
        text, hint = _read(bundle)
        key = _key_of(text, hint, keys)
    except Unfit as unfit:
        return Judged(Verdict.INVALID, str(unfit))
    if isinstance(key, Judged):
        return key
    try:
        signed = _verified(text, key)
        covered, left_out = _covered(signed, entries)
    except InvalidSignature:
        return Judged(Verdict.INVALID, f"It names the key {key.name}, which did not make it.", key)
    except Unfit as unfit:
        return Judged(Verdict.INVALID, str(unfit), key)
    if wrong := _differences(signed, covered):
        return Judged(Verdict.INVALID, f"Signed with {key.name}, but not this version: {wrong}.", key)
    files = "1 file" if len(covered) == 1 else f"{len(covered)} files"
    said = f"Signed with {key.name}, as it is: {files}"
    beside = f"; left out by who signed: {_named(left_out)}" if left_out else ""
    return Judged(Verdict.VALID, f"{said}{beside}.", key)


def _read(bundle: bytes) -> tuple[str, str]:
    """The bundle's text and the key it names ("" for none). Raises Unfit."""
    if len(bundle) > LARGEST_SIGNATURE:
        raise Unfit(f"It has {len(bundle)} bytes; a signature has at most {LARGEST_SIGNATURE}.")
    try:
        text = bundle.decode()
        read = json.loads(text)
    except (ValueError, RecursionError):
        raise Unfit(f"It is no JSON; {ACCEPTED}.") from None
    if not isinstance(read, dict) or read.get("mediaType") != MEDIA_TYPE:
        raise Unfit(f"It is no Sigstore bundle of version 0.3; {ACCEPTED}.")
    material, envelope = read.get("verificationMaterial"), read.get("dsseEnvelope")
    if not isinstance(material, dict) or not isinstance(envelope, dict):
        raise Unfit(f"It holds no signature with its verification material; {ACCEPTED}.")
    if not isinstance(key := material.get("publicKey"), dict):
        raise Unfit(f"It was made with a certificate or an identity, not with a key; {ACCEPTED}.")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise Unfit(f"It holds another number of signatures than one; {ACCEPTED}.")
    hint = key.get("hint") or ""
    if hint and not (isinstance(hint, str) and HINT.fullmatch(hint)):
        raise Unfit("It names its key by something that is no sha256.")
    return text, hint


def _key_of(text: str, hint: str, keys: Sequence[SigningKey]) -> SigningKey | Judged:
    """The key to believe it by, or what is to be said without one. Raises Unfit."""
    believed = [key for key in keys if key.revoked_at is None]
    for key in keys:
        if hint == key.fingerprint:
            if key.revoked_at is None:
                return key
            said = f"Signed with {key.name}, which was revoked on {key.revoked_at:%Y-%m-%d}."
            return Judged(Verdict.UNKNOWN_KEY, said, key)
    # Old bundles name no key, and forged ones another than theirs.
    made_with = next((key for key in believed if _made_with(text, key)), None)
    if hint and made_with:
        raise Unfit(f"It names the key {hint[:12]}…, but was made with {made_with.name}.")
    if made_with:
        return made_with
    named = f"the key {hint[:12]}…" if hint else "a key that it does not name"
    return Judged(
        Verdict.UNKNOWN_KEY,
        f"Signed with {named}, which is none that this namespace believes: an administrator may add it.",
    )


def _made_with(text: str, key: SigningKey) -> bool:
    """Whether the key made the signature, whatever key it names."""
    nameless = json.loads(text)
    nameless["verificationMaterial"]["publicKey"] = {}
    try:
        _verified(json.dumps(nameless), key)
    except InvalidSignature:
        return False
    return True


def _verified(text: str, key: SigningKey) -> signed_manifests.Manifest:
    """What the key signed. Raises InvalidSignature when it did not, Unfit when nobody could have."""
    try:
        signature = Signature.read(cast(Path, _Held(text)))
        return Verifier(cast(Path, _Held(key.pem))).verify(signature)
    except InvalidSignature:
        raise
    except Exception as error:
        logger.info("a signature could not be read: %s", type(error).__name__, exc_info=True)
        raise Unfit(f"It cannot be read ({type(error).__name__}); {ACCEPTED}.") from None


def _covered(signed: signed_manifests.Manifest, entries: Iterable[Entry]) -> tuple[dict[str, str], list[str]]:
    """Our files that the signature is about, path -> hex digest, and the paths that it leaves out. Raises Unfit."""
    made: dict[str, Any] = signed.serialization_type
    if made.get("method") != "files" or made.get("hash_type") != "sha256":
        raise Unfit(
            f"It signs {made.get('method')} by {made.get('hash_type')}, which cannot be compared without reading "
            "the model; accepted are whole files by sha256, as `model_signing sign` does unless told otherwise."
        )
    ignored = {str(PurePosixPath(_normal(str(path)))) for path in made.get("ignore_paths", [])} | GIT_PATHS
    covered, left_out = {}, []
    for entry in entries:
        path = PurePosixPath(entry.path)
        if ignored.isdisjoint({entry.path, *map(str, path.parents)}):
            covered[entry.path] = entry.sha256
        else:
            left_out.append(entry.path)
    if not covered:
        raise Unfit("It leaves out every file of this version, so it says nothing of it.")
    return covered, sorted(left_out)


def _differences(signed: signed_manifests.Manifest, covered: dict[str, str]) -> str:
    """What is signed and what is here, where they differ; "" where they do not."""
    theirs: dict[str, str] = {}
    for item in signed.resource_descriptors():
        path = _normal(str(item.identifier))
        if path in theirs:
            return f"{path} is signed twice"
        theirs[path] = item.digest.digest_hex if item.digest.algorithm == "sha256" else ""
    # A model of one file, signed as that file, has no name of its own.
    if set(theirs) == {"."} and len(covered) == 1:
        theirs = {next(iter(covered)): theirs["."]}
    said = []
    if other := [path for path in covered if path in theirs and theirs[path] != covered[path]]:
        said.append(f"other bytes were signed as {_named(other)}")
    if extra := [path for path in covered if path not in theirs]:
        said.append(f"not signed: {_named(extra)}")
    if missing := [path for path in theirs if path not in covered]:
        said.append(f"signed, but not here: {_named(missing)}")
    return "; ".join(said)


def _normal(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _named(paths: Sequence[str]) -> str:
    """Some of the paths, and how many more there are. A signed name may be anything: long ones are cut."""
    shown = ", ".join(path if len(path) <= 200 else f"{path[:200]}…" for path in sorted(paths)[:NAMED])
    return shown + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")
