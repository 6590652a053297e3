"""Walks of a large graph over HTTP, on a real server: ancestors, descendants, impact, why.

    make bench-lineage                     # a million edges: some minutes, most of them to write the graph
    EDGES=50000 CALLS=50 make bench-lineage

The graph is in tests/benchmarks/seeded_graph.py. Nodes are drawn uniformly, with a fixed seed: of all nodes for
ancestors and descendants (depth 10, up to 1,000 nodes), of all dataset versions for impact, of pairs of versions of one
model for why. Hubs are walked apart: their first page, and one of them page by page to its end.
"""

from __future__ import annotations

import gc
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx

from config.embedded.postgres import DATABASE, Postgres
from config.embedded.supervisor import Stack
from tests.benchmarks.seeded_graph import CLOSED, HUBS, OPEN, Shape, seed
from tests.figures import percentile, print_figure

EDGES = int(os.environ.get("EDGES", "1000000"))
CALLS = int(os.environ.get("CALLS", "500"))
DEPTH = 10
Ask = tuple[str, dict[str, Any]]


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    home.chmod(0o711)
    try:
        with Stack(home, durable=False) as stack:
            stack.start_services()
            stack.prepare()
            Bench(stack).run()
    finally:
        shutil.rmtree(home, ignore_errors=True)


class Bench:
    """The graph, and a caller who may see one of its two namespaces."""

    def __init__(self, stack: Stack) -> None:
        stack.token("somebody-else", "viewer", CLOSED)
        secret = stack.token("vera", "viewer", OPEN)
        database = stack.services["database"]
        if not isinstance(database, Postgres):
            raise TypeError("the benchmark writes into a database of its own")
        self.chance = random.Random(4)
        with database.superuser(DATABASE) as session:
            began = time.perf_counter()
            seed(session, Shape(EDGES), "vera")
            took = time.perf_counter() - began

            def column(statement: str) -> list[str]:
                return [str(row[0]) for row in session.execute(statement).fetchall()]

            self.edges = int(column("SELECT count(*) FROM lineage_edge")[0])
            seen = f"SELECT n.id FROM registry_namespace n WHERE n.name = '{OPEN}'"
            self.nodes = column(f"SELECT id FROM lineage_node WHERE namespace_id IN ({seen}) ORDER BY id")
            self.datasets = column("SELECT id FROM lineage_datasetversion ORDER BY id")
            self.hubs = column(f"SELECT md5('h' || i)::uuid FROM generate_series(0, {HUBS} - 1) i")
            self.packages = column("SELECT DISTINCT canonical FROM lineage_package ORDER BY 1")
            self.commits = column("SELECT DISTINCT code->>'commit' FROM lineage_run ORDER BY 1")
            versions: list[Any] = session.execute(
                "SELECT m.name, array_agg(v.number ORDER BY v.number) FROM registry_modelversion v"
                " JOIN registry_registeredmodel m ON m.id = v.model_id"
                f" WHERE m.namespace_id IN ({seen}) GROUP BY m.name ORDER BY m.name"
            ).fetchall()
        # The name of each model, and the numbers of its versions.
        self.models: list[tuple[str, list[int]]] = versions
        print_figure("seeded_edges", ours=self.edges, unit="edges", n=1, better="higher")
        print_figure("seeding", ours=round(took, 1), unit="s", n=1)
        # The lists of ids drawn from are this process's own: they are not to be looked over while it measures.
        gc.collect()
        gc.freeze()
        stack.start_processes()
        self.http = httpx.Client(
            base_url=f"{stack.url}/api/v1", headers={"Authorization": f"Bearer {secret}"}, timeout=120
        )

    def run(self) -> None:
        draw = self.chance.choice
        self.measure("ancestors", (self.around(draw(self.nodes), "up") for _ in range(CALLS)), shown)
        self.measure("descendants", (self.around(draw(self.nodes), "down") for _ in range(CALLS)), shown)
        self.measure("impact", (("impact", {"dataset": draw(self.datasets)}) for _ in range(CALLS)), affected)
        self.measure("why", (("why", self.pair()) for _ in range(CALLS)), differing)
        self.measure(
            "path",
            (("lineage/path", {"from": draw(self.nodes), "to": draw(self.nodes)}) for _ in range(CALLS)),
            shown,
        )
        few = max(3, CALLS // 10)
        hubs = list(islice(cycle(self.hubs), CALLS))
        self.measure("hub_first_page", (self.around(hub, "down") for hub in hubs), shown)
        self.pages(self.hubs[0])
        self.measure(
            "hub_versions_only",
            (
                ("lineage/graph", {**self.around(hub, "down")[1], "kind": "model_version"})
                for hub in hubs[:few]
            ),
            shown,
        )
        self.measure("hub_impact", (("impact", {"dataset": hub}) for hub in hubs[:few]), affected)
        self.measure(
            "impact_of_commit",
            (("impact", {"commit": draw(self.commits)[:12]}) for _ in range(few)),
            affected,
        )
        self.measure(
            "impact_of_package",
            (("impact", {"package": f"{draw(self.packages)}<1.2"}) for _ in range(max(3, few // 5))),
            affected,
        )

    def around(self, node: str, direction: str) -> Ask:
        return "lineage/graph", {"node": node, "direction": direction, "depth": DEPTH}

    def pair(self) -> dict[str, str]:
        name, numbers = self.chance.choice([model for model in self.models if len(model[1]) > 1])
        a, b = self.chance.sample(numbers, 2)
        return {"a": f"{OPEN}/{name}:{a}", "b": f"{OPEN}/{name}:{b}"}

    def measure(self, name: str, asks: Iterator[Ask], size: Callable[[Any], int]) -> None:
        """Call after call, one client; the first few, with which processes warm up, are not counted."""
        asked = list(asks)
        for path, query in asked[:3]:
            self.get(path, query)
        taken, sizes = [], []
        for path, query in asked:
            milliseconds, answer = self.get(path, query)
            taken.append(milliseconds)
            sizes.append(size(answer))
        tell(name, taken, sizes)

    def pages(self, hub: str) -> None:
        """All pages of a hub."""
        path, query = self.around(hub, "down")
        taken: list[float] = []
        sizes: list[int] = []
        seen: set[str] = set()
        while True:
            milliseconds, answer = self.get(path, query)
            taken.append(milliseconds)
            sizes.append(len(answer["nodes"]))
            seen.update(node["id"] for node in answer["nodes"])
            if not answer["next"]:
                break
            query = dict(httpx.URL(answer["next"]).params)
        if len(seen) != sum(sizes):
            raise AssertionError("a page repeats a node")
        tell("hub_all_pages", taken, sizes)
        print_figure("hub_descendants", ours=len(seen) - 1, unit="nodes", n=1, better="higher")

    def get(self, path: str, query: dict[str, Any]) -> tuple[float, Any]:
        began = time.perf_counter()
        answer = self.http.get(path, params=query)
        milliseconds = (time.perf_counter() - began) * 1000
        answer.raise_for_status()
        return milliseconds, answer.json()


def shown(answer: Any) -> int:
    return len(answer["nodes"])


def affected(answer: Any) -> int:
    return int(sum(answer["stages"].values()) + answer["restricted"])


def differing(answer: Any) -> int:
    return len(answer["differences"])


def tell(name: str, taken: list[float], sizes: list[int]) -> None:
    print_figure(name, ours=round(statistics.median(taken), 2), unit="ms", n=len(taken), milliseconds=taken)
    for share, figure in ((0.5, "p50"), (0.95, "p95"), (1.0, "largest")):
        print_figure(
            f"{name}_size_{figure}",
            ours=percentile(sizes, share),
            unit="results",
            n=len(sizes),
            better="higher",
        )


if __name__ == "__main__":
    main()
