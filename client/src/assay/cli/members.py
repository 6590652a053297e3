"""Who holds which role; the operator's role is asked for by one and confirmed by another."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from assay.cli.options import Json, Limit, OptionalReason, Reason, Token, Url
from assay.cli.screen import session
from assay.cli.words import facts, listing, plain, row, state, when
from assay.members import Grant, Granted

app = typer.Typer(
    name="member", no_args_is_help=True, help="Roles of a namespace; the operator's takes two people."
)
NamespaceName = Annotated[str, typer.Argument(metavar="NAMESPACE", show_default=False)]
User = Annotated[str, typer.Argument(metavar="USER", show_default=False)]
Role = Annotated[
    str,
    typer.Argument(metavar="ROLE", show_default=False, help="As ml_engineer, or a group of the namespace."),
]
GrantId = Annotated[
    str, typer.Argument(metavar="GRANT", show_default=False, help="As `assay member asked` lists.")
]


@app.command(name="list")
def list_members(
    namespace: NamespaceName, limit: Limit = 200, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """List who holds which role."""
    with session(url, token, as_json) as (client, screen):
        found = client.members(namespace, limit=limit)
        table = listing("who", "role", fold=["who"])
        for each in found:
            row(table, each["user"], each["role"].replace("_", " "))
        screen.show(found, table)


@app.command()
def grant(
    namespace: NamespaceName,
    user: User,
    role: Role,
    reason: OptionalReason = "",
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Give a role. The production operator's is asked for, and somebody else confirms it."""
    with session(url, token, as_json) as (client, screen):
        done = client.grant_role(namespace, user, role, reason)
        screen.show(done, granted_view(done, namespace))


@app.command()
def revoke(
    namespace: NamespaceName,
    user: User,
    role: Role,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Take a role away, at once."""
    with session(url, token, as_json) as (client, screen):
        client.revoke_role(namespace, user, role)
        told = plain(user, "bold") + plain(f" is no longer {role.replace('_', ' ')} in {namespace}.")
        screen.show({"user": user, "role": role, "namespace": namespace}, told)


@app.command()
def asked(
    namespace: NamespaceName,
    only: Annotated[
        str | None, typer.Option("--state", help="asked, granted, refused or expired.")
    ] = "asked",
    limit: Limit = 30,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the roles that wait for a second person."""
    with session(url, token, as_json) as (client, screen):
        found = client.grants(namespace, state=only, limit=limit)
        nothing = (Text("Nothing waits for a second person.", style="dim"),)
        screen.show(found, *(grant_view(each) for each in found) if found else nothing)


@app.command()
def confirm(
    grant_id: GrantId,
    reason: OptionalReason = "",
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Give the role that somebody else asked for."""
    with session(url, token, as_json) as (client, screen):
        decided = client.confirm_grant(grant_id, reason)
        screen.show(decided, grant_view(decided))


@app.command()
def refuse(
    grant_id: GrantId, reason: Reason, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """Do not give it."""
    with session(url, token, as_json) as (client, screen):
        decided = client.refuse_grant(grant_id, reason)
        screen.show(decided, grant_view(decided))


def granted_view(done: Granted, namespace: str) -> RenderableType:
    """That they hold it, or that somebody else has to confirm it."""
    told = plain(done["user"], "bold")
    role = done["role"].replace("_", " ")
    match done["outcome"]:
        case "asked":
            told += plain(f" is asked for as {role} in {namespace}. Somebody else confirms it:")
            return told + plain(f"\n  assay member asked {namespace}", "bold")
        case "held":
            return told + plain(f" was already {role} in {namespace}.")
    return told + plain(f" is now {role} in {namespace}.")


def grant_view(grant: Grant) -> RenderableType:
    """Who is to get which role, who asks, and what became of it."""
    title = plain(grant["user"], "bold") + plain(f" as {grant['role'].replace('_', ' ')} in ")
    title += plain(f"{grant['namespace']}: ") + state(grant["state"])
    decided = ""
    if grant["decided_by"]:
        decided = f"by {grant['decided_by']}, {when(grant['decided_at'])} UTC"
        decided += f": {grant['decided_reason']}" if grant["decided_reason"] else ""
    waits = grant["state"] == "asked"
    rows: list[tuple[str, Text | str]] = [
        ("asked", f"by {grant['asked_by']}, {when(grant['asked_at'])} UTC"),
        ("why", grant["reason"]),
        ("until", f"{when(grant['expires_at'])} UTC" if waits else ""),
        ("decided", decided),
        ("id", grant["id"]),
    ]
    return Group(title, facts(rows))
