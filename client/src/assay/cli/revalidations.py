"""Validating again what is in production."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from assay.cli.lifecycle import Attached, read_report
from assay.cli.options import Json, Ref, Token, Url
from assay.cli.screen import session
from assay.cli.views import report_lines
from assay.cli.words import plain, when
from assay.revalidations import Revalidation

STYLES = {"valid": "green", "not_valid": "bold red"}


class Verdict(StrEnum):
    """What a validation finds."""

    VALID = "valid"
    NOT_VALID = "not_valid"


def revalidate(
    ref: Ref,
    verdict: Annotated[Verdict, typer.Argument(metavar="valid|not_valid", show_default=False)],
    report: Annotated[
        Path,
        typer.Option(
            "--report",
            exists=True,
            dir_okay=False,
            show_default=False,
            help='JSON of "summary", "findings" [{"severity", "text"}], "conditions".',
        ),
    ],
    attach: Attached = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Validate again what is in production, when its review is due. It moves nothing."""
    found = read_report(report, attach) or {}
    with session(url, token, as_json) as (client, screen):
        row = client.revalidate(ref, verdict.value, found, attachments=attach or [])
        review = client.review(row["version"].rpartition(":")[0])
        lines = [plain(review["sentence"])] if review else []
        screen.show(row, revalidation_view(row), *lines)


def revalidation_view(row: Revalidation) -> RenderableType:
    """Who found what of which version."""
    title = (
        plain(row["version"], "bold")
        + plain(": ")
        + plain(row["verdict"].replace("_", " "), STYLES[row["verdict"]])
    )
    return Group(title + plain(f", by {row['by']}, {when(row['at'])} UTC"), *report_lines(row["report"]))
