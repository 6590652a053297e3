"""Signed notes: what the server says, in a form that others can check (C2SP signed-note and tlog-checkpoint, Ed25519).

assay.example.com/journal          whose journal it is, as it was called when its first checkpoint was made
4711                               how many entries it has
jHhW2b...=                         the root of the tree over them, base64
checkpoint 17
previous 5f0c...                   sha256 of the note of checkpoint 16
at 2026-03-01T12:00:00Z

— assay.example.com/journal Az3g...= the signature over the lines above
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings

_ED25519 = b"\x01"
_SIGNED_BY = "— "


class NoteIsWrong(ValueError):
    """It is no note, or none that one of our keys signed; the message says which."""


@dataclass(frozen=True)
class Key:
    """A public key: whose it is, and its 32 bytes."""

    name: str
    public: bytes

    @property
    def hint(self) -> bytes:
        """The four bytes by which signatures name their key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        """As it is handed to people: `name+1a2b3c4d+base64`."""
        return f"{self.name}+{self.hint.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for what is no key as `manage.py journal key` prints it."""
        name, _, rest = text.strip().partition("+")
        hint, _, encoded = rest.partition("+")
        try:
            kept = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            kept = b""
        key = cls(name, kept[1:])
        if not name or kept[:1] != _ED25519 or len(kept) != 33 or key.hint.hex() != hint:
            raise ValueError(f"{text[:200]!r} is no key as `manage.py journal key` prints it.")
        return key


def secret_key() -> Ed25519PrivateKey:
    """What the server signs with: the 32 bytes of ASSAY_JOURNAL_KEY."""
    return Ed25519PrivateKey.from_private_bytes(settings.JOURNAL_KEY)


def own_key(name: str) -> Key:
    """The public half, under the name of the journal."""
    return Key(name, secret_key().public_key().public_bytes_raw())


def former_keys() -> list[Key]:
    """Those that signed before the present one: ASSAY_JOURNAL_FORMER_KEYS."""
    return [Key.parse(text) for text in settings.JOURNAL_FORMER_KEYS]


def usual_name() -> str:
    """What a journal without checkpoints will be called."""
    return f"{urlsplit(settings.PUBLIC_URL).netloc}/journal"


def sign(text: str, name: str) -> str:
    """The text, which ends with a line feed, as a note of ours."""
    key = own_key(name)
    made = base64.b64encode(key.hint + secret_key().sign(text.encode())).decode()
    return f"{text}\n{_SIGNED_BY}{name} {made}\n"


def opened(note: str, keys: list[Key]) -> tuple[str, Key]:
    """The text of a note, and which of the keys signed it. Raises NoteIsWrong."""
    text, found, signatures = note.rpartition("\n\n")
    if not found:
        raise NoteIsWrong("it is no signed note")
    text += "\n"
    for line in signatures.splitlines():
        name, _, encoded = line.removeprefix(_SIGNED_BY).rpartition(" ")
        try:
            kept = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise NoteIsWrong("its signature is none") from None
        for key in keys:
            if (key.name, key.hint) == (name, kept[:4]):
                try:
                    Ed25519PublicKey.from_public_bytes(key.public).verify(kept[4:], text.encode())
                except InvalidSignature:
                    raise NoteIsWrong("its signature does not belong to what it says") from None
                return text, key
    raise NoteIsWrong("no key of this server signed it")


@dataclass(frozen=True)
class Head:
    """What a checkpoint says."""

    name: str
    size: int
    root: bytes
    number: int
    previous: str
    at: datetime

    @property
    def text(self) -> str:
        """What is signed."""
        return (
            f"{self.name}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"
            f"checkpoint {self.number}\nprevious {self.previous}\n"
            f"at {self.at.astimezone(UTC).isoformat().replace('+00:00', 'Z')}\n"
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises NoteIsWrong for what is no checkpoint of an Assay server."""
        try:
            name, size, root, number, previous, at = text.removesuffix("\n").split("\n")
            head = cls(
                name,
                int(size),
                base64.b64decode(root, validate=True),
                int(number.removeprefix("checkpoint ")),
                previous.removeprefix("previous "),
                datetime.fromisoformat(at.removeprefix("at ")),
            )
        except ValueError:
            raise NoteIsWrong("it is no checkpoint") from None
        if head.text != text:
            raise NoteIsWrong("it is no checkpoint")
        return head


def digest_of(note: str) -> str:
    """By which the next checkpoint names the one before: sha256, hex."""
    return hashlib.sha256(note.encode()).hexdigest()
