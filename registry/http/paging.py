"""Keyset pages: `?limit=&cursor=` -> `{"results": [...], "next": address or null}`, on a unique order."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response

from registry.errors import InvalidInput
from registry.http.parsing import check_text

DEFAULT_LIMIT = 50
MOST = 200


def not_ours() -> InvalidInput:
    """The refusal of a cursor."""
    return InvalidInput("This cursor is not one of ours: take it from `next`.", field="cursor")


def limit_of(request: Request) -> int:
    """The page size asked for, 1 to 200. Raises InvalidInput for anything else."""
    given = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= MOST:
        raise InvalidInput(f"limit is a whole number from 1 to {MOST}.", field="limit")
    return int(given)


def page(
    request: Request,
    rows: QuerySet[Any],
    show: Callable[[Any], dict[str, Any]],
    *,
    order: Sequence[str] = ("-created_at", "-pk"),
    prepare: Callable[[list[Any]], None] | None = None,
) -> Response:
    """One page of `rows` in `order`, whose last field is unique; all fields go the same direction.

    `prepare` sees the page's rows before they are shown, to load what belongs to them in one query.
    """
    limit = limit_of(request)
    fields = [name.lstrip("-") for name in order]
    descending = order[0].startswith("-")
    if cursor := request.query_params.get("cursor"):
        values = decode(cursor, len(fields))
        try:
            rows = rows.filter(_after(fields, values, descending))
        except (ValueError, TypeError, OverflowError, ValidationError):
            raise not_ours() from None
    found: list[Model] = list(rows.order_by(*order)[: limit + 1])
    following = None
    if len(found) > limit:
        found.pop()
        following = next_page(request, [_plain(getattr(found[-1], name)) for name in fields], limit)
    if prepare:
        prepare(found)
    return Response({"results": [show(row) for row in found], "next": following})


def _after(fields: list[str], values: list[Any], descending: bool) -> Q:
    """Strictly after the cursor: (a, b) > (x, y), written so that an index on the order serves it."""
    step = "lt" if descending else "gt"
    condition = Q()
    for position in range(len(fields)):
        equal = {fields[i]: values[i] for i in range(position)}
        condition |= Q(**equal, **{f"{fields[position]}__{step}": values[position]})
    return condition


def next_page(request: Request, last: list[str], limit: int) -> str:
    """The address of the page that begins after the row whose order values are `last`."""
    # Every value of a repeated parameter stays: `?ref=a&ref=b`.
    query = request.query_params.copy()
    query["cursor"], query["limit"] = _encode(last), str(limit)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _encode(values: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def decode(cursor: str, length: int) -> list[Any]:
    """The order values in a cursor. Raises InvalidInput when it is not one of ours."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if (
            not isinstance(values, list)
            or len(values) != length
            or not all(isinstance(v, str) for v in values)
        ):
            raise ValueError
        for value in values:
            check_text(value)
        return [parse_datetime(v) or v if "T" in v else v for v in values]
    except (ValueError, TypeError, RecursionError, InvalidInput):
        raise not_ours() from None
