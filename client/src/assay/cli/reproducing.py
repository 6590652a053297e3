"""Doing a version's training over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from assay.cli.options import Json, Ref, Token, Url
from assay.cli.screen import session
from assay.cli.words import listing, number, plain, row, short
from assay.reproduce.data import Places
from assay.reproduce.folder import Prepared, prepare
from assay.reproduce.pieces import Outcome, Piece
from assay.reproduce.rerun import TOLERANCE, rerun

_COLOURS = {"present": "green", "changed": "bold red", "missing": "bold red", "unknown": "yellow"}


def reproduce(
    ref: Ref,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", metavar="DIR", show_default=False, help="By default <model>-<number>-reproduced."
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--run", help="Run it, and compare metrics and model.")] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", show_default=False, help="Where the data it read may lie."),
    ] = None,
    repo: Annotated[
        Path | None,
        typer.Option("--repo", metavar="DIR", show_default=False, help="A clone to take the code from."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="By how much a metric may differ, of its value.")
    ] = TOLERANCE,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """A folder with the code, data, packages and command that made a version. With --run: is it the same again?"""
    with session(url, token, as_json) as (client, screen):
        made = prepare(client, ref, into, Places(data, repo))
        outcome = rerun(made, tolerance) if again else None
        answer = {**made.facts(), "tolerance": tolerance, "outcome": outcome.facts() if outcome else None}
        views = [_prepared(made)]
        if outcome is not None:
            views.append(_outcome(made, outcome, tolerance))
        screen.show(answer, *views)
    if outcome is not None and not outcome.same:
        raise typer.Exit(1)


def _prepared(made: Prepared) -> RenderableType:
    table = listing("piece", "", "", fold=["piece", ""])
    for piece in [*made.pieces, *made.data]:
        row(table, piece.name, _state(piece), piece.sentence)
    title = plain(made.version["reference"], "bold") + plain(" as it was made, in ") + plain(str(made.folder))
    parts: list[RenderableType] = [title, Text(""), table]
    if made.obstacles:
        parts += [Text(""), Text("In the way of the same result:", style="yellow")]
        parts += [plain(f"  - {each}") for each in made.obstacles]
    return Group(*parts)


def _state(piece: Piece) -> Text:
    return plain(piece.state, _COLOURS[piece.state])


def _outcome(made: Prepared, outcome: Outcome, tolerance: float) -> RenderableType:
    parts: list[RenderableType] = [Text("")]
    if outcome.compared:
        table = listing("result", "recorded", "now", "", fold=["recorded", "now"])
        for each in outcome.compared:
            verdict = plain("the same", "green") if each.same else plain("differs", "bold red")
            row(table, each.name, _shown(each.original), _shown(each.now), verdict)
        parts += [table, Text("")]
    if outcome.same:
        said = f"The same again: metrics within {tolerance:g} of their value, and the model byte for byte."
        if not any(each.name == "model" for each in outcome.compared):
            said = f"The same again: metrics within {tolerance:g} of their value."
        parts.append(plain(said, "bold green"))
    else:
        why = outcome.problem or "results differ"
        parts.append(Text("Not the same: ", style="bold red") + plain(f"{why}."))
    parts += [plain(f"  - {note}") for note in outcome.notes]
    return Group(*parts)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return short(value) if ":" in value else value
    return number(float(value)) if isinstance(value, int | float) else "-"
