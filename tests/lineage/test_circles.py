"""The database refuses circles and changes to history, whoever asks, also when two ask at once."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from lineage.graph import Arrow, add_edges, add_nodes
from lineage.models import Edge, Node
from tests.cast import Cast, make_cast
from tests.lineage.scenes import a_run, a_version, read, wrote

Session = psycopg.Connection[tuple[Any, ...]]
INSERT = "INSERT INTO lineage_edge (from_node_id, to_node_id, role, context, at) VALUES (%s, %s, 'input', '', now())"


def nodes(cast: Cast, count: int) -> list[uuid.UUID]:
    made = [uuid.uuid4() for _ in range(count)]
    add_nodes(Node.Kind.RUN, made, cast.namespace)
    return made


def refusal(error: IntegrityError | psycopg.Error) -> str | None:
    cause = error.__cause__ if isinstance(error, IntegrityError) else error
    return str(getattr(getattr(cause, "diag", None), "constraint_name", None))


@pytest.mark.parametrize("length", [1, 2, 3, 40])
def test_a_circle_is_refused(cast: Cast, length: int) -> None:
    ring = nodes(cast, length)
    add_edges([Arrow(a, b, "input") for a, b in pairwise(ring)])
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        add_edges([Arrow(ring[-1], ring[0], "input")])
    assert refusal(refused.value) == "no_cycle"


def test_a_circle_within_one_statement_is_refused(cast: Cast) -> None:
    a, b, c = nodes(cast, 3)
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        add_edges([Arrow(a, b, "input"), Arrow(b, c, "input"), Arrow(c, a, "input")])
    assert refusal(refused.value) == "no_cycle"


def test_a_diamond_is_no_circle(cast: Cast) -> None:
    top, left, right, bottom = nodes(cast, 4)
    pairs = [(top, left), (top, right), (left, bottom), (right, bottom), (top, bottom)]
    add_edges([Arrow(a, b, "input") for a, b in pairs])
    add_edges([Arrow(top, bottom, "input")])
    assert Edge.objects.filter(to_node=bottom).count() == 3


@pytest.fixture
def committed(transactional_db: None) -> tuple[Cast, list[uuid.UUID]]:
    cast = make_cast()
    return cast, nodes(cast, 4)


@pytest.fixture
def sessions() -> Iterator[tuple[Session, Session]]:
    with (
        psycopg.connect(os.environ["DATABASE_URL"]) as first,
        psycopg.connect(os.environ["DATABASE_URL"]) as second,
    ):
        yield first, second


def test_two_halves_of_a_circle_at_once(
    committed: tuple[Cast, list[uuid.UUID]], sessions: tuple[Session, Session]
) -> None:
    """Neither transaction sees the other's edge when it begins; the second waits for the first, and is refused."""
    _, (a, b, *_) = committed
    first, second = sessions
    first.execute(INSERT, (a, b))
    assert refused_behind(first, second, [(b, a)]) == "no_cycle"


def test_through_a_node_that_only_one_of_them_sees(
    committed: tuple[Cast, list[uuid.UUID]], sessions: tuple[Session, Session]
) -> None:
    """a -> new -> b in one transaction, b -> a in another: the fresh node is no way round the lock."""
    cast, (a, b, *_) = committed
    first, second = sessions
    new = uuid.uuid4()
    second.execute("SET lock_timeout = '10s'")
    first.execute(
        "INSERT INTO lineage_node (id, kind, namespace_id, created_at) VALUES (%s, 'run', %s, now())",
        (new, cast.namespace.pk),
    )
    first.execute(INSERT, (a, new))
    first.execute(INSERT, (new, b))
    assert refused_behind(first, second, [(b, a)]) == "no_cycle"


def refused_behind(first: Session, second: Session, edges: list[tuple[uuid.UUID, uuid.UUID]]) -> str | None:
    """Insert in the second session, commit the first while that waits; the constraint that refused the second."""
    found: list[str | None] = []
    begun = threading.Event()

    def insert() -> None:
        begun.set()
        try:
            for edge in edges:
                second.execute(INSERT, edge)
            second.commit()
            found.append(None)
        except psycopg.Error as error:
            second.rollback()
            found.append(refusal(error))

    thread = threading.Thread(target=insert)
    thread.start()
    begun.wait(10)
    thread.join(0.5)
    assert thread.is_alive(), "the second did not wait for the first"
    first.commit()
    thread.join(20)
    return found[0]


def test_a_new_node_waits_for_nobody(
    committed: tuple[Cast, list[uuid.UUID]], sessions: tuple[Session, Session]
) -> None:
    """Registering beside an open transaction that holds the graph's lock: edges that only enter a new node."""
    cast, (a, b, c, _) = committed
    first, second = sessions
    first.execute(INSERT, (a, b))
    second.execute("SET statement_timeout = '5s'")
    new = uuid.uuid4()
    second.execute(
        "INSERT INTO lineage_node (id, kind, namespace_id, created_at) VALUES (%s, 'run', %s, now())",
        (new, cast.namespace.pk),
    )
    second.execute(INSERT, (b, new))
    second.execute(INSERT, (c, new))
    second.commit()
    first.commit()
    assert Edge.objects.filter(to_node=new).count() == 2


def test_an_old_snapshot_adds_no_edges(
    committed: tuple[Cast, list[uuid.UUID]], sessions: tuple[Session, Session]
) -> None:
    """In a repeatable read transaction the check would not see what others committed."""
    _, (a, b, *_) = committed
    first, second = sessions
    second.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    second.execute("SELECT 1 FROM lineage_edge LIMIT 1")
    first.execute(INSERT, (a, b))
    first.commit()
    with pytest.raises(psycopg.Error) as refused:
        second.execute(INSERT, (b, a))
    assert refusal(refused.value) == "no_cycle"


def test_many_at_once_never_close_a_circle(committed: tuple[Cast, list[uuid.UUID]]) -> None:
    """Every pair of a few nodes, both ways round, from four connections: what is left is a graph without circles."""
    cast, _ = committed
    points = nodes(cast, 6)
    pairs = [(a, b) for a in points for b in points if a != b]

    def work(share: int) -> None:
        try:
            for a, b in pairs[share:] + pairs[:share]:
                try:
                    with transaction.atomic():
                        add_edges([Arrow(a, b, "input")])
                except IntegrityError:
                    pass  # refused, as one of each pair must be
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(share,)) for share in (0, 7, 15, 22)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    edges = set(Edge.objects.filter(from_node__in=points).values_list("from_node", "to_node"))
    assert len(edges) == len(pairs) // 2
    left = set(points)
    while left:
        free = {point for point in left if not any(b == point and a in left for a, b in edges)}
        assert free, "what is left is a circle"
        left -= free


def test_processes_that_would_close_one_circle_together(committed: tuple[Cast, list[uuid.UUID]]) -> None:
    """A ring of forty and all its shortcuts both ways, from four processes, each in an order of its own."""
    cast, _ = committed
    ring = nodes(cast, 40)
    edges = [(a, ring[(place + step) % 40]) for place, a in enumerate(ring) for step in (1, 2, 39)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.lineage.circler"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    orders = [random.Random(seed).sample(edges, len(edges)) for seed in range(4)]
    assert all(process.stdout and process.stdout.readline() == "ready\n" for process in processes)
    for process, order in zip(processes, orders, strict=True):
        assert process.stdin
        process.stdin.write(json.dumps([[str(a), str(b)] for a, b in order]) + "\n")
        process.stdin.flush()
    told = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    kept = set(Edge.objects.filter(from_node__in=ring).values_list("from_node", "to_node"))
    assert len(kept) == sum(taken for taken, _ in told)
    assert sum(taken > 0 for taken, _ in told) > 1, "they did not run at once"
    assert all(refused for _, refused in told)
    assert without_circle(set(ring), kept)
    # Nothing that could have been added was refused for good: each edge is there, or would close a circle.
    for a, b in set(edges) - kept:
        assert not without_circle(set(ring), kept | {(a, b)})


def without_circle(points: set[uuid.UUID], edges: set[tuple[uuid.UUID, uuid.UUID]]) -> bool:
    left = set(points)
    while free := {point for point in left if not any(b == point and a in left for a, b in edges)}:
        left -= free
    return not left


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE lineage_edge SET role = 'base' WHERE from_node_id = %(run)s",
        "DELETE FROM lineage_edge WHERE from_node_id = %(run)s",
        "UPDATE lineage_node SET kind = 'run' WHERE id = %(version)s",
        "DELETE FROM lineage_node WHERE id = %(version)s",
        "UPDATE lineage_runparameter SET value = 'x' WHERE run_id = %(run)s",
        "DELETE FROM lineage_runparameter WHERE run_id = %(run)s",
        "UPDATE lineage_runmetric SET value = 1 WHERE run_id = %(run)s",
        "DELETE FROM lineage_runmetric WHERE run_id = %(run)s",
        "UPDATE lineage_datasetversion SET digest = 'x'",
        "DELETE FROM lineage_datasetversion",
        "UPDATE lineage_run SET code = NULL WHERE id = %(run)s",
        "UPDATE lineage_run SET environment = '{}' WHERE id = %(run)s",
        "UPDATE lineage_run SET created_by_id = namespace_id WHERE id = %(run)s",
        'UPDATE lineage_run SET capture = \'{"state": "unknown"}\' WHERE id = %(run)s',
        "DELETE FROM lineage_run WHERE id = %(run)s",
        "TRUNCATE lineage_edge",
        "TRUNCATE lineage_runmetric",
    ],
)
def test_history_cannot_be_changed_by_sql(cast: Cast, statement: str) -> None:
    run = a_run(cast, uses=[read("a.csv"), wrote("b.csv")], metrics={"loss": 0.5})
    version = a_version(cast, run)
    with (
        connection.cursor() as cursor,
        pytest.raises(Exception, match=r"denied|append-only|sealed|never deleted"),
    ):
        cursor.execute(statement, {"run": run.pk, "version": version.pk})
