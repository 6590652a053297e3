"""The lineage of a version, and why two differ."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from lineage.graph import DEEPEST, DEFAULT_DEPTH, MOST_NODES, Direction, Walk, arrows, walk
from lineage.labels import RESTRICTED, Label, labels_of, version_label
from lineage.why import explain
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.models import ModelVersion, Principal
from registry.references import FORMS, resolve


def graph_json(
    version: ModelVersion, direction: Direction, depth: int, principal: Principal
) -> dict[str, Any]:
    """The graph around a version. What the principal may not see keeps its place, under a name of no meaning."""
    found = walk(version.pk, direction, depth=depth)
    named = {**labels_of(found.nodes, principal), version.pk: version_label(version)}
    shown = {
        key: str(key) if key in named else f"{RESTRICTED}-{position}"
        for position, key in enumerate(found.nodes, start=1)
    }
    return {
        "root": shown[version.pk],
        "direction": direction.value,
        "depth": depth,
        "nodes": [_node(shown[key], named.get(key), distance) for key, distance in found.nodes.items()],
        "edges": [
            {
                "from": shown[e.source],
                "to": shown[e.target],
                "role": e.role,
                # A free text, of whoever wrote the edge: for those who see both of its ends.
                "context": e.context if e.source in named and e.target in named else "",
            }
            for e in arrows(found.nodes)
        ],
        "note": _note(found),
    }


def _node(shown: str, label: Label | None, distance: int) -> dict[str, Any]:
    known = label or Label(RESTRICTED, RESTRICTED)
    return {
        "id": shown,
        "kind": known.kind,
        "label": known.label,
        "detail": known.detail,
        "distance": distance,
    }


def _note(found: Walk) -> str | None:
    if not found.cut:
        return None
    return f"There is more: these are the {len(found.nodes)} nearest nodes of at most {MOST_NODES}."


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
        asked = request.query_params.get("direction", Direction.UP.value)
        if asked not in set(Direction):
            raise InvalidInput("direction is up, down or both.", field="direction")
        version = self.version(name, number)
        return Response(graph_json(version, Direction(asked), _depth(request), self.principal))


def _depth(request: Request) -> int:
    given = request.query_params.get("depth", str(DEFAULT_DEPTH))
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= DEEPEST:
        raise InvalidInput(f"depth is a whole number from 1 to {DEEPEST}.", field="depth")
    return int(given)


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
