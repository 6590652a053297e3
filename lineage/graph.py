"""The graph: its nodes and edges are written here, and walked level by level inside the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import connection

from lineage.models import Edge, Node
from lineage.reads import reads_into
from registry.models import Namespace

DEFAULT_DEPTH = 10
DEEPEST = 50
MOST_NODES = 1000


class Direction(StrEnum):
    """`up` is against the arrows: what something was made from."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


_PAGE = """
SELECT nodes, depths, more, edges FROM lineage_page(
    %(root)s, %(up)s, %(down)s, %(depth)s, %(kinds)s::text[], %(since)s::timestamptz, %(until)s::timestamptz,
    %(seen)s::uuid[], %(after_depth)s, %(after_id)s::uuid, %(most)s
)
"""
_EDGES = """
SELECT e.from_node_id, e.to_node_id, e.role, e.context FROM lineage_edge e WHERE e.id = ANY(%(edges)s)
UNION ALL
SELECT coalesce(lineage_writer(u), u.occurrence), u.run_id, 'input', '' FROM lineage_lineageuse u
    WHERE u.id = ANY(SELECT -id FROM unnest(%(edges)s::bigint[]) t(id) WHERE id < 0)
"""


@dataclass(frozen=True)
class Wanted:
    """Which nodes are shown; all are walked through. `until` is the first moment that is too late.

    `seen` are the namespaces that may be looked at, None for all: once something is chosen, nodes of others match
    nothing, so that neither their kind nor their time is told. Where nothing is chosen, all are shown.
    """

    kinds: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    seen: tuple[UUID, ...] | None = None


@dataclass(frozen=True)
class Walk:
    """What lies within `depth` steps of a node: {id: distance}, nearest first, then by id.

    `more`: there is more, exactly. `edges` are the ids of those that join two of these nodes, or one of them and
    one that stands before them in the order.
    """

    root: UUID
    nodes: dict[UUID, int]
    more: bool
    edges: list[int]


EVERYTHING = Wanted()


@dataclass(frozen=True)
class Arrow:
    """An edge of the graph: `source` went into `target`."""

    source: UUID
    target: UUID
    role: str
    context: str = ""


def walk(
    root: UUID,
    direction: Direction,
    *,
    depth: int = DEFAULT_DEPTH,
    most: int = MOST_NODES,
    wanted: Wanted = EVERYTHING,
    after: tuple[int, UUID] | None = None,
) -> Walk:
    """The nearest `most` nodes around `root`, each once; those `after` this distance and id. One query.

    A page that begins inside a level costs as much as that level and those before it.
    """
    after_depth, after_id = after or (-1, None)
    values: dict[str, Any] = {
        "root": root,
        "up": direction is not Direction.DOWN,
        "down": direction is not Direction.UP,
        "depth": depth,
        "kinds": list(wanted.kinds) or None,
        "since": wanted.since,
        "until": wanted.until,
        "seen": None if wanted.seen is None else list(wanted.seen),
        "after_depth": after_depth,
        "after_id": after_id,
        "most": most,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PAGE, values)
        nodes, depths, more, edges = cursor.fetchone()
    return Walk(root=root, nodes=dict(zip(nodes, depths, strict=True)), more=more, edges=edges)


def arrows(found: Walk) -> list[Arrow]:
    """The edges of a walk. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_EDGES, {"edges": found.edges})
        return [Arrow(*row) for row in cursor.fetchall()]


def arrows_between(nodes: Collection[UUID]) -> list[Arrow]:
    """Every edge that joins two of these few nodes. Two queries."""
    rows = Edge.objects.filter(to_node__in=nodes, from_node__in=nodes).order_by("pk")
    found = [Arrow(*row) for row in rows.values_list("from_node_id", "to_node_id", "role", "context")]
    read = [Arrow(source, target, Edge.Role.INPUT.value) for source, target in reads_into(nodes)]
    return found + [arrow for arrow in read if arrow.source in nodes]


def path_between(a: UUID, b: UUID) -> list[UUID]:
    """A shortest path along the arrows, from `a` to `b` or else from `b` to `a`; empty where neither was made from
    the other. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(lineage_path(%(a)s, %(b)s), lineage_path(%(b)s, %(a)s))", {"a": a, "b": b}
        )
        return list(cursor.fetchone()[0] or [])


def ancestors(roots: Iterable[UUID]) -> set[UUID]:
    """Everything these nodes were made from, at any distance, themselves included. One query."""
    return _closure(roots, downward=False)


def descendants(roots: Iterable[UUID]) -> set[UUID]:
    """Everything that was made from these nodes, at any distance, themselves included. One query."""
    return _closure(roots, downward=True)


def _closure(roots: Iterable[UUID], *, downward: bool) -> set[UUID]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT lineage_closure(%s, %s)", [list(roots), downward])
        return set(cursor.fetchone()[0])


def add_nodes(kind: Node.Kind, ids: Collection[UUID], namespace: Namespace) -> None:
    """Nodes for these rows; those that are there already stay as they are."""
    Node.objects.bulk_create(
        [Node(id=each, kind=kind, namespace=namespace) for each in sorted(ids)], ignore_conflicts=True
    )


def add_edges(edges: Iterable[Arrow]) -> None:
    """Edges, each once. The database refuses one that would close a circle.

    Call it last in a transaction: from here on it may hold the graph's lock until it commits.
    """
    wanted = sorted(set(edges), key=lambda e: (e.source, e.target, e.role, e.context))
    Edge.objects.bulk_create(
        [Edge(from_node_id=e.source, to_node_id=e.target, role=e.role, context=e.context) for e in wanted],
        ignore_conflicts=True,
    )
