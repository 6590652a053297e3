"""The public keys whose signatures a namespace believes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from assay.answers import SigningKey
from assay.cli.options import Json, Reason, Token, Url
from assay.cli.screen import session
from assay.cli.words import facts, listing, plain, row, short, state, when
from assay.documents import read_document

LARGEST_PEM = 16 * 1024
app = typer.Typer(name="keys", no_args_is_help=True, help="The keys whose signatures a namespace believes.")
Owner = Annotated[str, typer.Argument(metavar="NAMESPACE", show_default=False)]


@app.command(name="list")
def list_keys(namespace: Owner, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """List the keys of a namespace, the revoked ones too."""
    with session(url, token, as_json) as (client, screen):
        found = client.keys(namespace)
        screen.show(found, _listed(found))


@app.command()
def add(
    namespace: Owner,
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="As release-2026.")],
    pem: Annotated[
        Path, typer.Argument(metavar="PEM", show_default=False, help="The public key: EC P-256, 384 or 521.")
    ],
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Believe signatures made with this key from now on."""
    with session(url, token, as_json) as (client, screen):
        key = client.add_key(namespace, name, read_document(pem, LARGEST_PEM))
        title = plain(key["name"], "bold") + plain(f" signs for {namespace} from now on.")
        screen.show(key, title, facts([("fingerprint", key["fingerprint"])]))


@app.command()
def revoke(
    namespace: Owner,
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    reason: Reason,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Believe a key no more, for good; what it signed fails the gate signature_valid."""
    with session(url, token, as_json) as (client, screen):
        known = {key["name"]: key for key in client.keys(namespace)}
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise typer.BadParameter(f"{namespace} has no key {name!r}; it has {there}.", param_hint="NAME")
        key = client.revoke_key(known[name]["id"], reason)
        screen.show(key, plain(key["name"], "bold") + plain(f" is revoked: {namespace} believes it no more."))


def _listed(keys: list[SigningKey]) -> RenderableType:
    if not keys:
        return Text("No keys: no signature is believed.", style="dim")
    table = listing("key", "fingerprint", "state", "added (UTC)", fold=["key"])
    for key in keys:
        told = state("revoked" if key["revoked_at"] else "valid")
        row(
            table,
            plain(key["name"], "bold"),
            short(key["fingerprint"]),
            told,
            f"{when(key['added_at'])} {key['added_by']}",
        )
    return Group(table)
