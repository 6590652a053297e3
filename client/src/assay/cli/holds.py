"""Keeping versions for a case: one person places a legal hold, two lift it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from assay.cli.options import Json, Limit, Namespace, Reason, Ref, Token, Url
from assay.cli.screen import session
from assay.cli.words import facts, plain, when
from assay.holds import Hold, HoldLift

app = typer.Typer(
    name="hold", no_args_is_help=True, help="Keep a version for a case: nobody deletes it or puts it away."
)
HoldId = Annotated[str, typer.Argument(metavar="HOLD", show_default=False, help="A hold's id.")]
STYLES = {"standing": "bold", "lift_asked": "yellow", "lifted": "dim"}
STATES = {"standing": "stands", "lift_asked": "stands, a lift is asked", "lifted": "lifted"}
SAID = {"grant": "granted", "refuse": "refused"}


@app.command()
def place(ref: Ref, reason: Reason, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Place a hold on a version. It ends when two people lift it."""
    with session(url, token, as_json) as (client, screen):
        hold = client.place_hold(ref, reason)
        screen.show(hold, hold_view(hold))


@app.command(name="list")
def list_holds(
    namespace: Namespace = None,
    only: Annotated[
        str | None, typer.Option("--state", help="standing (asked about or not), lift_asked or lifted.")
    ] = None,
    limit: Limit = 30,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List holds, newest first."""
    with session(url, token, as_json) as (client, screen):
        found = client.holds(namespace=namespace, state=only, limit=limit)
        screen.show(
            found, *(hold_view(each) for each in found) if found else (Text("No holds.", style="dim"),)
        )


@app.command()
def lift(
    hold_id: HoldId, reason: Reason, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """Ask that a hold be lifted. It stands until somebody else grants that."""
    with session(url, token, as_json) as (client, screen):
        hold = client.lift_hold(hold_id, reason)
        then = Text("It stands until somebody else lifts it:")
        then += plain(f"\n  assay hold grant {hold['id']}", "bold")
        screen.show(hold, hold_view(hold), Text(""), then)


@app.command()
def grant(
    hold_id: HoldId, reason: Reason, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """Lift a hold, as somebody else asked: the version can be deleted and put away again."""
    with session(url, token, as_json) as (client, screen):
        hold = client.grant_hold_lift(hold_id, reason)
        screen.show(hold, hold_view(hold))


@app.command()
def refuse(
    hold_id: HoldId, reason: Reason, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """Keep a hold, though somebody else asked that it be lifted."""
    with session(url, token, as_json) as (client, screen):
        hold = client.refuse_hold_lift(hold_id, reason)
        screen.show(hold, hold_view(hold))


def hold_view(hold: Hold) -> RenderableType:
    """What is kept and why, and who asked that it be let go."""
    title = plain(hold["version"], "bold") + plain(": legal hold ")
    title += plain(STATES[hold["state"]], STYLES[hold["state"]])
    rows: list[tuple[str, Text | str]] = [
        ("why", hold["reason"]),
        ("placed", f"by {hold['placed_by']}, {when(hold['placed_at'])} UTC"),
    ]
    for asked in hold["lifts"]:
        rows += lift_rows(asked)
    if hold["lifted_by"]:
        rows.append(("lifted", f"by {hold['lifted_by']}, {when(hold['lifted_at'])} UTC"))
    return Group(title, facts([*rows, ("id", hold["id"])]))


def lift_rows(asked: HoldLift) -> list[tuple[str, Text | str]]:
    """That it be lifted: who asked and why, and what became of it."""
    rows: list[tuple[str, Text | str]] = [
        ("asked", f"by {asked['asked_by']}, {when(asked['asked_at'])} UTC: {asked['reason']}")
    ]
    if asked["verdict"]:
        decided = f"by {asked['decided_by']}, {when(asked['decided_at'])} UTC: {asked['decided_reason']}"
        rows.append((SAID[asked["verdict"]], decided))
    return rows
