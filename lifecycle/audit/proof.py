"""What can be checked of the document with nothing but the document. `assay.proof` in the client does."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from rest_framework.renderers import JSONRenderer

# What is not among the facts: who took the document out and when, the digest itself, and what proves the rest, which
# is another whenever the journal has grown.
OUTSIDE = frozenset({"exported", "digest", "proof"})


def plain(value: Any) -> Any:
    """The value as JSON has it: times and ids as texts."""
    return json.loads(JSONRenderer().render(value))


def sha256_of(value: Any) -> str:
    """`sha256:<hex>` of compact UTF-8 JSON with sorted keys."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def sealed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its digest, over everything but OUTSIDE: equal facts have equal digests."""
    facts = {key: value for key, value in document.items() if key not in OUTSIDE}
    return {**document, "digest": sha256_of(facts)}


def chained(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Events with a digest each, and one over all of those in their order.

    An event's digest is over the event alone, so that it is the same in every document: two of them, taken at
    different times, show whether history was rewritten between.
    """
    told = [{**event, "sha256": sha256_of(event)} for event in events]
    return {"events": told, "sha256": sha256_of([event["sha256"] for event in told])}
