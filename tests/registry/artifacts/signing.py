"""Signing as a supplier or a release manager does: with OpenSSF model_signing itself, on a real folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from model_signing import hashing, signing

FILES = {"model.bin": b"weights", "conf/a.json": b"{}", "conf.txt": b"x", "conf/gr\u00f6\u00dfe.txt": b"y"}


def a_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def pem_of(key: ec.EllipticCurvePrivateKey) -> str:
    """The public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def folder_of(root: Path, files: dict[str, bytes] | None = None) -> Path:
    """A folder with these files."""
    for path, content in (FILES if files is None else files).items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return root


def sign(
    folder: Path,
    key: ec.EllipticCurvePrivateKey,
    *,
    how: hashing.Config | None = None,
    ignore: tuple[str, ...] = (),
) -> bytes:
    """The signature that the library writes of a folder, or of a file."""
    private, written = folder.parent / "key.pem", folder.parent / "model.sig"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    config = how or hashing.Config()
    if ignore:
        config.set_ignored_paths(paths=ignore)
    signing.Config().use_elliptic_key_signer(private_key=private).set_hashing_config(config).sign(
        folder, written
    )
    private.unlink()
    return written.read_bytes()


def changed(bundle: bytes, **more: Any) -> bytes:
    """The bundle with other values at the top."""
    return json.dumps({**json.loads(bundle), **more}).encode()
