"""Evidence, promotions, rollback, and taking versions out of use."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from assay.answers import Promotion, Version
from assay.cli.options import (
    Json,
    Limit,
    Model,
    Namespace,
    OptionalReason,
    PromotionId,
    Reason,
    Ref,
    Timeout,
    Token,
    Url,
    Wait,
    numbers,
    pairs,
)
from assay.cli.screen import Screen, session
from assay.cli.views import deleted_view, deletion_view, promotion_view, promotions_view
from assay.cli.words import number, plain, short, state
from assay.client import Client
from assay.digest import sha256_file
from assay.errors import TimedOut

Report = Annotated[
    Path | None,
    typer.Option(
        "--report",
        exists=True,
        dir_okay=False,
        help='A validation report: JSON of "summary", "findings" [{"severity", "text"}], "conditions".',
    ),
]
Attached = Annotated[
    list[Path] | None,
    typer.Option(
        "--attach",
        exists=True,
        dir_okay=False,
        help="A file that goes with the report, such as a PDF; again for more.",
    ),
]
REFUSED = frozenset({"gates_failed", "rejected", "void", "expired"})


class Verdict(StrEnum):
    """What an outside check found."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"


class Target(StrEnum):
    """The stages that are entered by a promotion."""

    STAGING = "staging"
    PRODUCTION = "production"


def evaluate(
    ref: Ref,
    metric: Annotated[list[str], typer.Option("--metric", "-m", metavar="NAME=VALUE", show_default=False)],
    dataset: Annotated[str, typer.Option("--dataset", help="The dataset's name; else the file's.")] = "",
    digest: Annotated[str, typer.Option("--digest", help="The dataset's digest.")] = "",
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", exists=True, dir_okay=False, help="The dataset's file, to take the digest of."
        ),
    ] = None,
    split: Annotated[str, typer.Option("--split")] = "test",
    part: Annotated[str, typer.Option("--slice", help="The part of the split, as country=de.")] = "",
    evaluator: Annotated[str, typer.Option("--evaluator", help="What measured it.")] = "",
    examples: Annotated[
        list[str] | None,
        typer.Option(
            "--examples",
            metavar="NAME=FILE",
            help="What a metric is the mean of, as CSV: value, or id,value.",
        ),
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Record how good a version is on a dataset."""
    if bool(digest) == bool(data):
        raise typer.BadParameter("Give either --digest or --data.", param_hint="--digest")
    name = dataset or (data.name if data else "")
    if not name:
        raise typer.BadParameter("Name the dataset.", param_hint="--dataset")
    found = f"sha256:{sha256_file(data)}" if data else digest
    measured = numbers(metric, "--metric")
    each = pairs(examples or [], "--examples")
    if unmeasured := sorted(set(each) - set(measured)):
        raise typer.BadParameter(f"{unmeasured[0]} is no --metric.", param_hint="--examples")
    with session(url, token, as_json) as (client, screen):
        answer = client.evaluate(
            ref,
            (name, found),
            metrics=measured,
            examples=each,
            split=split,
            slice=part,
            evaluator=evaluator,
        )
        values = ", ".join(f"{key} {number(value)}" for key, value in measured.items())
        where = plain(f" on {name} {short(found)} ({split}): {values}.")
        screen.show(answer, Text("Recorded for ") + plain(ref, "bold") + where)


def check(
    ref: Ref,
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="As integration.")],
    verdict: Annotated[Verdict, typer.Argument(metavar="pass|fail", show_default=False)],
    sentence: Annotated[str, typer.Option("--sentence", "-s", help="What was found.", show_default=False)],
    link: Annotated[str, typer.Option("--link", help="Where to read more.")] = "",
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Report an outside check, such as an integration test in staging."""
    with session(url, token, as_json) as (client, screen):
        answer = client.check(ref, name, verdict.value, sentence=sentence, url=link)
        line = Text("Reported for ") + plain(ref, "bold") + plain(f": {name} ") + state(verdict.value)
        screen.show(answer, line)


def promote(
    ref: Ref,
    target: Annotated[Target, typer.Argument(metavar="staging|production", show_default=False)],
    reason: Reason,
    wait: Wait = True,
    timeout: Timeout = 300,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Ask for a version to enter staging or production; prints every gate's verdict."""
    with session(url, token, as_json) as (client, screen):
        asked = client.promote(ref, target.value, reason=reason, wait=False)
        _decided(client, screen, asked, wait, timeout)


def rollback(
    model: Model,
    reason: Reason,
    to: Annotated[int | None, typer.Option("--to", min=1, help="Version number; else the last one.")] = None,
    wait: Wait = True,
    timeout: Timeout = 300,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Put a former production version back into production."""
    with session(url, token, as_json) as (client, screen):
        asked = client.rollback(model, to=to, reason=reason, wait=False)
        _decided(client, screen, asked, wait, timeout)


def promotion(promotion_id: PromotionId, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Show a promotion: its gates, its approvals, what comes next."""
    with session(url, token, as_json) as (client, screen):
        found = client.promotion(promotion_id)
        screen.show(found, promotion_view(found))


def promotions(
    namespace: Namespace = None,
    only: Annotated[str | None, typer.Option("--state", help="As awaiting_approval.")] = None,
    limit: Limit = 30,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List promotions, newest first."""
    with session(url, token, as_json) as (client, screen):
        found = client.promotions(namespace=namespace, state=only, limit=limit)
        screen.show(found, promotions_view(found))


def approve(
    promotion_id: PromotionId,
    reason: OptionalReason = "",
    report: Report = None,
    attach: Attached = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Approve a promotion that waits for it."""
    found, files = read_report(report, attach), attach or []
    _decide(
        promotion_id,
        lambda client: client.approve(promotion_id, reason, report=found, attachments=files),
        url,
        token,
        as_json,
    )


def reject(
    promotion_id: PromotionId,
    reason: Reason,
    report: Report = None,
    attach: Attached = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Reject a promotion."""
    found, files = read_report(report, attach), attach or []
    _decide(
        promotion_id,
        lambda client: client.reject(promotion_id, reason, report=found, attachments=files),
        url,
        token,
        as_json,
    )


def withdraw(
    promotion_id: PromotionId,
    reason: OptionalReason = "",
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Take back a promotion that is not decided yet."""
    _decide(promotion_id, lambda client: client.withdraw(promotion_id, reason), url, token, as_json)


def suspend(ref: Ref, reason: Reason, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Take a version out of production in an incident. Leaves no version in production."""
    with session(url, token, as_json) as (client, screen):
        version = client.suspend(ref, reason)
        model = f"{version['namespace']}/{version['model']}"
        empty = plain(f"Nothing of {model} is in production now.", "bold yellow")
        screen.show(version, _moved(version), empty)


def deprecate(ref: Ref, reason: Reason, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Mark a version as not to be used."""
    _move(lambda client: client.deprecate(ref, reason), url, token, as_json)


def reinstate(ref: Ref, reason: Reason, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Bring a deprecated version back to development."""
    _move(lambda client: client.reinstate(ref, reason), url, token, as_json)


def delete(
    ref: Ref,
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Delete a version for good. What it was stays to be read; its bytes go, where nothing else needs them."""
    with session(url, token, as_json) as (client, screen):
        told = client.deletion(ref)
        if not (yes or told["reasons"] or told["deleted"]):
            if not screen.can_ask:
                raise typer.BadParameter("Say --yes: nobody can be asked here.", param_hint="--yes")
            screen.err.print(deletion_view(told))
            typer.confirm(f"Delete {told['reference']} for good?", abort=True, err=True)
        version = client.delete_version(told["reference"], reason)
        screen.show(version, deleted_view(version, told))


def _decided(client: Client, screen: Screen, asked: Promotion, wait: bool, timeout: float) -> None:
    """Show what came of it; the exit code says whether it was refused. A gate still pending is no failure."""
    if wait:
        with screen.waiting("Evaluating gates"):
            try:
                asked = client.wait_until_decided(asked, timeout)
            except TimedOut as late:
                asked = late.answer
    screen.show(asked, promotion_view(asked))
    if asked["state"] in REFUSED:
        raise typer.Exit(1)


def _decide(
    promotion_id: str,
    decide: Callable[[Client], Promotion],
    url: str | None,
    token: str | None,
    as_json: bool,
) -> None:
    with session(url, token, as_json) as (client, screen):
        answer = decide(client)
        screen.show(answer, promotion_view(answer))


def read_report(path: Path | None, attached: list[Path] | None) -> dict[str, Any] | None:
    """A report from its file; a usage error for what is none, or for files that go with none."""
    if path is None:
        if attached:
            raise typer.BadParameter("It goes with a report: give --report.", param_hint="--attach")
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path} is no JSON: {error}", param_hint="--report") from None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{path} holds no JSON object.", param_hint="--report")
    return found


def _move(move: Callable[[Client], Version], url: str | None, token: str | None, as_json: bool) -> None:
    with session(url, token, as_json) as (client, screen):
        version = move(client)
        screen.show(version, _moved(version))


def _moved(version: Version) -> Text:
    where = " is " if version["stage"] in ("deprecated", "archived") else " is in "
    return plain(version["reference"], "bold") + Text(where) + state(version["stage"]) + Text(".")
