"""What it takes to reach a stage: policies shown, drafted from files, and published."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from assay.cli.options import Json, OptionalReason, Token, Url
from assay.cli.screen import session
from assay.cli.words import facts, listing, plain, row, state, when
from assay.client import Client
from assay.errors import Invalid, PolicyFileInvalid
from assay.policies import Policy, PolicyChange
from assay.policy_files import PolicyText, read_policies, written

app = typer.Typer(
    name="policy", no_args_is_help=True, help="What it takes to reach a stage: gates and approvals."
)
PolicyId = Annotated[str, typer.Argument(metavar="POLICY", show_default=False, help="A policy's id.")]
Home = Annotated[str, typer.Argument(metavar="NAMESPACE", show_default=False)]
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MARKS = {"removed": ("-", "red"), "added": ("+", "green"), "changed": ("~", "yellow")}


@app.command(name="list")
def list_policies(
    namespace: Home,
    every: Annotated[bool, typer.Option("--all", help="Every revision, withdrawn drafts too.")] = False,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List the policies in force, and the drafts that wait to be published."""
    with session(url, token, as_json) as (client, screen):
        states = ("draft", "published", "withdrawn") if every else ("draft", "in_force")
        found = [each for which in states for each in client.policies(namespace, state=which)]
        table = listing("for", "target", "revision", "state", "gates", "approvals", "id", fold=("for", "id"))
        for each in found:
            row(
                table,
                _scope(each),
                each["target"],
                str(each["revision"]),
                state(each["state"]),
                str(len(each["gates"])),
                str(each["approvals"].get("count", 0)),
                each["id"],
            )
        screen.show(found, table)


@app.command()
def show(
    about: Annotated[
        str,
        typer.Argument(
            metavar="POLICY", show_default=False, help="A policy's id, a namespace, or a namespace/model."
        ),
    ],
    target: Annotated[str, typer.Option("--target", help="staging or production.")] = "production",
    tier: Annotated[str, typer.Option("--tier", help="Of the namespace, that of this risk tier.")] = "",
    since: Annotated[
        int | None, typer.Option("--since", help="Compare with this revision.", show_default=False)
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show a revision and what it changed; of a namespace or a model the one in force."""
    with session(url, token, as_json) as (client, screen):
        found = client.policy(_found(client, about, target, tier), since=since)
        screen.show(found, policy_view(found))


@app.command()
def apply(
    file: Annotated[
        Path,
        typer.Option(
            "--file", "-f", help="A YAML file; `assay policy export` writes one.", show_default=False
        ),
    ],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Where the file names none.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    reason: OptionalReason = "",
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Make the policies of a file so: published for staging, drafted for production, where somebody else publishes.

    All of the file is checked before anything is drafted. What is so already is left alone.
    """
    with session(url, token, as_json) as (client, screen):
        texts = read_policies(file, namespace)
        answers: list[dict[str, Any]] = []
        views: list[RenderableType] = []
        checked = [_checked(client, each) for each in texts]
        for text, check in zip(texts, checked, strict=True):
            changed = check["changes"]
            answer: dict[str, Any] = {
                "scope": text.scope, "target": text.target, "result": "unchanged", "changes": changed, "policy": None
            }  # fmt: skip
            if changed and dry_run:
                answer["result"] = "would change"
            elif changed:
                policy = _applied(client, text, reason)
                answer |= {"result": policy["state"], "policy": policy}
            answers.append(answer)
            views.append(_applied_view(answer))
        screen.show(answers, *views)


@app.command()
def publish(
    policy_id: PolicyId,
    reason: OptionalReason = "",
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Put a draft in force. For production somebody else does than who drafted it."""
    with session(url, token, as_json) as (client, screen):
        screen.show(done := client.publish_policy(policy_id, reason), policy_view(done))


@app.command()
def withdraw(
    policy_id: PolicyId,
    reason: OptionalReason = "",
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """End a draft that is not to be published."""
    with session(url, token, as_json) as (client, screen):
        screen.show(done := client.withdraw_policy(policy_id, reason), policy_view(done))


@app.command()
def export(
    namespace: Home,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; else it is printed.", show_default=False)
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Write the policies in force as a file that `assay policy apply` takes."""
    with session(url, token, as_json) as (client, screen):
        found = sorted(
            client.policies(namespace),
            key=lambda each: (each["model"] or "", each["risk_tier"], each["target"] == "production"),
        )
        text = written(found)
        if output is None:
            screen.show(found, plain(text.rstrip("\n")))
        else:
            output.write_text(text, encoding="utf-8")
            screen.show(found, plain(f"{len(found)} policies are in {output}."))


def _found(client: Client, about: str, target: str, tier: str) -> str:
    """The id of the policy that is meant: given, or the one in force for a model, which may be its namespace's."""
    if UUID.fullmatch(about):
        return about
    if "/" in about:
        found = [each for each in client.policies_of(about) if each["target"] == target]
    else:
        of_tier = client.policies(about, target=target, risk_tier=tier)
        found = [each for each in of_tier if each["model"] is None]
    if not found:
        raise typer.BadParameter(
            f"There is no {target} policy for {about}{f', tier {tier}' if tier else ''}."
        )
    return found[0]["id"]


def _checked(client: Client, text: PolicyText) -> Any:
    """What it would change; a refusal names the line of the file."""
    try:
        return client.check_policy(
            text.namespace,
            text.target,
            text.gates,
            text.approvals,
            model=text.model,
            risk_tier=text.risk_tier,
        )
    except Invalid as refusal:
        raise PolicyFileInvalid(f"{text.at(refusal.field)}: {refusal.sentence}") from refusal


def _applied(client: Client, text: PolicyText, reason: str) -> Policy:
    policy = client.draft_policy(
        text.namespace,
        text.target,
        text.gates,
        text.approvals,
        model=text.model,
        risk_tier=text.risk_tier,
        reason=reason,
    )
    if policy["state"] == "draft" and text.target == "staging":
        policy = client.publish_policy(policy["id"], reason)
    return policy


def _applied_view(answer: dict[str, Any]) -> RenderableType:
    parts: list[RenderableType] = [
        plain(f"{answer['scope']} {answer['target']}: ", "bold") + state(answer["result"]),
        *_changes_view(answer["changes"]),
    ]
    if answer["result"] == "draft":
        parts.append(Text("  Somebody else puts it in force:"))
        parts.append(plain(f"  assay policy publish {answer['policy']['id']}", "bold"))
    return Group(*parts)


def _changes_view(changes: list[PolicyChange]) -> list[RenderableType]:
    views: list[RenderableType] = []
    for change in changes:
        mark, style = MARKS.get(change["what"], ("~", "yellow"))
        views.append(facts([(mark, plain(change["sentence"], style))]))
    return views


def _scope(policy: Policy) -> str:
    if policy["model"]:
        return f"{policy['namespace']}/{policy['model']}"
    return (
        f"{policy['namespace']}, tier {policy['risk_tier']}" if policy["risk_tier"] else policy["namespace"]
    )


def policy_view(policy: Policy) -> RenderableType:
    """What it asks for, who made it so, and what it changed."""
    title = plain(f"{_scope(policy)} {policy['target']} policy, revision {policy['revision']}  ", "bold")
    published = ""
    if policy["published_by"]:
        published = f"by {policy['published_by']}, {when(policy['published_at'])} UTC"
    rows: list[tuple[str, Text | str]] = [
        *((f"{index}.", plain(gate["claim"])) for index, gate in enumerate(policy["gates"], 1)),
        ("approvals", str(policy["approvals"].get("count", 0))),
        ("drafted", f"by {policy['drafted_by']}, {when(policy['drafted_at'])} UTC"),
        ("why", policy["reason"]),
        ("published", published),
        ("id", policy["id"]),
    ]
    parts: list[RenderableType] = [title + state(policy["state"]), facts(rows)]
    if policy.get("changes"):
        since = policy.get("since")
        parts.append(
            plain(f"What it changes about revision {since}:" if since else "What it asks for first:")
        )
        parts += _changes_view(policy["changes"])
    return Group(*parts)
