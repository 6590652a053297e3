"""Where a version came from, and why two differ."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from assay.answers import Graph, Node, Why
from assay.cli.options import Json, Ref, Token, Url
from assay.cli.screen import session
from assay.cli.words import listing, number, plain, row, short

KINDS = {"model_version": "version", "dataset_version": "dataset", "logged_model": "model", "run": "run"}


def why(a: Ref, b: Ref, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Why B differs from A: metrics beside what differs in data, code, parameters, environment."""
    with session(url, token, as_json) as (client, screen):
        found = client.why(a, b)
        screen.show(found, _why(a, b, found))


def trace(
    ref: Ref,
    up: Annotated[bool, typer.Option("--up", help="What it was made from (the default).")] = False,
    down: Annotated[bool, typer.Option("--down", help="What was made from it.")] = False,
    both: Annotated[bool, typer.Option("--both", help="Both ways.")] = False,
    depth: Annotated[int | None, typer.Option("--depth", min=1, help="At most so many steps.")] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """The lineage of a version, as a tree."""
    one_way = "down" if down and not up else "up"
    direction = "both" if both or (up and down) else one_way
    with session(url, token, as_json) as (client, screen):
        graph = client.trace(ref, direction=direction, depth=depth)
        trees = [
            lineage_tree(graph, way) for way in (("up", "down") if direction == "both" else (direction,))
        ]
        screen.show(graph, *trees)


def lineage_tree(graph: Graph, direction: str) -> Tree:
    """The graph from its root on; a node met again is named, not opened again."""
    nodes = {node["id"]: node for node in graph["nodes"]}
    here, there = ("to", "from") if direction == "up" else ("from", "to")
    steps: dict[str, list[tuple[str, str]]] = {}
    for edge in graph["edges"]:
        ends = {"from": edge["from"], "to": edge["to"]}
        # "input" and "output" say no more than the tree does
        role = edge.get("context") or (edge["role"] if edge["role"] not in ("input", "output") else "")
        steps.setdefault(ends[here], []).append((ends[there], role))
    root = nodes[graph["root"]]
    title = _node(root) + plain("  made from" if direction == "up" else "  went into", "dim")
    tree = Tree(title, guide_style="dim")
    if graph["root"] not in steps:
        tree.add(Text("nothing that is known", style="dim"))
    seen = {graph["root"]}

    def grow(branch: Tree, node: str) -> None:
        for other, role in sorted(steps.get(node, []), key=lambda step: (step[1], step[0])):
            text = _node(nodes[other]) + plain(f"  {role}" if role else "", "dim")
            if other in seen:
                branch.add(text + Text("  (above)", style="dim"))
            else:
                seen.add(other)
                grow(branch.add(text), other)

    grow(tree, graph["root"])
    return tree


def _node(node: Node) -> Text:
    detail = node["detail"]
    match node["kind"]:
        case "run":
            commit = str(detail.get("commit") or "")[:10]
            said = f"{detail.get('status', '')}, commit {commit}" if commit else str(detail.get("status", ""))
        case "dataset_version":
            said = short(str(detail.get("digest") or ""))
        case _:
            said = str(detail.get("stage") or "")
            if detail.get("bought_from"):
                said += f", bought from {detail['bought_from']}"
    title = plain(KINDS.get(node["kind"], node["kind"]) + " ", "cyan") + plain(node["label"], "bold")
    return title + plain(f"  {said}" if said else "", "not bold dim")


def _why(a: str, b: str, found: Why) -> RenderableType:
    parts: list[RenderableType] = [plain(found["sentence"], "bold")]
    if found["metrics"]:
        table = listing("metric", "dataset", "split", "A", "B", "difference", right=["A", "B", "difference"])
        for metric in found["metrics"]:
            difference = "-" if metric["difference"] is None else f"{metric['difference']:+.4g}"
            values = (number(metric["a"]), number(metric["b"]), difference)
            row(table, metric["name"], metric["dataset"], metric["split"], *values)
        parts += [plain(f"A is {a}, B is {b}.", "dim"), Text(""), table]
    if found["differences"]:
        table = listing("differs", "how", fold=["how"])
        for each in found["differences"]:
            row(table, plain(each["kind"], "yellow"), each["sentence"])
        parts += [Text(""), table]
    return Group(*parts)
