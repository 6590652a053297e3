"""Letting what a gate says stand: asked by one person, granted or refused by another."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from assay.cli.options import Json, Limit, Namespace, PromotionId, Reason, Token, Url
from assay.cli.screen import session
from assay.cli.words import facts, plain, state, when
from assay.waivers import Waiver

app = typer.Typer(
    name="waiver", no_args_is_help=True, help="Let a gate's result stand: two people, a reason, a term."
)
WaiverId = Annotated[str, typer.Argument(metavar="WAIVER", show_default=False, help="A waiver's id.")]


@app.command()
def ask(
    promotion_id: PromotionId,
    gate: Annotated[
        str,
        typer.Argument(metavar="GATE", show_default=False, help="As no_regression; `assay promotion ID`."),
    ],
    reason: Reason,
    days: Annotated[float, typer.Option("--days", min=0, max=90, help="How long it stands.")] = 14,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Ask that what a gate says of a promotion be let stand. Somebody else grants it."""
    with session(url, token, as_json) as (client, screen):
        waiver = client.ask_waiver(promotion_id, gate, reason, days=days)
        then = Text("Somebody else may grant it:") + plain(f"\n  assay waiver grant {waiver['id']}", "bold")
        screen.show(waiver, waiver_view(waiver), Text(""), then)


@app.command(name="list")
def list_waivers(
    namespace: Namespace = None,
    only: Annotated[str | None, typer.Option("--state", help="asked, granted, refused or expired.")] = None,
    limit: Limit = 30,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List waivers, newest first."""
    with session(url, token, as_json) as (client, screen):
        found = client.waivers(namespace=namespace, state=only, limit=limit)
        screen.show(
            found, *(waiver_view(each) for each in found) if found else (Text("No waivers.", style="dim"),)
        )


@app.command()
def grant(
    waiver_id: WaiverId, reason: Reason, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """Let it stand, until its term ends or the gate finds something else."""
    with session(url, token, as_json) as (client, screen):
        waiver = client.grant_waiver(waiver_id, reason)
        again = Text("A promotion that failed is asked for again:")
        again += plain(f"\n  assay promote {waiver['version']} {waiver['target']} --reason ...", "bold")
        screen.show(waiver, waiver_view(waiver), Text(""), again)


@app.command()
def refuse(
    waiver_id: WaiverId, reason: Reason, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """Do not let it stand."""
    with session(url, token, as_json) as (client, screen):
        waiver = client.refuse_waiver(waiver_id, reason)
        screen.show(waiver, waiver_view(waiver))


def waiver_view(waiver: Waiver) -> RenderableType:
    """What the gate says, who asks that it be let stand, and what came of it."""
    title = plain(waiver["gate"], "bold") + plain(f" of {waiver['version']} to {waiver['target']}: waiver ")
    decided = ""
    if waiver["decided_by"]:
        decided = f"by {waiver['decided_by']}, {when(waiver['decided_at'])} UTC: {waiver['decided_reason']}"
    rows: list[tuple[str, Text | str]] = [
        ("says", waiver["sentence"]),
        ("why", waiver["reason"]),
        ("until", f"{when(waiver['until'])} UTC"),
        ("asked", f"by {waiver['asked_by']}, {when(waiver['asked_at'])} UTC"),
        ("decided", decided),
        ("id", waiver["id"]),
    ]
    return Group(title + state(waiver["state"]), facts(rows))
