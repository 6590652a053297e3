"""What stands where a text was taken out: recognisable, and equal where equal texts stood in one redaction."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

MARK = re.compile(r"\[redacted [0-9a-f]{12}\]")


def digest_of(salt: str, text: str) -> str:
    """By which whoever knows the text proves that it stood there: sha256 of salt and text, as UTF-8, hex."""
    return hashlib.sha256(f"{salt}{text}".encode()).hexdigest()


def mark_of(digest: str) -> str:
    """The mark, as `registry_redact` writes it."""
    return f"[redacted {digest[:12]}]"


def marks_in(document: Any) -> frozenset[str]:
    """Every mark in a value, however deep."""
    return frozenset(MARK.findall(document if isinstance(document, str) else json.dumps(document)))


def alike_apart_from_marks(a: Any, b: Any) -> bool:
    """Whether two values may have been the same: a mark could have been anything but nothing."""
    if a is None or b is None:
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike_apart_from_marks(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(alike_apart_from_marks, a, b))
    return a == b or any(isinstance(each, str) and MARK.fullmatch(each) for each in (a, b))
