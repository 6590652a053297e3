"""The graph around any node, by pages, and the shortest path between two."""

from __future__ import annotations

import base64
from datetime import datetime
from functools import cache
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken
from django.utils.crypto import salted_hmac
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lineage.api.drawing import Drawing
from lineage.api.fields import Time
from lineage.api.graph import depth_of, direction_of, graph_json
from lineage.graph import DEEPEST, MOST_NODES, Arrow, Direction, Wanted, arrows_between, path_between, walk
from lineage.labels import Label
from lineage.models import Node
from lineage.occurrences import NODE_FORMS, node_named
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.paging import decode, next_page, not_ours
from registry.models import Principal
from registry.models.visibility import namespaces_where
from registry.roles import Permission

CHOSEN = (
    "What you may not see is walked through and not shown; without kind, since and until it is, as stubs."
)
_WAY = [
    OpenApiParameter("direction", str, enum=[each.value for each in Direction]),
    OpenApiParameter("depth", int, description=f"1 to {DEEPEST}"),
    OpenApiParameter("kind", str, description=", ".join(Node.Kind.values)),
    OpenApiParameter("since", datetime),
    OpenApiParameter("until", datetime),
    OpenApiParameter("limit", int, description=f"1 to {MOST_NODES}"),
    OpenApiParameter("cursor", str),
]


class Graph(Endpoint):
    """What any node was made from, and what was made from it."""

    @extend_schema(
        operation_id="lineage_graph",
        parameters=[OpenApiParameter("node", str, required=True, description=NODE_FORMS), *_WAY],
        responses=dict,
    )
    def get(self, request: Request) -> Response:
        """The nodes around `node`, nearest first, then by id: `direction` up (default), down or both.

        `kind` (several with commas), `since` and `until` choose what is shown, not what is walked through. What the
        caller may not see is a stub; where something is chosen it is left out, which `note` says. `next` is the address
        of the following page. An edge is given with that of its two ends which comes later.
        """
        direction, depth, limit = direction_of(request), depth_of(request), limit_of(request)
        wanted = _wanted(request, self.principal)
        node, label = _node(request, "node", self.principal)
        found = walk(node, direction, depth=depth, most=limit, wanted=wanted, after=_after(request))
        told = graph_json(found, direction, depth, self.principal, root=label)
        following = None
        if found.more:
            last, distance = list(found.nodes.items())[-1]
            following = next_page(request, [_sealed(distance, last)], limit)
        note = CHOSEN if wanted.seen is not None else None
        return Response({**told, "note": note, "next": following})


class Path(Endpoint):
    """How one node came of another."""

    @extend_schema(
        operation_id="lineage_path",
        parameters=[
            OpenApiParameter("from", str, required=True, description=NODE_FORMS),
            OpenApiParameter("to", str, required=True, description=NODE_FORMS),
        ],
        responses=dict,
    )
    def get(self, request: Request) -> Response:
        """A shortest path along the arrows between `from` and `to`, whichever of the two was made from the other.

        `direction` is down when `to` was made from `from`, up when `from` was made from `to`, null (and no nodes) when
        neither was.
        """
        (source, first), (target, second) = (_node(request, each, self.principal) for each in ("from", "to"))
        path = path_between(source, target)
        way = None
        if path:
            way = Direction.DOWN if path[0] == source else Direction.UP
        if way is Direction.UP:
            path.reverse()
        edges = arrows_between(path)
        drawing = Drawing(path, self.principal, known={**first, **second})
        return Response(
            {
                "from": drawing.name(source) if path else str(source),
                "to": drawing.name(target) if path else str(target),
                "direction": way.value if way else None,
                "nodes": [drawing.node(key, distance=step) for step, key in enumerate(path)],
                "edges": [drawing.edge(edge) for edge in _along(path, edges)],
            }
        )


def _along(path: list[UUID], edges: list[Arrow]) -> list[Arrow]:
    """The edges between neighbours, in the order of the path; others may join nodes that are not."""
    place = {key: position for position, key in enumerate(path)}
    near = [edge for edge in edges if abs(place[edge.source] - place[edge.target]) == 1]
    return sorted(near, key=lambda edge: min(place[edge.source], place[edge.target]))


def limit_of(request: Request) -> int:
    """1 to 1,000, which it is unless said. Raises InvalidInput."""
    given = request.query_params.get("limit", str(MOST_NODES))
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= MOST_NODES:
        raise InvalidInput(f"limit is a whole number from 1 to {MOST_NODES}.", field="limit")
    return int(given)


def _node(request: Request, field: str, principal: Principal) -> tuple[UUID, dict[UUID, Label]]:
    text = request.query_params.get(field)
    if not text:
        raise InvalidInput(f"Say which node: ?{field}= takes {NODE_FORMS}.", field=field)
    return node_named(text, principal)


def _wanted(request: Request, principal: Principal) -> Wanted:
    kinds = [kind for given in request.query_params.getlist("kind") for kind in given.split(",")]
    if wrong := [kind for kind in kinds if kind not in Node.Kind.values]:
        raise InvalidInput(
            f"A kind is one of {', '.join(Node.Kind.values)}; {wrong[0][:40]!r} is none.", field="kind"
        )
    since, until = (_time(request, field) for field in ("since", "until"))
    if not (kinds or since or until) or principal.is_system:
        return Wanted(tuple(kinds), since, until)
    seen = namespaces_where(principal, Permission.NAMESPACE_READ)
    return Wanted(tuple(kinds), since, until, seen=tuple({key for row in seen for key in row.values()}))


def _time(request: Request, field: str) -> datetime | None:
    given = request.query_params.get(field)
    if given is None:
        return None
    try:
        return Time().to_internal_value(given)
    except serializers.ValidationError as error:
        raise InvalidInput(f"{field}: {error.detail[0]}", field=field) from None  # type: ignore[index]


@cache
def _seal() -> Fernet:
    """For the place where a page ended: it may be a node whose id the caller is not to read."""
    return Fernet(base64.urlsafe_b64encode(salted_hmac("lineage.cursor", "", algorithm="sha256").digest()))


def _sealed(distance: int, node: UUID) -> str:
    return _seal().encrypt(f"{distance} {node}".encode()).decode()


def _after(request: Request) -> tuple[int, UUID] | None:
    """The distance and id after which the page begins. Raises InvalidInput for a cursor that is not ours."""
    given = request.query_params.get("cursor")
    if not given:
        return None
    try:
        distance, node = _seal().decrypt(str(decode(given, 1)[0]).encode()).decode().split(" ")
    except InvalidToken:
        raise not_ours() from None
    return int(distance), UUID(node)
