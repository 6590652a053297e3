"""Logical paths: what a file in a manifest may be called. The same rules as the client's, and some more."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from registry.errors import DomainError

MOST_BYTES = 1024
MOST_PART_BYTES = 255
ENCODED = re.compile(r"%(?:2e|2f|5c|00|25)", re.IGNORECASE)
DRIVE = re.compile(r"^[A-Za-z]:")
# Control, format (zero-width, bidirectional), surrogate, private and unassigned characters; line separators.
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class PathRefused(DomainError):
    """A path that means something else to another program, or that no file system can hold."""

    code = "path-refused"
    status = 422


def check_path(path: str, *, field: str | None = None) -> str:
    """The path in NFC. Raises PathRefused, naming the rule."""
    shown = repr(path[:200])

    def refuse(rule: str) -> PathRefused:
        return PathRefused(f"{shown}: {rule}", field=field)

    normal = unicodedata.normalize("NFC", path)
    if any(unicodedata.category(character) in UNSEEN for character in normal):
        raise refuse("a path may hold no control, invisible or unassigned character.")
    if not normal or len(normal.encode()) > MOST_BYTES:
        raise refuse(f"a path has 1 to {MOST_BYTES} bytes.")
    if "\\" in normal or DRIVE.match(normal):
        raise refuse("a path may hold no backslash or drive letter; folders are separated by `/`.")
    if ENCODED.search(normal):
        raise refuse("a path may hold no percent-encoded dot, slash, backslash, percent sign or NUL.")
    parts = normal.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise refuse("a path is relative and has no empty, `.` or `..` part.")
    if any(part != part.strip() or part.endswith(".") for part in parts):
        raise refuse("a part of a path neither begins nor ends with a space, nor ends with a dot.")
    # Full-width and other compatibility forms of the characters above.
    folded = unicodedata.normalize("NFKC", normal)
    if folded != normal and (set(folded) & {"\\"} or folded.count("/") != normal.count("/")):
        raise refuse("a path may hold no character that another program reads as a slash.")
    if folded != normal and any(part in (".", "..") for part in folded.split("/")):
        raise refuse("a path may hold no character that another program reads as a dot.")
    if any(len(part.encode()) > MOST_PART_BYTES for part in parts):
        raise refuse(f"a part of a path has at most {MOST_PART_BYTES} bytes.")
    return normal


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
