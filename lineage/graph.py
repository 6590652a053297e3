"""The graph: its nodes and edges are written here, and walked by one recursive query."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.db import connection

from lineage.models import Edge, Node
from registry.models import Namespace

DEFAULT_DEPTH = 10
DEEPEST = 50
MOST_NODES = 1000
# Rows read before the walk stops: a node is met again at every depth at which a path reaches it.
MOST_ROWS = 20 * MOST_NODES


class Direction(StrEnum):
    """`up` is against the arrows: what something was made from."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


# OFFSET 0 keeps each step a look-up by index: joined plainly, the planner, which cannot know how few nodes a step
# starts from, may read the whole table at every depth. The LIMIT lies inside, so that Postgres stops walking
# there; it walks breadth first, so the nearest are met.
_WALK = """
WITH RECURSIVE
up(id, depth) AS (
    SELECT %(root)s::uuid, 0
    UNION
    SELECT e.id, w.depth + 1 FROM up w CROSS JOIN LATERAL (
        SELECT from_node_id AS id FROM lineage_edge WHERE to_node_id = w.id OFFSET 0
    ) e WHERE w.depth < %(up)s
),
down(id, depth) AS (
    SELECT %(root)s::uuid, 0
    UNION
    SELECT e.id, w.depth + 1 FROM down w CROSS JOIN LATERAL (
        SELECT to_node_id AS id FROM lineage_edge WHERE from_node_id = w.id OFFSET 0
    ) e WHERE w.depth < %(down)s
)
SELECT id, min(depth), count(*) OVER (), sum(count(*)) OVER ()
FROM (
    (SELECT id, depth FROM up LIMIT %(rows)s) UNION ALL (SELECT id, depth FROM down LIMIT %(rows)s)
) AS walked
GROUP BY id ORDER BY 2, 1 LIMIT %(nodes)s
"""
_CLOSURE = """
WITH RECURSIVE reached(id) AS (
    SELECT unnest(%(roots)s::uuid[])
    UNION
    SELECT e.id FROM reached r CROSS JOIN LATERAL (
        SELECT {there} AS id FROM lineage_edge WHERE {here} = r.id OFFSET 0
    ) e
) SELECT id FROM reached
"""
# Asked from the `to` side in both directions: few things go into a node, while one may go into very many.
_EDGES = """
SELECT e.from_node_id, e.to_node_id, e.role, e.context FROM unnest(%(nodes)s::uuid[]) n(id) CROSS JOIN LATERAL (
    SELECT * FROM lineage_edge WHERE to_node_id = n.id OFFSET 0
) e WHERE e.from_node_id = ANY(%(nodes)s::uuid[])
ORDER BY e.id
"""


@dataclass(frozen=True)
class Walk:
    """What lies within `depth` steps of a node: {id: distance}, nearest first, and whether there was more."""

    root: UUID
    nodes: dict[UUID, int]
    cut: bool


@dataclass(frozen=True)
class Arrow:
    """An edge of the graph: `source` went into `target`."""

    source: UUID
    target: UUID
    role: str
    context: str = ""


def walk(root: UUID, direction: Direction, *, depth: int = DEFAULT_DEPTH, most: int = MOST_NODES) -> Walk:
    """The nearest `most` nodes around `root`, shared ones once. One query."""
    values: dict[str, UUID | int] = {
        "root": root,
        "up": 0 if direction is Direction.DOWN else depth,
        "down": 0 if direction is Direction.UP else depth,
        "rows": MOST_ROWS,
        "nodes": most,
    }
    with connection.cursor() as cursor:
        cursor.execute(_WALK, values)
        found = cursor.fetchall()
    met, read = found[0][2:]
    return Walk(root=root, nodes={row[0]: row[1] for row in found}, cut=met > most or read >= MOST_ROWS)


def arrows(nodes: Collection[UUID]) -> list[Arrow]:
    """Every edge between these nodes. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_EDGES, {"nodes": list(nodes)})
        return [Arrow(*row) for row in cursor.fetchall()]


def ancestors(roots: Iterable[UUID]) -> set[UUID]:
    """Everything these nodes were made from, at any distance, themselves included. One query."""
    return _closure(roots, here="to_node_id", there="from_node_id")


def descendants(roots: Iterable[UUID]) -> set[UUID]:
    """Everything that was made from these nodes, at any distance, themselves included. One query."""
    return _closure(roots, here="from_node_id", there="to_node_id")


def _closure(roots: Iterable[UUID], *, here: str, there: str) -> set[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(_CLOSURE.format(here=here, there=there), {"roots": list(roots)})
        return {row[0] for row in cursor.fetchall()}


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
