"""What runs where, and what is in production: now, and at a time."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from assay.cli.options import Json, Model, OptionalReason, Ref, Token, Url
from assay.cli.screen import session
from assay.cli.words import facts, plain, short, when
from assay.deployments import Production, Running

Target = Annotated[
    str, typer.Option("--target", "-t", metavar="NAME", show_default=False, help="Where, as eu-1.")
]


class Serves(StrEnum):
    """The stages whose versions run somewhere."""

    STAGING = "staging"
    PRODUCTION = "production"


def deployed(
    ref: Ref,
    target: Target,
    digest: Annotated[
        str | None, typer.Option("--digest", help="What really runs; else the version's own digest.")
    ] = None,
    serves: Annotated[
        Serves | None,
        typer.Option("--stage", help="Whose versions belong there; at first production."),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            "--every", min=0, metavar="SECONDS", help="It is said again within; else its silence is told."
        ),
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Report that a version runs somewhere; say it again as a heartbeat."""
    with session(url, token, as_json) as (client, screen):
        answer = client.deployed(
            ref, target, digest=digest, serves=serves.value if serves else None, interval=every
        )
        screen.show(answer, running_line(answer))


def undeployed(
    model: Model,
    target: Target,
    reason: OptionalReason = "",
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Report that a model does not run somewhere any more."""
    with session(url, token, as_json) as (client, screen):
        client.undeployed(model, target, reason=reason)
        done = plain(model, "bold") + plain(f" does not run at {target} any more.")
        screen.show({"model": model, "target": target}, done)


def production(
    model: Model,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="As it was then: 2026-01-31T12:00:00Z.")
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """What is in production, on whose approval, and what runs where."""
    with session(url, token, as_json) as (client, screen):
        found = client.production(model, at=at)
        screen.show(found, production_view(found, model))


def production_view(found: Production, model: str) -> RenderableType:
    """What was approved, by whom; below it, target by target, what runs."""
    version, asked = found["version"], found["promotion"]
    since = f" since {when(found['since'])} UTC" if found["since"] else ""
    rows: list[tuple[str, Text | str]] = []
    if version is None:
        title = plain(f"Nothing of {model} is in production{since}.", "bold yellow")
    else:
        title = plain(version["reference"], "bold") + plain(" is in ") + plain("production", "bold green")
        title += plain(since)
        rows.append(("digest", short(version["digest"] or "")))
    if asked is not None:
        kind = "rolled back" if asked["kind"] == "rollback" else "asked"
        rows.append(
            (kind, f"by {asked['requested_by']}" + (f": {asked['reason']}" if asked["reason"] else ""))
        )
        rows += [
            ("approved", f"by {each['by']}" + (f": {each['reason']}" if each["reason"] else ""))
            for each in found["approved_by"]
        ]
        rows.append(("promotion", asked["id"]))
    if not found["running"]:
        return Group(title, facts(rows), plain("No target is reported to run it.", "dim"))
    return Group(title, facts(rows), Text(""), *(running_line(each) for each in found["running"]))


def running_line(running: Running) -> RenderableType:
    """A target and what it runs; what is wrong with it in its colour."""
    heard = f", last heard of {when(running['last_seen'])}" if running["last_seen"] else ""
    line = plain(running["target"], "bold") + plain(" runs ") + plain(running["version"], "bold")
    line += plain(f" since {when(running['since'])}{heard} UTC")
    if running["drift"]:
        style = "bold red" if running["loud"] else "yellow"
        return Group(line, plain(f"  {running['sentence']}", style))
    if running["approved"] is False:
        return Group(line, plain("  That is not what is in production.", "yellow"))
    word = "as approved" if running["approved"] else f"as {running['serves']} should"
    return line + plain(", ") + plain(word, "green") + plain(".")
