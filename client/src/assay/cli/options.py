"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

# ASSAY_URL and ASSAY_TOKEN are read by assay.settings, below these
Url = Annotated[
    str | None,
    typer.Option("--url", help="Address of the server; else ASSAY_URL, else the one logged in to."),
]
Token = Annotated[
    str | None, typer.Option("--token", help="Token; else ASSAY_TOKEN, else the one stored by login.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Only this namespace.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
Ref = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        show_default=False,
        help="namespace/model (in production), namespace/model:3, @alias or @sha256:...",
    ),
]
Model = Annotated[str, typer.Argument(metavar="NAMESPACE/MODEL", show_default=False)]
PromotionId = Annotated[str, typer.Argument(metavar="ID", show_default=False, help="A promotion's id.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why, for the journal.", show_default=False)]
OptionalReason = Annotated[str, typer.Option("--reason", "-r", help="Why, for the journal.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is decided.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait at most.")]


def pairs(texts: list[str], option: str) -> dict[str, str]:
    """`k=v` texts as a dictionary; a usage error for one without `=`."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise typer.BadParameter(f"{text!r} is not of the form name=value.", param_hint=option)
        found[key.strip()] = value.strip()
    return found


def numbers(texts: list[str], option: str) -> dict[str, float]:
    """`k=number` texts as a dictionary; a usage error for what is no number."""
    found: dict[str, float] = {}
    for key, value in pairs(texts, option).items():
        try:
            found[key] = float(value)
        except ValueError:
            raise typer.BadParameter(f"{value!r} is not a number.", param_hint=option) from None
    return found
