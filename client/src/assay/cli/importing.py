"""Bringing in what other tools recorded: the history of a DVC repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from assay.cli.options import Json, Token, Url
from assay.cli.screen import session
from assay.cli.words import facts, plain
from assay.errors import PathRefused
from assay.tracking.dvc.files import NoYaml
from assay.tracking.dvc.history import Import, NoPipeline, Report
from assay.tracking.git import GitFailed
from assay.tracking.redaction import Redactor

_SHOWN = 20

app = typer.Typer(name="import", help="Bring in what other tools recorded.", no_args_is_help=True)


@app.callback()
def settle() -> None:
    """Bring in what other tools recorded."""


@app.command()
def dvc(
    path: Annotated[Path, typer.Argument(metavar="[PATH]", help="A folder of the repository.")] = Path(),
    *,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", show_default=False, help="Where it is recorded.")
    ],
    history: Annotated[
        int | None,
        typer.Option(
            "--history",
            min=1,
            metavar="N",
            show_default=False,
            help="The newest N states, not this one only.",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every state that a commit has.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be recorded.")] = False,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Record the stages, data and metrics of a DVC repository as lineage. Doing it again adds what is new."""
    if history is not None and everything:
        raise typer.BadParameter("goes not with --history.", param_hint="--all")
    with session(url, token, as_json) as (client, screen):
        try:
            found = Import(path, Redactor())
            commits = found.find(None if everything else history or 1)
            columns = (TextColumn("Importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            hidden = screen.as_json or not screen.err.is_terminal
            with Progress(*columns, console=screen.err, disable=hidden, transient=True) as bar:
                task = bar.add_task("", total=len(commits))
                report = found.run(
                    commits, namespace, None if dry_run else client, lambda commit: bar.advance(task)
                )
        except (NoPipeline, NoYaml, GitFailed) as error:
            sentence = str(error)
            raise PathRefused(sentence if sentence.endswith(".") else f"{sentence}.") from error
        screen.show({**report.facts(), "dry_run": dry_run}, _report(report, namespace, dry_run))


def _report(report: Report, namespace: str, dry_run: bool) -> RenderableType:
    new = report.new
    known = report.stages - new["steps"]
    told = "" if dry_run else "all new" if not known else f"{known} of them known before"
    proven = len(report.proven)
    rows: list[tuple[str, Text | str]] = [
        ("commits", str(report.commits)),
        ("stages", f"{report.stages}" + (f", {told}" if told else "")),
        (
            "data",
            f"{len(report.data)} contents, {proven} with their sha256, {len(report.data) - proven} by MD5 only",
        ),
        ("metrics", str(report.metrics)),
    ]
    if new["digests"]:
        rows.append(("learnt", f"the sha256 of {new['digests']} contents that were known by MD5 only"))
    title = (plain("Nothing was sent. Would be recorded in ") if dry_run else plain("Recorded in ")) + plain(
        namespace, "bold"
    )
    parts: list[RenderableType] = [title, facts(rows)]
    if report.problems:
        parts.append(Text("Not taken:", style="yellow"))
        for sentence, count in list(report.problems.items())[:_SHOWN]:
            times = f" ({count} commits)" if count > 1 else ""
            parts.append(plain(f"  - {sentence}{times}"))
        if len(report.problems) > _SHOWN:
            parts.append(plain(f"  - and {len(report.problems) - _SHOWN} more: see --json"))
    return Group(*parts)
