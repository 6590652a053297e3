"""Evidence for an auditor: taken out as one document, and checked without a server."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from assay.cli.options import Json, Token, Url
from assay.cli.screen import Screen, session
from assay.cli.words import facts, plain, when
from assay.errors import AssayError, PathRefused
from assay.proof import Checked, check

FORMS = {".json": "json", ".html": "html"}


def evidence(
    about: Annotated[
        str,
        typer.Argument(
            metavar="REF|NAMESPACE",
            show_default=False,
            help="namespace/model:3 and the like; or a namespace, with --since.",
        ),
    ],
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Of a namespace: 2026-01-01T00:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="By default now.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="One file, .html or .json; else both, in this folder."),
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Save all that speaks for and against a version, or for a period, to be read without access."""
    period = "/" not in about
    if period != (since is not None) or (until and not since):
        raise typer.BadParameter(
            "a period goes with a namespace, and a namespace with a period.", param_hint="--since"
        )
    if output is not None and output.suffix not in FORMS:
        raise typer.BadParameter("a file that ends in .html or .json.", param_hint="--output")
    with session(url, token, as_json) as (client, screen):
        if as_json and output is None:
            sys.stdout.buffer.write(client.evidence(about, since=since, until=until))
            return
        title = about if period else client.version(about)["reference"]
        base = title.replace("/", "-").replace(":", "-")
        paths = [output] if output else [Path(f"{base}.evidence{suffix}") for suffix in (".html", ".json")]
        with screen.waiting("Collecting"):
            for path in paths:
                content = client.evidence(
                    about if period else title, since=since, until=until, form=FORMS[path.suffix]
                )
                _write(path, content)
        saved = [str(path) for path in paths]
        screen.show({"about": title, "files": saved}, _saved(title, paths))


def checkpoint(
    since: Annotated[
        Path | None,
        typer.Option("--since", metavar="FILE", help="One that was kept: the journal goes on from it."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="The server's public key.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Keep it in this file.", show_default=False)
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """The newest checkpoint of the journal, to be kept; and whether history is still what one was signed over."""
    with session(url, token, as_json) as (client, screen):
        try:
            kept = since.read_text() if since else None
        except (OSError, UnicodeDecodeError) as error:
            raise PathRefused(f"{since} cannot be read: {error}.") from error
        note = client.checkpoint(since=kept, keys=key or ())
        if output:
            _write(output, note.encode())
        rows: list[tuple[str, Text | str]] = [("kept", str(output))] if output else []
        if since:
            rows.append(("since", f"The journal goes on from {since}: nothing before it was changed."))
        screen.show(
            {"note": note, "since": str(since) if since else None}, Group(plain(note.rstrip()), facts(rows))
        )


def verify_evidence(path: Path, against: Path | None, keys: list[str], as_json: bool) -> None:
    """Print what the document proves by itself; ends with 1 where something does not agree."""
    screen = Screen(as_json)
    try:
        found = check(path, against, keys=keys)
    except AssayError as error:
        screen.refuse(error)
        raise typer.Exit(1) from None
    screen.show(found, checked_view(found))
    if not found["ok"]:
        raise typer.Exit(1)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise PathRefused(f"{path} cannot be written: {error.strerror}.") from error


def _saved(title: str, paths: list[Path]) -> RenderableType:
    rows: list[tuple[str, Text | str]] = []
    lines = [plain("Evidence of ") + plain(title, "bold") + plain(" is saved.")]
    for path in paths:
        if path.suffix == ".json":
            rows += [
                ("digest", str(json.loads(path.read_bytes())["digest"])),
                ("check it", f"assay verify {path} --key KEY"),
            ]
        else:
            rows.append(("read it", f"{path}, in any browser"))
    return Group(*lines, facts(rows))


def checked_view(found: Checked) -> RenderableType:
    """Every finding with its mark."""
    exported = found["exported"]
    head = plain("Evidence of ") + plain(found["title"], "bold")
    if exported:
        head += plain(
            f", exported {when(str(exported.get('at', '')))} UTC by {exported.get('by', '')}", "dim"
        )
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    about = ""
    for each in found["findings"]:
        if each["about"] != about:
            about = each["about"]
            grid.add_row(Text(""), plain(about, "bold"))
        mark = Text("  ok", "green") if each["ok"] else Text("  NOT", "bold red")
        grid.add_row(mark, plain(each["sentence"], "" if each["ok"] else "red"))
    return Group(head, grid, facts([("digest", found["digest"])]))
