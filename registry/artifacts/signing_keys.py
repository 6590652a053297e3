"""Public keys as OpenSSF model_signing takes them: elliptic curves, named by a digest of their PEM."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from registry.errors import InvalidInput

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
LONGEST_PEM = 4096
ACCEPTED = "A signing key is the PEM of an elliptic-curve public key on P-256, P-384 or P-521"


def read_public_key(pem: str) -> tuple[str, str]:
    """The key's PEM as everybody writes it, and the hex digest of that, by which signatures name it.

    Raises InvalidInput.
    """
    if "PRIVATE KEY" in pem:
        raise InvalidInput(
            f"{ACCEPTED}; this is a private key. Send it to nobody, and make another.", field="pem"
        )
    if len(pem) > LONGEST_PEM:
        raise InvalidInput(f"{ACCEPTED}, of at most {LONGEST_PEM} characters.", field="pem")
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidInput(f"{ACCEPTED}; this is none.", field="pem") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise InvalidInput(f"{ACCEPTED}; this is a key of another kind.", field="pem")
    text = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode(), hashlib.sha256(text).hexdigest()
