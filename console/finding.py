"""What the search box finds: versions by the search grammar, or by a plain piece of a name."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F

from console.rows import version_row
from registry.api.shows import VERSION_ROWS
from registry.errors import InvalidInput
from registry.models import Principal
from registry.search.compile import search
from registry.search.order import parse_order

MOST = 50


@dataclass(frozen=True)
class Found:
    """Versions as JSON; `refusal` says what is wrong with the query; `more`: the list was cut."""

    versions: list[dict[str, Any]] = field(default_factory=list)
    refusal: str = ""
    more: bool = False


# A query without any of these is a piece of a name.
_GRAMMAR = re.compile(r"[=<>~()]|\bin\b")


def find(query: str, order_by: str, principal: Principal) -> Found:
    """The first versions that match and that the reader may see: `stage = production`, or a piece of a name."""
    rows: Any = VERSION_ROWS.visible_to(principal).filter(model__deleted_at=None)
    try:
        order = parse_order(order_by or "-created_at")
        asked = query if _GRAMMAR.search(query) else f"name ~ {json.dumps(query)}"
        rows, compiler = search(rows, asked)
    except InvalidInput as refusal:
        return Found(refusal=refusal.sentence)
    rank = F("rank").desc(nulls_last=True) if order.descending else F("rank").asc(nulls_last=True)
    found = list(order.ranked(rows, compiler).order_by(rank, "-pk")[: MOST + 1])
    return Found([version_row(row) for row in found[:MOST]], more=len(found) > MOST)
