"""Bytes: push, pull, verify, manifest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from assay.answers import Verification, Version
from assay.cli.evidence import verify_evidence
from assay.cli.options import Json, Model, Ref, Timeout, Token, Url, pairs
from assay.cli.screen import Bars, Screen, session
from assay.cli.views import digest_line, files_counted, provenance, signature_rows, supply_rows
from assay.cli.words import facts, plain, size, state
from assay.errors import AssayError, PathRefused
from assay.transfer.compare import verify_saved


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
    signature: Annotated[
        Path | None, typer.Option("--signature", help="What `model_signing sign` wrote: kept, and verified.")
    ] = None,
    supplier: Annotated[
        str | None, typer.Option("--supplier", help="Who it was bought from, in place of a run.")
    ] = None,
    origin: Annotated[str, typer.Option("--origin", metavar="URL", help="Where it was got.")] = "",
    contract: Annotated[str, typer.Option("--contract", help="The contract or licence.")] = "",
    supplier_digest: Annotated[
        str, typer.Option("--supplier-digest", metavar="sha256:...", help="The supplier's own digest.")
    ] = "",
    supplier_report: Annotated[
        Path | None, typer.Option("--supplier-report", help="The supplier's report, to be kept.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is verified.")] = True,
    timeout: Timeout = 900,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Publish a file or a folder as the next version of a model."""
    tags = pairs(tag or [], "--tag")
    supply = _supply(supplier, origin, contract, supplier_digest, supplier_report)
    if supply and run:
        raise typer.BadParameter("a model was bought or made by a run, not both.", param_hint="--supplier")
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
                signature=signature,
                supply=supply,
                supplier_report=supplier_report,
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
    ref: Annotated[
        str | None,
        typer.Argument(metavar="REF", show_default=False, help="namespace/model:3, or as in `assay show`."),
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="A saved manifest instead: no server is asked.")
    ] = None,
    digest: Annotated[
        str | None, typer.Option("--digest", metavar="sha256:...", help="What the manifest must be.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="Of evidence: an older document, to find what was rewritten since."),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="KEY|FILE",
            help="Of evidence: the server's public key, from its administrators. May be repeated.",
            show_default=False,
        ),
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Compare a folder with a version and name the files that differ, are missing or are extra. Or check evidence that
    `assay evidence` saved: a .json file alone; no server is asked."""
    if ref is None and manifest is None and folder.suffix == ".json":
        verify_evidence(folder, against, key or [], as_json)
        return
    if (ref is None) == (manifest is None):
        raise typer.BadParameter("give a reference or --manifest.", param_hint="REF")
    if digest is not None and manifest is None:
        raise typer.BadParameter("goes with --manifest.", param_hint="--digest")
    if manifest is not None:
        screen = Screen(as_json)
        try:
            with Bars(screen) as bars:
                found = verify_saved(folder, manifest, digest=digest, progress=bars)
        except AssayError as error:
            screen.refuse(error)
            raise typer.Exit(1) from None
        screen.show(found, _verified(folder, found))
    else:
        with session(url, token, as_json) as (client, screen):
            with Bars(screen) as bars:
                found = client.verify(folder, str(ref), progress=bars)
            screen.show(found, _verified(folder, found))
    if not found["ok"]:
        raise typer.Exit(1)


def manifest(
    ref: Ref,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it to this file.", show_default=False)
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Print or save a version's manifest: the file whose sha256 is its digest."""
    with session(url, token, as_json) as (client, screen):
        version = client.version(ref)
        text = client.manifest_text(version["reference"])
        if output is None:
            sys.stdout.buffer.write(text)
            return
        try:
            output.write_bytes(text)
        except OSError as error:
            raise PathRefused(f"{output} cannot be written: {error.strerror}.") from error
        answer = {
            "reference": version["reference"],
            "digest": version["digest"],
            "oms_digest": version["oms_digest"],
            "file": str(output),
        }
        rows = facts([("file", str(output)), ("files", str(version["files"]))])
        screen.show(answer, plain(version["reference"], "bold"), *digest_line(version["digest"]), rows)


def _supply(
    supplier: str | None, origin: str, contract: str, digest: str, report: Path | None
) -> dict[str, str] | None:
    """What is said of a purchase; None without one."""
    if supplier:
        given = {"origin": origin, "contract": contract, "digest": digest}
        return {"supplier": supplier, **{name: value for name, value in given.items() if value}}
    if origin or contract or digest or report:
        raise typer.BadParameter("say who it was bought from.", param_hint="--supplier")
    return None


def _pushed(version: Version) -> RenderableType:
    waits = "" if version["status"] == "ready" else "its bytes are being verified"
    rows: list[tuple[str, Text | str]] = [
        ("content", f"{files_counted(version['files'] or 0)}, {size(version['size'] or 0)}"),
        *supply_rows(version),
        *provenance(version),
        *signature_rows(version),
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
