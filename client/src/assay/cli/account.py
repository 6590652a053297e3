"""Who am I, and where."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from assay import settings
from assay.answers import Identity
from assay.cli.options import Json, Token, Url
from assay.cli.screen import session
from assay.cli.words import facts, listing, plain, row, when


def login(
    url: Annotated[str, typer.Argument(metavar="URL", show_default=False, help="Address of the server.")],
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Store a token for a server and make it the default. The token is asked for, or read from a pipe."""
    if not token:
        piped = not sys.stdin.isatty()
        token = sys.stdin.readline().strip() if piped else typer.prompt("Token", hide_input=True).strip()
    with session(url, token, as_json) as (client, screen):
        identity = client.whoami()
        path = settings.save(settings.Settings(client.url, token or ""))
        screen.show(
            {"url": client.url, "user": identity["user"], "file": str(path)},
            Text("Logged in to ")
            + plain(client.url)
            + Text(" as ")
            + plain(identity["user"], "bold")
            + Text("."),
            plain(f"The token is in {path}, readable by you only.", "dim"),
        )


def whoami(url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Who the token speaks for, and what it may do where."""
    with session(url, token, as_json) as (client, screen):
        identity = client.whoami()
        screen.show(identity, _title(identity), _token(client.url, identity), Text(""), _namespaces(identity))


def mail(
    address: Annotated[
        str | None, typer.Argument(metavar="ADDRESS", show_default=False, help="As ada@example.org.")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Send no mail.")] = False,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Say where mail goes about what waits for you, and what became of what you asked for; or where it goes now."""
    if address and off:
        raise typer.BadParameter("Either an address or --off.", param_hint="--off")
    with session(url, token, as_json) as (client, screen):
        identity = client.set_address(address or "") if address or off else client.whoami()
        email = identity.get("email", "")
        told = (
            plain("Mail for you goes to ") + plain(email, "bold") if email else Text("No mail is sent to you")
        )
        screen.show({"email": email}, told + Text("."))


def _title(identity: Identity) -> Text:
    title = plain(identity["user"], "bold")
    if identity.get("display_name") and identity["display_name"] != identity["user"]:
        title += plain(f"  {identity['display_name']}")
    return title + plain("  service" if identity.get("service") else "", "dim")


def _token(url: str, identity: Identity) -> RenderableType:
    token = identity.get("token") or {}
    shown = ", ".join(
        part
        for part in (
            f"assay_{token['prefix'].removeprefix('assay_')}_..." if token.get("prefix") else "",
            f"only {token['namespace']}" if token.get("namespace") else "",
            f"until {when(token['expires_at'])} UTC" if token.get("expires_at") else "",
        )
        if part
    )
    return facts([("server", url), ("token", shown), ("version", identity.get("version", ""))])


def _namespaces(identity: Identity) -> RenderableType:
    if not identity["namespaces"]:
        return Text("No namespace is open to you: ask a namespace admin for a role.", style="dim")
    table = listing("namespace", "roles", fold=["roles"])
    for each in identity["namespaces"]:
        row(table, plain(each["name"], "bold"), ", ".join(role.replace("_", " ") for role in each["roles"]))
    return table
