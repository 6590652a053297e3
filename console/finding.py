"""What the search box finds: versions by the search grammar, or by a plain piece of a name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from registry.api.shows import VERSION_ROWS, version_json
from registry.models import Principal

MOST = 50


@dataclass(frozen=True)
class Found:
    """Versions as JSON; `refusal` says what is wrong with the query; `more`: the list was cut."""

    versions: list[dict[str, Any]] = field(default_factory=list)
    refusal: str = ""
    more: bool = False


def find(query: str, order: str, principal: Principal) -> Found:
    """The first versions that match and that the reader may see."""
    rows = (
        VERSION_ROWS.visible_to(principal).filter(model__name__icontains=query).order_by("-created_at", "-pk")
    )
    found = list(rows[: MOST + 1])
    return Found([version_json(row) for row in found[:MOST]], more=len(found) > MOST)
