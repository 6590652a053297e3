"""Taking out text that should never have reached the server."""

from __future__ import annotations

import json
import re
import sys
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from assay.cli.options import Json, Limit, OptionalReason, Reason, Token, Url
from assay.cli.screen import session
from assay.cli.words import facts, listing, plain, row, state, when
from assay.redactions import Redaction, RedactionPlace, TextFound

app = typer.Typer(
    name="redact",
    no_args_is_help=True,
    help="Take out a secret or personal data that reached the server: one person asks, another decides.",
)
Owner = Annotated[str, typer.Argument(metavar="NAMESPACE", show_default=False)]
RedactionId = Annotated[str, typer.Argument(metavar="ID", show_default=False, help="A redaction's id.")]
PLACE = re.compile(
    r"(?P<kind>[a-z]+):(?P<id>[^:\s]+):(?P<field>[a-z_]+)(?P<path>(?:\.[^.\[\]]+|\[[^\[\]]+\])*)"
)
STEP = re.compile(r"\.([^.\[\]]+)|\[([^\[\]]+)\]")
SHOWN = 40
BEYOND = (
    "Not looked into: files of models, signatures, compressed documents, names of people and tokens, other spellings "
    "of the text; backups, and what webhooks were told."
)
MORE = "It stands in more places than one redaction takes: ask again when these are taken out."


@app.command()
def find(namespace: Owner, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Say where a text stands in a namespace. It is asked for, or read from a pipe: never an argument."""
    with session(url, token, as_json) as (client, screen):
        found = client.find_text(namespace, _secret())
        screen.show(found, _found(namespace, found))


@app.command()
def ask(
    namespace: Owner,
    reason: Reason,
    place: Annotated[
        list[str] | None,
        typer.Option(
            "--place",
            metavar="KIND:ID:FIELD",
            show_default=False,
            help="Take out what stands there, as run:5f...:command[2]; without it the text is asked for.",
        ),
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Ask for a text to be taken out wherever it stands, or for what stands at places. Somebody else decides."""
    places = [_place(each) for each in place or []]
    with session(url, token, as_json) as (client, screen):
        asked = client.ask_redaction(namespace, reason, text=None if places else _secret(), places=places)
        hint = f"Somebody else takes them out with: assay redact approve {asked['id']}"
        screen.show(asked, _one(asked), plain(hint, "dim"))


@app.command(name="list")
def list_redactions(
    namespace: Owner, limit: Limit = 20, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """List the redactions of a namespace, newest first."""
    with session(url, token, as_json) as (client, screen):
        found = client.redactions(namespace, limit=limit)
        screen.show(found, _listed(found))


@app.command()
def show(redaction: RedactionId, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Show one redaction: who asked, who decided, and its places with their digests."""
    with session(url, token, as_json) as (client, screen):
        found = client.redaction(redaction)
        screen.show(found, _one(found))


@app.command()
def approve(
    redaction: RedactionId,
    reason: OptionalReason = "",
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Take the texts out that somebody else asked for: at once, for good."""
    with session(url, token, as_json) as (client, screen):
        done = client.approve_redaction(redaction, reason)
        screen.show(done, _one(done))


@app.command()
def reject(
    redaction: RedactionId, reason: Reason, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """Leave everything as it is."""
    with session(url, token, as_json) as (client, screen):
        done = client.reject_redaction(redaction, reason)
        screen.show(done, _one(done))


def _secret() -> str:
    """From a pipe, whole but for its last line end; else from a prompt that shows nothing."""
    if not sys.stdin.isatty():
        return sys.stdin.read().removesuffix("\n").removesuffix("\r")
    return str(typer.prompt("Text to take out", hide_input=True))


def _place(text: str) -> dict[str, Any]:
    found = PLACE.fullmatch(text)
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is not of the form kind:id:field, as run:5f...:command[2].", param_hint="--place"
        )
    path = [name or _bracket(inner) for name, inner in STEP.findall(found["path"])]
    return {"kind": found["kind"], "id": found["id"], "field": found["field"], "path": path}


def _bracket(inner: str) -> str | int:
    """A position, or a key in quotes as JSON writes it."""
    try:
        step = json.loads(inner)
    except ValueError:
        step = None
    if isinstance(step, bool) or not isinstance(step, str | int):
        raise typer.BadParameter(
            f"[{inner}] is neither a position nor a key in quotes.", param_hint="--place"
        )
    return step


def _found(namespace: str, found: TextFound) -> RenderableType:
    parts: list[RenderableType] = [
        _places(found["where"])
        if found["where"]
        else Text(f"It stands nowhere in {namespace} that can be redacted.")
    ]
    for each in found["stays"]:
        told = f"stays: {each['kind']} {each['id']}, {each['field']}. {each['why']}"
        parts.append(plain(told, "yellow"))
    if found.get("more"):
        parts.append(plain(MORE, "yellow"))
    return Group(*parts, plain(BEYOND, "dim"))


def _places(places: list[RedactionPlace]) -> RenderableType:
    table = listing("kind", "id", "field", fold=["id", "field"])
    for each in places[:SHOWN]:
        changed = " (changed since: left alone)" if each.get("changed_since") else ""
        row(table, each["kind"], each["id"], f"{each['words']}{changed}")
    more = len(places) - SHOWN
    return Group(table, plain(f"and {more} more: --json shows all", "dim")) if more > 0 else table


def _one(found: Redaction) -> RenderableType:
    title = plain(f"{_count(found['places'])} in {found['namespace']}  ", "bold") + state(found["state"])
    told = facts(
        [
            ("id", found["id"]),
            ("asked", f"{found['asked_by']}, {when(found['asked_at'])} UTC: {found['reason']}"),
            ("decided", _decision(found)),
            ("taken out", str(found["redacted"]) if found["state"] == "applied" else ""),
            ("left alone", f"{found['changed_since']}, changed since" if found["changed_since"] else ""),
            ("salt", found.get("salt") or ""),
        ]
    )
    more = [plain(MORE, "yellow")] if found.get("more") else []
    return Group(title, told, _places(found.get("where", [])), *more)


def _decision(found: Redaction) -> str:
    if not found["decided_by"]:
        return ""
    reason = f": {found['decision_reason']}" if found["decision_reason"] else ""
    return f"{found['decided_by']}, {when(found['decided_at'])} UTC{reason}"


def _listed(found: list[Redaction]) -> RenderableType:
    if not found:
        return Text("No redactions: everything stands as it arrived.", style="dim")
    table = listing("id", "state", "texts", "asked (UTC)", "decided by", right=["texts"], fold=["id"])
    for each in found:
        row(
            table,
            each["id"],
            state(each["state"]),
            str(each["places"]),
            f"{when(each['asked_at'])} {each['asked_by']}",
            each["decided_by"] or "",
        )
    return table


def _count(places: int) -> str:
    return f"{places} text" if places == 1 else f"{places} texts"
