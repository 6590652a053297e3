"""Signatures: what RFC 8032 and another implementation say of them."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from assay.ed25519 import _L, is_valid

# RFC 8032, section 7.1: tests 1 to 3, public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
            "55141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
            "00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc"
            "027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_vectors_of_the_rfc(public: str, message: str, signature: str) -> None:
    assert is_valid(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message))


def test_it_agrees_with_another_implementation() -> None:
    for i in range(8):
        key = Ed25519PrivateKey.from_private_bytes(bytes([i]) * 32)
        public, message = key.public_key().public_bytes_raw(), bytes(range(i * 9))
        signature = key.sign(message)
        assert is_valid(public, signature, message)
        assert not is_valid(public, signature, message + b"x")
        assert not is_valid(bytes([public[0] ^ 1]) + public[1:], signature, message)
        for position in (0, 31, 32, 63):
            changed = bytearray(signature)
            changed[position] ^= 1 << i
            with pytest.raises(InvalidSignature):
                Ed25519PublicKey.from_public_bytes(public).verify(bytes(changed), message)
            assert not is_valid(public, bytes(changed), message), position


def test_a_signature_has_one_form() -> None:
    key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    public, signature = key.public_key().public_bytes_raw(), key.sign(b"m")
    again = int.from_bytes(signature[32:], "little") + _L
    assert not is_valid(public, signature[:32] + again.to_bytes(32, "little"), b"m")
    for wrong in (b"", signature[:63], signature + b"\x00"):
        assert not is_valid(public, wrong, b"m")
    for no_point in (
        b"",
        public[:31],
        b"\xff" * 32,
        (2).to_bytes(32, "little"),
        ((1 << 255) | 1).to_bytes(32, "little"),
    ):
        assert not is_valid(no_point, signature, b"m")
