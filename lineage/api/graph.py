"""The lineage of a version, and why two differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from lineage.api.drawing import Drawing
from lineage.graph import DEEPEST, DEFAULT_DEPTH, MOST_NODES, Direction, Walk, arrows, walk
from lineage.labels import Label, version_label
from lineage.why import explain
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.models import ModelVersion, Principal
from registry.references import FORMS, resolve


def graph_json(
    found: Walk, direction: Direction, depth: int, principal: Principal, *, root: Mapping[UUID, Label]
) -> dict[str, Any]:
    """A walk as JSON, without what came before it; `root` is the label of where it starts, when it is known."""
    edges = arrows(found)
    ends = {end for edge in edges for end in (edge.source, edge.target)}
    drawing = Drawing(ends.union(found.nodes, [found.root]), principal, known=root)
    return {
        "root": drawing.name(found.root),
        "direction": direction.value,
        "depth": depth,
        "nodes": [drawing.node(key, distance=distance) for key, distance in found.nodes.items()],
        "edges": [drawing.edge(edge) for edge in edges],
        "note": _note(found),
    }


def _note(found: Walk) -> str | None:
    if not found.more:
        return None
    return f"There is more: these are the {len(found.nodes)} nearest nodes of at most {MOST_NODES}."


def direction_of(request: Request) -> Direction:
    """up, down or both; up unless said. Raises InvalidInput."""
    asked = request.query_params.get("direction", Direction.UP.value)
    if asked not in set(Direction):
        raise InvalidInput("direction is up, down or both.", field="direction")
    return Direction(asked)


def depth_of(request: Request) -> int:
    """1 to 50; 10 unless said. Raises InvalidInput."""
    given = request.query_params.get("depth", str(DEFAULT_DEPTH))
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= DEEPEST:
        raise InvalidInput(f"depth is a whole number from 1 to {DEEPEST}.", field="depth")
    return int(given)


class VersionLineage(Endpoint):
    """What a version was made from, and what was made from it."""

    @extend_schema(
        operation_id="version_lineage",
        parameters=[
            OpenApiParameter("direction", str, enum=[each.value for each in Direction]),
            OpenApiParameter("depth", int),
        ],
        responses=dict,
    )
    def get(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """The graph around a version: `direction` up (default), down or both; `depth` 1 to 50."""
        direction, depth = direction_of(request), depth_of(request)
        version = self.version(name, number)
        found = walk(version.pk, direction, depth=depth)
        root = {version.pk: version_label(version)}
        return Response(graph_json(found, direction, depth, self.principal, root=root))


class Why(Endpoint):
    """Why two versions differ."""

    @extend_schema(
        operation_id="why",
        parameters=[OpenApiParameter("a", str, required=True), OpenApiParameter("b", str, required=True)],
        responses=dict,
    )
    def get(self, request: Request) -> Response:
        """The difference of the metrics of versions `a` and `b`, beside what differs in what made them."""
        versions = [self._named(request, field) for field in ("a", "b")]
        return Response(explain(versions[0], versions[1], self.principal))

    def _named(self, request: Request, field: str) -> ModelVersion:
        ref = request.query_params.get(field)
        if not ref:
            raise InvalidInput(f"Say which version is {field}: {FORMS}.", field=field)
        return resolve(ref, self.principal)
