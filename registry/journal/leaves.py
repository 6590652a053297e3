"""What of an event is in the chain: everything that can be read of it, where it can be redacted by a salted digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from registry.journal.tree import leaf_hash
from registry.models import Event
from registry.models.checkpoints import SALTED

# What readers call the salted columns, in documents and in the leaf.
CALLED = {"subject_label": "reference", "reason": "reason", "before": "before", "after": "after"}
SALT_BYTES = 16


def canonical(value: Any) -> bytes:
    """Compact UTF-8 JSON with sorted keys."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8", "surrogatepass")


def is_empty(value: Any) -> bool:
    """Whether a column says nothing: then there is no digest of it."""
    return value is None or value == ""


def salted(salt: bytes, called: str, value: Any) -> bytes:
    """The digest of a column's content: sha256 of the JSON `["<salt, hex>","after",<content>]`."""
    return hashlib.sha256(canonical([salt.hex(), called, value])).digest()


def leaf_of(number: int, event: Event, digests: Mapping[str, bytes | None]) -> bytes:
    """The leaf's hash, from the event (with its namespace) and the digests of SALTED, by column."""
    told = {CALLED[column]: digests[column] for column in SALTED}
    return leaf_hash(
        canonical(
            {
                "v": 1,
                "number": number,
                "id": event.pk,
                "type": event.type,
                "namespace": event.namespace.name if event.namespace else None,
                "subject": {"kind": event.subject_kind, "id": event.subject_id},
                "actor": event.actor_label,
                "token_prefix": event.token_prefix or None,
                "at": event.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "salted": {name: digest.hex() if digest else None for name, digest in told.items()},
            }
        )
    )
