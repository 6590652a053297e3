"""The commands, in the order in which they are used."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from assay.cli import (
    account,
    catalog,
    deployments,
    evidence,
    files,
    freezes,
    glass,
    holds,
    importing,
    incident,
    incidents,
    keys,
    lifecycle,
    lineage,
    members,
    policies,
    redact,
    reproducing,
    revalidations,
    run,
    waivers,
    webhook,
)

app = typer.Typer(
    name="assay",
    help="Version control for models: publish, evaluate, promote, trace, roll back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PANELS = {
    "Account": (account.login, account.whoami, account.mail),
    "Models": (
        files.push,
        files.pull,
        files.verify,
        files.manifest,
        catalog.show,
        catalog.scan,
        catalog.versions,
        catalog.search,
        catalog.compare,
    ),
    "Evidence": (lifecycle.evaluate, lifecycle.check, evidence.evidence, evidence.checkpoint),
    "Lifecycle": (
        lifecycle.promote,
        lifecycle.promotion,
        lifecycle.promotions,
        lifecycle.approve,
        lifecycle.reject,
        lifecycle.withdraw,
        revalidations.revalidate,
        lifecycle.rollback,
        lifecycle.suspend,
        lifecycle.deprecate,
        lifecycle.reinstate,
        incidents.quarantine,
        deployments.deployed,
        deployments.undeployed,
        deployments.production,
        lifecycle.delete,
    ),
    "Lineage": (lineage.trace, lineage.why, incidents.impact, reproducing.reproduce, catalog.log, run.send),
}
for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
# everything after its first word is the command's own, options too
app.command(rich_help_panel="Lineage", context_settings={"allow_interspersed_args": False})(run.run)


app.add_typer(members.app, rich_help_panel="Account")
app.add_typer(keys.app, rich_help_panel="Evidence")
app.add_typer(incident.app, rich_help_panel="Lifecycle")
app.add_typer(waivers.app, rich_help_panel="Lifecycle")
app.add_typer(freezes.app, rich_help_panel="Lifecycle")
app.add_typer(holds.app, rich_help_panel="Lifecycle")
app.add_typer(glass.app, rich_help_panel="Lifecycle")
app.add_typer(policies.app, rich_help_panel="Lifecycle")
app.add_typer(webhook.app, rich_help_panel="Lifecycle")
app.add_typer(importing.app, rich_help_panel="Lineage")
app.add_typer(redact.app, rich_help_panel="Lineage")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"assay {installed_version('assay-client')}")
        raise typer.Exit


@app.callback()
def settle(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Version control for models: publish, evaluate, promote, trace, roll back."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; never returns."""
    app(args=list(arguments) if arguments is not None else None, prog_name="assay")
