"""Where a version came from, and why two differ."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from assay.answers import Difference, Graph, MetricDifference, Node, Why
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
    """The verdict, what it does not know, the metrics, and below them every difference side by side."""
    verdict, reservations = found.get("verdict"), found.get("reservations", [])
    parts: list[RenderableType] = [plain(verdict or found["sentence"], "bold")]
    parts += [plain(words, "yellow") for words in reservations] if verdict else []
    if found["metrics"] or found["differences"]:
        parts += [plain(f"A is {a}, B is {b}.", "dim")]
    if found["metrics"]:
        headers = ["metric", "dataset", "split", "A", "B", "B - A"]
        intervals = any(metric.get("low") is not None for metric in found["metrics"])
        headers += ["interval"] if intervals else []
        table = listing(*headers, right=headers[3:], fold=["dataset"])
        for metric in found["metrics"]:
            row(table, *_metric(metric, intervals))
        parts += [Text(""), table]
    if found["differences"]:
        table = listing("differs", "what", "A", "B", fold=["what", "A", "B"])
        for each in found["differences"]:
            row(table, *_difference(each))
        parts += [Text(""), table]
    links = [each["link"] for each in found["differences"] if each.get("link")]
    parts += [Text(""), *(plain(link, "dim") for link in links)] if links else []
    return Group(*parts)


def _metric(metric: MetricDifference, intervals: bool) -> list[str]:
    difference = "-" if metric["difference"] is None else f"{metric['difference']:+.4g}"
    where = ", ".join(part for part in (metric["split"], metric.get("slice", "")) if part)
    cells = [metric["name"], metric["dataset"], where, number(metric["a"]), number(metric["b"]), difference]
    low, high = metric.get("low"), metric.get("high")
    told = "" if low is None or high is None else f"{low:+.4g} to {high:+.4g}"
    return [*cells, told] if intervals else cells


def _difference(each: Difference) -> list[Text]:
    """What follows from another difference stands back."""
    follows = each.get("follows", "")
    kind = plain(f"  {each['kind']}", "dim") if follows else plain(each["kind"], "yellow")
    told = each.get("told") or ["", ""]
    what = each.get("what") or each["sentence"]
    style = "dim" if follows else ""
    named = plain(what, style) + plain(f"\n{each['more']}" if each.get("more") else "", "not bold dim")
    return [kind, named, *(plain(text, style) for text in told)]
