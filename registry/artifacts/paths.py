"""Logical paths: what a file in a manifest may be called. The client has the same rules."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from registry.errors import DomainError

MOST_BYTES = 1024
MOST_PART_BYTES = 255
LOOKALIKES = frozenset("\\\u2044\u2215\u2216\u29f5\u29f8\u29f9")
DRIVE = re.compile(r"[a-z]:|[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
ESCAPED = re.compile(r"%u[0-9a-f]{4}", re.IGNORECASE)
# What Windows opens in the place of a file, whatever the folder and the extension.
DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[1-9]|lpt[1-9])\s*(?:[.:]|$)", re.IGNORECASE)
# Control, format (zero-width, bidirectional), surrogate, private and unassigned characters; line separators.
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class PathRefused(DomainError):
    """A path that means something else to another program, or that no file system can hold."""

    code = "path-refused"
    status = 422


def check_path(path: str, *, field: str | None = None) -> str:
    """The path in NFC. Raises PathRefused, naming the rule."""
    normal = unicodedata.normalize("NFC", path)
    for rule in _broken_rules(normal):
        raise PathRefused(f"{path[:200]!r}: {rule}", field=field)
    return normal


def _broken_rules(normal: str) -> Iterator[str]:
    """The rules that a path breaks, as it stands or as a program reads it that decodes or folds characters."""
    decoded = unquote(normal, errors="replace")
    folded = unicodedata.normalize("NFKC", decoded)
    parts = normal.split("/")
    if any(unicodedata.category(character) in UNSEEN for character in normal + decoded):
        yield "a path may hold no control, invisible or unassigned character."
        return  # what is no text has no length in bytes either
    if not normal or len(normal.encode()) > MOST_BYTES:
        yield f"a path has 1 to {MOST_BYTES} bytes."
    if (
        not LOOKALIKES.isdisjoint(normal + decoded)
        or "\\" in folded
        or folded.count("/") != normal.count("/")
    ):
        yield "folders are separated by `/`: a path may hold no backslash, and nothing that is read as a slash."
    if DRIVE.match(normal) or DRIVE.match(folded):
        yield "a path begins with no drive letter and no scheme."
    if ESCAPED.search(normal) or (decoded != normal and not {"%", "\ufffd"}.isdisjoint(decoded)):
        yield "a path may hold no percent-encoding of a percent sign or of what is no text."
    if any(not part.partition(";")[0].strip(" .") for part in folded.split("/")):
        yield "a path is relative and has no empty, `.` or `..` part, in no encoding."
    if any(part != part.strip() or part.endswith(".") for part in parts):
        yield "a part of a path neither begins nor ends with a space, nor ends with a dot."
    if any(DEVICE.match(part.strip()) for part in folded.split("/")):
        yield "CON, PRN, AUX, NUL, COM1 and the like are devices on Windows: no part of a path is called so."
    if any(len(part.encode()) > MOST_PART_BYTES for part in parts):
        yield f"a part of a path has at most {MOST_PART_BYTES} bytes."


def check_collisions(paths: Iterable[str]) -> None:
    """Raises PathRefused when two paths are one on some file system, or one is the folder of another."""
    seen: dict[str, str] = {}
    for path in paths:
        key = _folded(path)
        if key in seen:
            raise PathRefused(
                f"{seen[key]!r} and {path!r} are one name where case and Unicode form do not count.",
                field="files",
            )
        seen[key] = path
    for key, path in seen.items():
        parent = key.rpartition("/")[0]
        while parent:
            if parent in seen:
                raise PathRefused(
                    f"{seen[parent]!r} is a file, and {path!r} needs a folder of that name.", field="files"
                )
            parent = parent.rpartition("/")[0]


def _folded(path: str) -> str:
    """Equal for paths that a file system blind to case or normalisation cannot tell apart."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
