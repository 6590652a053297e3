"""Looking things up: show, versions, search, compare, log."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from assay.answers import Comparison, Event
from assay.cli.options import Json, Limit, Model, Namespace, Ref, Token, Url
from assay.cli.screen import session
from assay.cli.views import scan_view, version_view, versions_view
from assay.cli.words import listing, number, plain, row, state, when


def show(ref: Ref, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Show a version: what it is, where it stands, how good it is, what made it."""
    with session(url, token, as_json) as (client, screen):
        version = client.version(ref)
        screen.show(version, version_view(version))


def scan(ref: Ref, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Show what is inside a version's files, and whether loading them may run code."""
    with session(url, token, as_json) as (client, screen):
        found = client.scan(ref)
        screen.show(found, scan_view(found))


def versions(
    model: Model,
    stage: Annotated[str | None, typer.Option("--stage", help="Only those in this stage.")] = None,
    limit: Limit = 30,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the versions of a model, newest first."""
    with session(url, token, as_json) as (client, screen):
        found = client.versions(model, stage=stage, limit=limit)
        screen.show(found, versions_view(found))


def search(
    query: Annotated[
        str,
        typer.Argument(
            metavar="QUERY",
            show_default=False,
            help="""As: task = "fraud" and stage = production and metric.auc >= 0.9""",
        ),
    ] = "",
    order_by: Annotated[str | None, typer.Option("--order-by", help="As -metric.auc or -created_at.")] = None,
    namespace: Namespace = None,
    limit: Limit = 30,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Find versions by task, tag, stage, name, metric."""
    with session(url, token, as_json) as (client, screen):
        found = client.search(query, order_by=order_by, namespace=namespace, limit=limit)
        screen.show(found, versions_view(found))


def compare(
    a: Ref,
    b: Ref,
    everything: Annotated[bool, typer.Option("--all", help="Equal parameters too.")] = False,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Two versions side by side: metrics and parameters."""
    with session(url, token, as_json) as (client, screen):
        found = client.compare(a, b)
        screen.show(found, _compared(found, everything))


def log(
    namespace: Annotated[str, typer.Argument(metavar="NAMESPACE", show_default=False)],
    event: Annotated[str | None, typer.Option("--type", help="As promotion.applied.")] = None,
    limit: Limit = 30,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """The journal of a namespace: what happened, by whom, why."""
    with session(url, token, as_json) as (client, screen):
        found = client.events(namespace, type=event, limit=limit)
        screen.show(found, *(map(_happened, found) if found else [Text("Nothing happened.", style="dim")]))


def _happened(event: Event) -> RenderableType:
    """Two lines, as names and reasons are long: when, what happened and by whom; to what and why."""
    time = when(event.get("at") or event.get("timestamp"))
    by = plain(f" by {event['actor']}" if event.get("actor") else "")
    first = plain(f"{time}  ", "dim") + plain(event["type"], "bold") + by
    subject, reason = _subject(event), event.get("reason") or ""
    return Group(first, Padding(plain(f"{subject}: {reason}" if reason else subject), (0, 0, 0, 18)))


def _compared(found: Comparison, everything: bool) -> RenderableType:
    references = [version["reference"] for version in found["versions"]]
    parts: list[RenderableType] = []
    summary = listing("", *references, fold=references)
    for name in ("stage", "format", "created_by"):
        row(
            summary,
            plain(name.replace("_", " "), "dim"),
            *(state(str(dict(v)[name])) for v in found["versions"]),
        )
    parts.append(summary)
    if found["metrics"]:
        table = listing(
            "metric", "dataset", "split", *references, "difference", right=[*references, "difference"]
        )
        for metric in found["metrics"]:
            values = metric["values"]
            first, last = values[0], values[-1]
            difference = f"{last - first:+.4g}" if first is not None and last is not None else "-"
            row(table, metric["name"], metric["dataset"], metric["split"], *map(number, values), difference)
        parts += [Text(""), table]
    differing = [p for p in found["parameters"] if everything or len({str(v) for v in p["values"]}) > 1]
    if differing:
        table = listing("parameter", *references, fold=["parameter", *references])
        for parameter in differing:
            row(
                table,
                parameter["key"],
                *("-" if value is None else str(value) for value in parameter["values"]),
            )
        parts += [Text(""), table]
    elif found["parameters"]:
        parts += [Text(""), Text("All parameters are equal.", style="dim")]
    return Group(*parts)


def _subject(event: Event) -> str:
    subject = event.get("subject") or {}
    return str(subject.get("reference") or subject.get("name") or subject.get("kind") or "")
