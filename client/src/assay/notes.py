"""Signed notes (C2SP signed-note, tlog-checkpoint): what a server says, to be kept and checked anywhere.

Written apart from what the server makes them with, on purpose: an error there is no error here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from assay.ed25519 import is_valid

_ED25519 = 1


class NoteIsWrong(ValueError):
    """It is no note, or not signed by one of the keys; the message says which, to follow `but`."""


@dataclass(frozen=True)
class Key:
    """A public key as `manage.py journal key` prints it: `name+1a2b3c4d+base64`."""

    name: str
    public: bytes

    @property
    def hint(self) -> bytes:
        """By which signatures name their key."""
        return hashlib.sha256(self.name.encode() + bytes([10, _ED25519]) + self.public).digest()[:4]

    @classmethod
    def parse(cls, text: str) -> Key:
        """Raises ValueError for what is no such key."""
        name, hint, encoded = (*text.strip().split("+", 2), "", "")[:3]
        held = base64.b64decode(encoded, validate=True)
        key = cls(name, held[1:])
        if not name or len(held) != 33 or held[0] != _ED25519 or key.hint.hex() != hint:
            raise ValueError("no key")
        return key


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says: whose journal, how many entries, the root of the tree over them, which it is, when."""

    name: str
    size: int
    root: bytes
    number: int
    at: str


def opened(note: str, keys: Iterable[Key]) -> str:
    """The text that one of the keys signed. Raises NoteIsWrong."""
    text, found, signatures = note.rpartition("\n\n")
    if not found:
        raise NoteIsWrong("it is no signed note")
    trusted = {(key.name, key.hint): key for key in keys}
    for line in signatures.splitlines():
        name, _, encoded = line.removeprefix("— ").rpartition(" ")
        try:
            held = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise NoteIsWrong("its signature is none") from None
        if key := trusted.get((name, held[:4])):
            if not is_valid(key.public, held[4:], f"{text}\n".encode()):
                raise NoteIsWrong("its signature is forged: it does not belong to what it says")
            return f"{text}\n"
    raise NoteIsWrong("another key signed it than was given")


def checkpoint_in(text: str) -> Checkpoint:
    """What the text of a checkpoint says. Raises NoteIsWrong."""
    try:
        name, size, root, number, _, at = text.removesuffix("\n").split("\n")
        found = Checkpoint(
            name,
            int(size),
            base64.b64decode(root, validate=True),
            int(number.removeprefix("checkpoint ")),
            at.removeprefix("at "),
        )
    except ValueError:
        raise NoteIsWrong("it is no checkpoint") from None
    if not size.isascii() or not size.isdigit() or len(found.root) != 32:
        raise NoteIsWrong("it is no checkpoint")
    return found
