"""What a bad dataset, commit, package, image or base went into, and putting it under quarantine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from assay.answers import Node
from assay.cli.lineage import KINDS
from assay.cli.options import Json, Reason, Token, Url
from assay.cli.screen import session
from assay.cli.words import plain, short, state
from assay.incidents import Affected, Impact, Placed
from assay.tracking.git import GitFailed, commits_of

STAGES = ("production", "staging", "development", "archived", "deprecated")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
Several = Annotated[
    list[str], typer.Argument(metavar="REF...", show_default=False, help="Versions, as fraud/card:3.")
]


def _option(name: str, metavar: str, told: str) -> object:
    return typer.Option(name, metavar=metavar, show_default=False, help=told)


def impact(
    dataset: Annotated[
        list[str] | None,
        _option("--dataset", "DIGEST", "A digest, an id, or namespace/dataset@sha256:...; repeat."),
    ] = None,
    commit: Annotated[
        list[str] | None,
        _option(
            "--commit", "COMMIT", "Its first 7 digits or more, or a range, as v1..HEAD, of --repository."
        ),
    ] = None,
    package: Annotated[
        list[str] | None, _option("--package", "NAME", "A package, as numpy or 'numpy<2.1'; repeat.")
    ] = None,
    image: Annotated[
        list[str] | None, _option("--image", "DIGEST", "The digest of a container image; repeat.")
    ] = None,
    base: Annotated[
        list[str] | None, _option("--base", "REF", "A version that others were trained from; repeat.")
    ] = None,
    repository: Annotated[
        Path, typer.Option("--repository", file_okay=False, help="Where a range of commits is looked up.")
    ] = Path(),
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Put all of them under quarantine, where you may.")
    ] = False,
    reason: Annotated[
        str, typer.Option("--reason", "-r", help="Why, for the journal: with --quarantine.")
    ] = "",
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Every version that something bad went into, by stage, and how."""
    if quarantine != bool(reason.strip()):
        raise typer.BadParameter("--quarantine and --reason go together.", param_hint="--reason")
    asked = {"dataset": dataset, "package": package, "image": image, "base": base}
    given: dict[str, list[str]] = {name: values for name, values in asked.items() if values}
    if commit:
        given["commit"] = _commits(commit, repository)
        if not given["commit"]:
            raise typer.BadParameter("No commits lie in that range.", param_hint="--commit")
    if not given:
        raise typer.BadParameter(
            "Say what is doubted: --dataset, --commit, --package, --image or --base.", param_hint="--dataset"
        )
    with session(url, token, as_json) as (client, screen):
        if quarantine:
            placed = client.quarantine_impact(reason=reason, **given)
            screen.show(placed, placed_view(placed))
            return
        found = client.impact(**given)
        screen.show(found, impact_view(found))


def quarantine(
    refs: Several,
    reason: Reason,
    lift: Annotated[bool, typer.Option("--lift", help="Lift what somebody else has placed.")] = False,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Keep versions out of staging and production, until somebody else lifts it."""
    with session(url, token, as_json) as (client, screen):
        if lift:
            lifted = client.lift_quarantine(*refs, reason=reason)
            verb = " is" if len(lifted) == 1 else " are"
            screen.show({"lifted": lifted}, plain(", ".join(lifted), "bold") + Text(f"{verb} free again."))
            return
        placed = client.quarantine(*refs, reason=reason)
        screen.show(placed, placed_view(placed))


def _commits(given: Sequence[str], repository: Path) -> list[str]:
    """Commits as they are, ranges and names by what Git says of them here."""
    found: list[str] = []
    for text in given:
        if _COMMIT.fullmatch(text):
            found.append(text)
            continue
        try:
            found += commits_of(repository, text)
        except GitFailed as error:
            raise typer.BadParameter(
                f"{text!r} is nothing that Git knows in {repository.resolve()}: {error}.",
                param_hint="--commit",
            ) from None
    return found


def impact_view(found: Impact) -> RenderableType:
    """Stage by stage, what is used first; below each version the way to it."""
    total = sum(found["stages"].values())
    start = found["from"]
    where = _name(start["nodes"][0]) if start["count"] == 1 and start["nodes"] else ""
    what = where or f"{start['count']:,} {'place' if start['count'] == 1 else 'places'} of the graph"
    head = plain(_counted(total, "version"), "bold") + plain(f" made from {what}")
    if found["restricted"]:
        head += plain(f", and {_counted(found['restricted'], 'version')} that you may not see")
    parts: list[RenderableType] = [head + Text(".")]
    for stage in STAGES:
        inside = sorted(
            (each for each in found["results"] if each["stage"] == stage), key=lambda each: each["reference"]
        )
        if inside:
            parts += [Text(""), state(stage) + plain(f"  {len(inside):,}", "not bold dim")]
            parts += [_affected(each) for each in inside]
    notes = [plain(note, "yellow") for note in found["notes"]]
    return Group(*parts, *([Text(""), *notes] if notes else []))


def _affected(each: Affected) -> RenderableType:
    way = plain(" > ".join(_name(node) for node in each["path"][:-1]), "dim")
    detail = each["detail"]
    status = str(detail.get("status") or "")
    title = plain(f"  {each['reference']}", "bold")
    if status not in ("", "ready"):
        title += Text("  ") + state(status)
    return Group(title, Padding(way, (0, 0, 0, 4)))


def _name(node: Node) -> str:
    """A node in a few words."""
    kind = KINDS.get(node["kind"], node["kind"])
    match node["kind"]:
        case "restricted":
            return "something that you may not see"
        case "dataset_version":
            return f"{kind} {node['label']} {short(str(node['detail'].get('digest') or ''))}"
        case _:
            return f"{kind} {node['label']}"


def placed_view(placed: Placed) -> RenderableType:
    """What stands under quarantine now, and what is left to be done."""
    new = placed["quarantined"]
    parts: list[RenderableType] = []
    if new:
        verb = "is" if len(new) == 1 else "are"
        rest = "until somebody else lifts it" if len(new) == 1 else "until somebody else lifts that"
        parts.append(
            plain(_counted(len(new), "version"), "bold")
            + plain(f" {verb} under quarantine now, and out of staging and production {rest}:")
        )
        parts += [plain(f"  {row['version']}", "bold") + Text("  ") + state(row["stage"]) for row in new]
    else:
        parts.append(Text("Nothing new is under quarantine."))
    if placed["already"]:
        parts.append(plain(f"Under quarantine for this already: {', '.join(placed['already'])}."))
    parts += [
        plain(f"The promotion of {each['version']} to {each['target']} is void.") for each in placed["voided"]
    ]
    if placed["in_production"]:
        parts.append(Text(""))
        parts.append(Text("Still in production. To go back:", style="bold yellow"))
        for reference in placed["in_production"]:
            model = reference.rpartition(":")[0]
            parts.append(
                plain(f"  assay rollback {model} --reason ...", "bold") + plain(f"   ({reference})", "dim")
            )
    if placed["not_yours"]:
        names = ", ".join(placed["not_yours"])
        parts.append(plain(f"Affected too, for their own operators to decide on: {names}.", "yellow"))
    if placed["restricted"]:
        parts.append(
            plain(f"{_counted(placed['restricted'], 'version')} that you may not see affected too.", "yellow")
        )
    return Group(*parts)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
