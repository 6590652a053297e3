"""Freezing a stage for a time, and ending that early."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from assay.cli.options import Json, Limit, Namespace, Reason, Token, Url
from assay.cli.screen import session
from assay.cli.words import facts, plain, when
from assay.freezes import Freeze

app = typer.Typer(
    name="freeze", no_args_is_help=True, help="Let nothing enter a stage for a time; rollback stays possible."
)
STYLES = {"standing": "bold red", "coming": "yellow", "over": "dim"}
TIMES = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"]


@app.command(name="set")
def freeze(
    about: Annotated[
        str,
        typer.Argument(
            metavar="NAMESPACE[/MODEL]", show_default=False, help="Or everywhere, for administrators."
        ),
    ],
    until: Annotated[datetime, typer.Option("--until", formats=TIMES, help="In UTC.", show_default=False)],
    reason: Reason,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=TIMES, help="In UTC; else at once.")
    ] = None,
    target: Annotated[str | None, typer.Option("--stage", help="staging or production; else both.")] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Freeze a stage: requests are made and approved, and take effect when it is over."""
    with session(url, token, as_json) as (client, screen):
        made = client.freeze(
            None if about == "everywhere" else about,
            until.replace(tzinfo=UTC),
            reason,
            target=target,
            since=since.replace(tzinfo=UTC) if since else None,
        )
        screen.show(made, freeze_view(made))


@app.command()
def end(
    freeze_id: Annotated[str, typer.Argument(metavar="FREEZE", show_default=False, help="A freeze's id.")],
    reason: Reason,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """End a freeze early."""
    with session(url, token, as_json) as (client, screen):
        ended = client.end_freeze(freeze_id, reason)
        screen.show(ended, freeze_view(ended))


@app.command(name="list")
def list_freezes(
    namespace: Namespace = None,
    only: Annotated[str | None, typer.Option("--state", help="standing, coming or over.")] = None,
    limit: Limit = 30,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List freezes, newest first."""
    with session(url, token, as_json) as (client, screen):
        found = client.freezes(namespace=namespace, state=only, limit=limit)
        screen.show(
            found, *(freeze_view(each) for each in found) if found else (Text("No freezes.", style="dim"),)
        )


def freeze_view(freeze: Freeze) -> RenderableType:
    """What is frozen, from when to when, why and by whom."""
    title = plain(freeze["about"], "bold") + plain(f", {freeze['target'] or 'staging and production'}: ")
    ended = ""
    if freeze["ended_by"]:
        ended = f"by {freeze['ended_by']}, {when(freeze['ended_at'])} UTC: {freeze['ended_reason']}"
    rows: list[tuple[str, Text | str]] = [
        ("from", f"{when(freeze['starts_at'])} UTC"),
        ("until", f"{when(freeze['ends_at'])} UTC"),
        ("why", freeze["reason"]),
        ("by", freeze["by"]),
        ("ended", ended),
        ("id", freeze["id"]),
    ]
    return Group(title + plain(freeze["state"], STYLES[freeze["state"]]), facts(rows))
