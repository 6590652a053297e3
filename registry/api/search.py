"""Finding versions, and putting them side by side."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import F, Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api.shows import VERSION_ROWS, latest_metrics, version_json
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.paging import decode, limit_of, next_page, not_ours
from registry.models import ModelVersion, Principal
from registry.permissions import visible_namespace
from registry.references import resolve
from registry.search.compile import search
from registry.search.order import Order, parse_order

MOST_COMPARED = 10


class Search(Endpoint):
    """Versions that match a query, among those the caller may see."""

    @extend_schema(
        operation_id="search",
        parameters=[
            OpenApiParameter(
                "q", str, description='task = "x" and tag.team = "y" and metric.accuracy >= 0.9'
            ),
            OpenApiParameter(
                "order_by", str, description="created_at, name, number, metric.K; `-` for descending"
            ),
            OpenApiParameter("namespace", str),
        ],
        responses=dict,
    )
    def get(self, request: Request) -> Response:
        rows = visible_versions(self.principal, request.query_params.get("namespace"))
        rows, compiler = search(rows, request.query_params.get("q", ""))
        order = parse_order(request.query_params.get("order_by") or "-created_at")
        return _page(request, order.ranked(rows, compiler), order)


def visible_versions(principal: Principal, namespace: str | None = None) -> QuerySet[ModelVersion]:
    """The versions a caller may see, in one namespace or in all of theirs. Raises NotVisible."""
    rows = ModelVersion.objects.visible_to(principal).filter(model__deleted_at=None)
    if namespace:
        rows = rows.filter(model__namespace=visible_namespace(principal, namespace))
    return rows


def _page(request: Request, rows: QuerySet[Any], order: Order) -> Response:
    """A page by rank; what has no rank comes last, whichever the direction."""
    limit = limit_of(request)
    if cursor := request.query_params.get("cursor"):
        rows = rows.filter(_after(order, decode(cursor, 2)))
    direction = F("rank").desc(nulls_last=True) if order.descending else F("rank").asc(nulls_last=True)
    found = list(rows.order_by(direction, "pk").values_list("pk", "rank")[: limit + 1])
    following = None
    if len(found) > limit:
        found.pop()
        pk, rank = found[-1]
        following = next_page(request, [order.written(rank), str(pk)], limit)
    shown = {version.pk: version for version in VERSION_ROWS.filter(pk__in=[pk for pk, _ in found])}
    # A version is never deleted, so each that was found is there.
    return Response({"results": [version_json(shown[pk]) for pk, _ in found], "next": following})


def _after(order: Order, cursor: list[Any]) -> Q:
    written, pk = cursor
    try:
        uuid.UUID(pk)
        if written == "":
            return Q(rank=None, pk__gt=pk)
        value = order.read(written)
        beyond = Q(rank__lt=value) if order.descending else Q(rank__gt=value)
        return beyond | Q(rank=value, pk__gt=pk) | Q(rank=None)
    except (ValueError, TypeError, OverflowError, AttributeError):
        raise not_ours() from None


class Compare(Endpoint):
    """Two to ten versions side by side: metrics on the same data, parameters."""

    @extend_schema(
        operation_id="compare",
        parameters=[OpenApiParameter("ref", str, many=True, required=True, description="2 to 10 references")],
        responses=dict,
    )
    def get(self, request: Request) -> Response:
        refs = request.query_params.getlist("ref")
        if not 2 <= len(refs) <= MOST_COMPARED:
            raise InvalidInput(f"Name 2 to {MOST_COMPARED} versions: ?ref=A&ref=B.", field="ref")
        ids = [resolve(ref, self.principal).pk for ref in refs]
        rows = {version.pk: version for version in VERSION_ROWS.filter(pk__in=ids)}
        return Response(comparison([rows[pk] for pk in ids]))


def comparison(versions: list[ModelVersion]) -> dict[str, Any]:
    """Versions from VERSION_ROWS side by side. A value is null where a version has none."""
    metrics: dict[tuple[str, ...], dict[str, Any]] = {}
    for position, version in enumerate(versions):
        for metric in latest_metrics(version.evaluations.all()):
            # The data is the same when its digest is, whatever it was called.
            key = (metric["name"], metric["dataset_digest"], metric["split"], metric["slice"])
            row = metrics.setdefault(
                key,
                {name: metric[name] for name in ("name", "dataset", "dataset_digest", "split", "slice")}
                | {"values": [None] * len(versions)},
            )
            row["values"][position] = metric["value"]
    keys = sorted({key for version in versions for key in version.parameters})
    return {
        "versions": [version_json(version) for version in versions],
        "metrics": [metrics[key] for key in sorted(metrics)],
        "parameters": [
            {"key": key, "values": [version.parameters.get(key) for version in versions]} for key in keys
        ],
    }
