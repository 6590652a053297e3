"""What is known to be wrong with a model or a version, until somebody says what became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from assay.cli.options import Json, Limit, Namespace, Reason, Token, Url
from assay.cli.screen import session
from assay.cli.words import facts, plain, state, when
from assay.incidents import Incident

app = typer.Typer(
    name="incident", no_args_is_help=True, help="What is known to be wrong: open, list and close incidents."
)


class Severity(StrEnum):
    """From bad to worst."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@app.command(name="open")
def open_incident(
    about: Annotated[
        str,
        typer.Argument(
            metavar="REF",
            show_default=False,
            help="namespace/model:3, or namespace/model whatever the version.",
        ),
    ],
    title: Annotated[str, typer.Argument(metavar="TITLE", show_default=False, help="What is wrong.")],
    severity: Annotated[Severity, typer.Option("--severity", "-s", help="How bad it is.")] = Severity.MEDIUM,
    detail: Annotated[str, typer.Option("--detail", help="All that is known.")] = "",
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Say that something is wrong. Policies may let nothing pass while it is open."""
    with session(url, token, as_json) as (client, screen):
        incident = client.open_incident(about, title, severity=severity.value, detail=detail)
        screen.show(incident, incident_view(incident))


@app.command()
def close(
    incident_id: Annotated[
        str, typer.Argument(metavar="INCIDENT", show_default=False, help="An incident's id.")
    ],
    reason: Reason,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Close it for good; the reason is what became of it."""
    with session(url, token, as_json) as (client, screen):
        incident = client.close_incident(incident_id, reason)
        screen.show(incident, incident_view(incident))


@app.command(name="list")
def list_incidents(
    namespace: Namespace = None,
    closed: Annotated[bool, typer.Option("--all", help="Those that are closed, too.")] = False,
    limit: Limit = 30,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the open incidents, newest first."""
    with session(url, token, as_json) as (client, screen):
        found = client.incidents(namespace=namespace, state=None if closed else "open", limit=limit)
        views = [incident_view(each) for each in found] or [Text("No incidents.", style="dim")]
        screen.show(found, *views)


def incident_view(incident: Incident) -> RenderableType:
    """What is wrong, with what, and what became of it."""
    title = plain(incident["about"], "bold") + plain(f"  {incident['title']}  ") + state(incident["state"])
    closed = ""
    if incident["closed_by"]:
        closed = f"by {incident['closed_by']}, {when(incident['closed_at'])} UTC: {incident['resolution']}"
    rows: list[tuple[str, Text | str]] = [
        ("severity", incident["severity"]),
        ("detail", incident["detail"]),
        ("opened", f"by {incident['opened_by']}, {when(incident['opened_at'])} UTC"),
        ("closed", closed),
        ("id", incident["id"]),
    ]
    return Group(title, facts(rows))
