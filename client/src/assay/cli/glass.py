"""Breaking the glass for a promotion, and reviewing that."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from assay.cli.options import Json, Limit, PromotionId, Reason, Token, Url
from assay.cli.screen import session
from assay.cli.views import promotion_view
from assay.cli.words import facts, plain, when
from assay.glass import Glass

app = typer.Typer(
    name="break-glass",
    no_args_is_help=True,
    help="Promote alone in an emergency; a second person reviews it within 24 h.",
)
STYLES = {"waiting": "yellow", "overdue": "bold red", "justified": "green", "not_justified": "bold red"}


class Verdict(StrEnum):
    """What a review finds."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not_justified"


@app.command(name="apply")
def break_glass(
    promotion_id: PromotionId, reason: Reason, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """Put a promotion into effect in spite of a freeze, and without the approvals of others."""
    with session(url, token, as_json) as (client, screen):
        done = client.break_glass(promotion_id, reason)
        screen.show(done, promotion_view(done))
        if done["state"] != "applied":
            raise typer.Exit(1)


@app.command()
def review(
    promotion_id: PromotionId,
    verdict: Annotated[Verdict, typer.Argument(metavar="justified|not_justified", show_default=False)],
    sentence: Annotated[str, typer.Option("--sentence", "-s", help="What was found.", show_default=False)],
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Say whether the glass was broken rightly. It moves nothing: an operator goes back."""
    with session(url, token, as_json) as (client, screen):
        row = client.review_glass(promotion_id, verdict.value, sentence)
        screen.show(row, glass_view(row))


@app.command(name="list")
def list_glass(
    only: Annotated[str | None, typer.Option("--state", help="waiting, overdue or reviewed.")] = None,
    limit: Limit = 30,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List where glass was broken, newest first."""
    with session(url, token, as_json) as (client, screen):
        found = client.broken_glass(state=only, limit=limit)
        nothing = (Text("No glass was broken.", style="dim"),)
        screen.show(found, *(glass_view(each) for each in found) if found else nothing)


def glass_view(glass: Glass) -> RenderableType:
    """Who broke it for what and why, and what the review found."""
    word = glass["verdict"] or glass["state"]
    title = plain(glass["version"], "bold") + plain(f" to {glass['target']}: glass broken, ")
    title += plain(word.replace("_", " ") if glass["verdict"] else f"review {word}", STYLES[word])
    reviewed = ""
    if glass["reviewed_by"]:
        reviewed = f"by {glass['reviewed_by']}, {when(glass['reviewed_at'])} UTC: {glass['sentence']}"
    rows: list[tuple[str, Text | str]] = [
        ("by", f"{glass['by']}, {when(glass['at'])} UTC"),
        ("why", glass["reason"]),
        ("in spite of", glass["overrode"].get("freeze", "")),
        ("approvals", glass["overrode"].get("approvals", "")),
        ("due", f"{when(glass['due_at'])} UTC" if not glass["reviewed_by"] else ""),
        ("reviewed", reviewed),
        ("promotion", glass["promotion"]),
    ]
    return Group(title, facts(rows))
