"""Training under observation, and sending what could not be sent then."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from assay.cli.options import Json, Token, Url, pairs
from assay.cli.screen import Screen, session
from assay.cli.words import listing, row
from assay.client import Client
from assay.errors import AssayError, SettingsError
from assay.settings import load
from assay.tracking import kept, observe, report
from assay.tracking.command import take_apart
from assay.tracking.program import ProgramRun, exit_code
from assay.tracking.results import NoResult, check_made, metrics
from assay.tracking.runs import Options


def run(
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND", show_default=False, help="What trains, as it is.")
    ],
    name: Annotated[
        str,
        typer.Option(
            "--name",
            envvar="ASSAY_NAME",
            metavar="NAMESPACE[/MODEL]",
            show_default=False,
            help="Where the run belongs, and as which model --model is registered.",
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option("--model", help="The file or folder that it writes its model to.", show_default=False),
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option(
            "--metrics", metavar="JSON", help="The file that it writes its metrics to.", show_default=False
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option("--dataset", metavar="NAME=PATH", help="Name a file that it reads.", show_default=False),
    ] = None,
    data_root: Annotated[
        list[Path] | None,
        typer.Option(
            "--data-root", help="Files under it are data, as those of the repository.", show_default=False
        ),
    ] = None,
    experiment: Annotated[str, typer.Option("--experiment", help="What the run is a part of.")] = "default",
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Its configuration: YAML, JSON or TOML.", show_default=False),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="For the run.", show_default=False)
    ] = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Train with an unchanged script: what it reads, its code, packages, machine, metrics and model are recorded."""
    namespace, _, called = name.partition("/")
    if not namespace or (model is not None and not called):
        raise typer.BadParameter("give namespace/model, to register --model as.", param_hint="--name")
    screen = Screen(as_json=False)
    try:
        client = Client(url, token)
        options = Options(
            namespace=namespace, experiment=experiment, datasets=pairs(dataset or [], "--dataset"), config=config,
            data_roots=data_root or [], tags=pairs(tag or [], "--tag"), on_unreachable="keep", client=client,
        )  # fmt: skip
        left = {"model": model, "metrics": measured}
        results = {name: str(path) for name, path in left.items() if path is not None}
        ours = ProgramRun(options, take_apart(command), results)
        status = ours.train()
    except AssayError as error:
        screen.refuse(error)
        raise typer.Exit(2 if isinstance(error, SettingsError) else 1) from None
    except OSError as error:
        report.say(f"assay: {command[0]} could not be started: {error.strerror or error}")
        raise typer.Exit(127 if isinstance(error, FileNotFoundError) else 126) from None
    with observe.paused():
        _take_metrics(ours, measured)
        made = status == 0 and model is not None and _made(model, ours)
        ours.finish(status, quiet=made)
        if made:
            ours.log_model(model, name, tags=pairs(tag or [], "--tag"))
    client.close()
    sys.exit(exit_code(status))


def send(url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Send what runs kept while the registry could not be reached."""
    with session(url, token, as_json) as (client, screen):
        address = load(url, token).url
        mine = [folder for folder in kept.kept_folders() if kept.server_of(folder) == address]
        done = list(kept.send(client, mine))
        answer = [
            {
                "run": each.run,
                "versions": list(each.versions),
                "folder": str(each.folder),
                "problem": each.problem,
            }
            for each in done
        ]
        table = listing("run", "versions", "", fold=[""])
        for each in done:
            row(table, each.run, ", ".join(each.versions), each.problem or "sent")
        screen.show(answer, table if done else "Nothing is waiting to be sent.")
    if any(each.problem for each in done):
        raise typer.Exit(1)


def _take_metrics(ours: ProgramRun, file: Path | None) -> None:
    if file is None:
        return
    try:
        found, others = metrics(file, ours.began)
    except NoResult as error:
        ours.note_missing(f"No metrics are recorded: {error}.")
        return
    for each in found:
        ours.log_metrics({each.name: each.value}, each.step)
    if others:
        ours.note_missing(f"What is no number in {file.name} is not recorded: {', '.join(others[:5])}.")


def _made(model: Path, ours: ProgramRun) -> bool:
    try:
        check_made(model, ours.began)
    except NoResult as error:
        report.say(f"assay: nothing was registered: {error}")
        ours.note_missing(f"No model was registered: {error}.")
        return False
    return True
