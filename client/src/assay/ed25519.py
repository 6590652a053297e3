"""Verifying Ed25519 signatures (RFC 8032, section 5.1.7), where nothing is installed but Python: no secret is handled
here, so that it takes a few milliseconds each is all that matters."""

from __future__ import annotations

import hashlib

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
# Extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x*y = T/Z.
_Point = tuple[int, int, int, int]
_NEUTRAL: _Point = (0, 1, 1, 0)


def is_valid(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether who has the secret half of `public` (32 bytes) signed the message."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, commitment = _point(public), signature[:32]
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or scalar >= _L:
        return False
    challenge = int.from_bytes(hashlib.sha512(commitment + public + message).digest(), "little") % _L
    x, y, z, t = key
    return _bytes(_sum_of_multiples(scalar, _BASE, challenge, (-x % _P, y, z, -t % _P))) == commitment


def _add(a: _Point, b: _Point) -> _Point:
    left = (a[1] - a[0]) * (b[1] - b[0]) % _P
    right = (a[1] + a[0]) * (b[1] + b[0]) % _P
    c, d = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    e, f, g, h = right - left, d - c, d + c, right + left
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _sum_of_multiples(m: int, a: _Point, n: int, b: _Point) -> _Point:
    """m*a + n*b."""
    both, found = _add(a, b), _NEUTRAL
    for bit in range(max(m.bit_length(), n.bit_length()) - 1, -1, -1):
        found = _add(found, found)
        match (m >> bit & 1, n >> bit & 1):
            case (1, 1):
                found = _add(found, both)
            case (1, 0):
                found = _add(found, a)
            case (0, 1):
                found = _add(found, b)
    return found


def _point(encoded: bytes) -> _Point | None:
    """The point that 32 bytes stand for; None when they stand for none."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if x * x % _P != square or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _bytes(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    x, y = x * inverse % _P, y * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


_BASE = _point((4 * pow(5, -1, _P) % _P).to_bytes(32, "little")) or _NEUTRAL
