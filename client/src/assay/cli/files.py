"""Bytes: push, pull, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from assay.answers import Verification, Version
from assay.cli.options import Json, Model, Ref, Timeout, Token, Url, pairs
from assay.cli.screen import Bars, session
from assay.cli.views import digest_line, files_counted, provenance
from assay.cli.words import facts, plain, size, state


def push(
    path: Annotated[Path, typer.Argument(metavar="PATH", show_default=False, help="A file or a folder.")],
    model: Model,
    run: Annotated[str | None, typer.Option("--run", help="Id of the run that made it.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", "-t", metavar="NAME=VALUE")] = None,
    description: Annotated[str, typer.Option("--description", "-d")] = "",
    file_format: Annotated[str | None, typer.Option("--format", help="As skops, onnx, safetensors.")] = None,
    base: Annotated[
        list[str] | None, typer.Option("--base", metavar="REF", help="A version it was made from.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is verified.")] = True,
    timeout: Timeout = 900,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Publish a file or a folder as the next version of a model."""
    tags = pairs(tag or [], "--tag")
    with session(url, token, as_json) as (client, screen):
        with Bars(screen) as bars:
            version = client.push(
                path,
                model,
                run=run,
                tags=tags,
                description=description,
                format=file_format,
                base=base or (),
                wait=False,
                progress=bars,
            )
        if wait:
            with screen.waiting(f"Verifying {version['reference']}"):
                version = client.wait_until_ready(version, timeout)
        screen.show(version, _pushed(version))


def pull(
    ref: Ref,
    dest: Annotated[
        Path | None,
        typer.Argument(metavar="[DEST]", show_default=False, help="Folder; else MODEL-NUMBER here."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that differ.")] = False,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Fetch a version's files, each verified before it gets its name."""
    with session(url, token, as_json) as (client, screen):
        version = client.version(ref)
        exact = version["reference"]
        with Bars(screen) as bars:
            folder = client.pull(exact, dest, overwrite=overwrite, progress=bars)
        answer = {
            "reference": exact,
            "digest": version["digest"],
            "folder": str(folder),
            "size": version["size"],
        }
        count = f"{files_counted(version['files'])}, {size(version['size'])}"
        title = plain(exact, "bold") + Text("  verified", style="green")
        rows = facts([("content", count), ("folder", str(folder))])
        screen.show(answer, title, *digest_line(version["digest"]), rows)


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False, help="A folder or a file.")],
    ref: Ref,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Compare a folder with a version and name the files that differ, are missing or are extra."""
    with session(url, token, as_json) as (client, screen):
        with Bars(screen) as bars:
            found = client.verify(folder, ref, progress=bars)
        screen.show(found, _verified(folder, found))
        if not found["ok"]:
            raise typer.Exit(1)


def _pushed(version: Version) -> RenderableType:
    waits = "" if version["status"] == "ready" else "its bytes are being verified"
    rows: list[tuple[str, Text | str]] = [
        ("content", f"{files_counted(version['files'] or 0)}, {size(version['size'] or 0)}"),
        *provenance(version),
        ("status", waits),
        ("open", version["url"]),
    ]
    title = plain(version["reference"], "bold") + Text("  ") + state(version["status"])
    return Group(title, *digest_line(version["digest"]), facts(rows))


def _verified(folder: Path, found: Verification) -> RenderableType:
    if found["ok"]:
        text = (
            plain(str(folder))
            + Text(" is ")
            + plain(found["reference"], "bold")
            + Text(": every byte agrees.")
        )
        return Group(text, *digest_line(found["digest"]))
    lines = [
        plain(str(folder))
        + Text(" is not ", style="bold red")
        + plain(found["reference"], "bold")
        + Text(":")
    ]
    for word, paths in (
        ("differs", found["differs"]),
        ("missing", found["missing"]),
        ("extra", found["extra"]),
    ):
        lines += [Text(f"  {word:<8} ", style="red") + plain(path) for path in paths]
    return Group(*lines)
