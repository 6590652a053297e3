"""Endpoints that hear of a namespace's events, and what they were told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from assay.cli.options import Json, Limit, Token, Url
from assay.cli.screen import session
from assay.cli.words import facts, listing, plain, row, state, when
from assay.client import Client
from assay.webhooks import Attempt, Delivery, Webhook, WebhookWithSecret, WholeDelivery

app = typer.Typer(
    name="webhook", no_args_is_help=True, help="Endpoints that hear of events, and what they were told."
)
Owner = Annotated[str, typer.Argument(metavar="NAMESPACE", show_default=False)]
Hook = Annotated[
    str, typer.Argument(metavar="NAMESPACE/NAME", show_default=False, help="A webhook, as fraud/ci.")
]
DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY", show_default=False, help="A delivery's id.")]
Events = Annotated[
    list[str] | None,
    typer.Option("--event", "-e", help="A type, as version.ready, or promotion.*; repeat. Else all."),
]
Models = Annotated[
    list[str] | None, typer.Option("--model", help="Only of this model of the namespace; repeat.")
]
Stages = Annotated[list[str] | None, typer.Option("--stage", help="Only in this stage; repeat.")]


@app.command(name="list")
def list_webhooks(namespace: Owner, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """List the webhooks of a namespace, and which of them nothing reaches."""
    with session(url, token, as_json) as (client, screen):
        found = client.webhooks(namespace)
        screen.show(found, _listed(found))


@app.command()
def create(
    namespace: Owner,
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    address: Annotated[str, typer.Argument(metavar="ADDRESS", show_default=False, help="http(s)://...")],
    event: Events = None,
    model: Models = None,
    stage: Stages = None,
    parallel: Annotated[
        int, typer.Option("--parallel", min=1, max=8, help="Messages at a time; 1: in order.")
    ] = 1,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Tell an endpoint of what happens. Prints the secret that messages are signed with, once."""
    with session(url, token, as_json) as (client, screen):
        made = client.create_webhook(
            namespace,
            name,
            address,
            events=event or ["*"],
            models=model or [],
            stages=stage or [],
            parallel=parallel,
        )
        screen.show(made, webhook_view(made), _secret(made))


@app.command()
def show(hook: Hook, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Show a webhook."""
    with session(url, token, as_json) as (client, screen):
        found = _found(client, hook)
        screen.show(found, webhook_view(found))


@app.command()
def edit(
    hook: Hook,
    address: Annotated[str | None, typer.Option("--address", help="Where it is sent from now on.")] = None,
    event: Events = None,
    model: Models = None,
    stage: Stages = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Of all models, in all stages: take these filters away.")
    ] = False,
    parallel: Annotated[
        int | None, typer.Option("--parallel", min=1, max=8, help="Messages at a time; 1: in order.")
    ] = None,
    active: Annotated[
        bool | None, typer.Option("--on/--off", help="Switch it on or off.", show_default=False)
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Change what a webhook hears of, where it is, or whether it is told anything."""
    given = {"url": address, "events": event, "models": model, "stages": stage, "parallel": parallel}
    changes: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    changes |= {"active": active} if active is not None else {}
    changes |= {key: [] for key in ("models", "stages") if everything and key not in changes}
    if not changes:
        raise typer.BadParameter("Say what changes: --address, --event, --model, --stage, --on, ...")
    with session(url, token, as_json) as (client, screen):
        changed = client.edit_webhook(_found(client, hook)["id"], **changes)
        screen.show(changed, webhook_view(changed))


@app.command()
def delete(hook: Hook, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Take a webhook away. What waits for it is told to nobody; its log stays."""
    with session(url, token, as_json) as (client, screen):
        found = _found(client, hook)
        client.delete_webhook(found["id"])
        screen.show(found, plain(hook, "bold") + Text(" is taken away."))


@app.command()
def rotate(
    hook: Hook,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="The old one leaked: it signs nothing more.")
    ] = False,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Make a new secret and print it, once. The old one signs too for 24 hours."""
    with session(url, token, as_json) as (client, screen):
        made = client.rotate_webhook_secret(_found(client, hook)["id"], at_once=at_once)
        until = made["both_secrets_sign_until"]
        old = f"The old secret signs too until {when(until)} UTC." if until else "The old secret is void."
        screen.show(made, _secret(made), Text(old))


@app.command(name="test")
def send_test(hook: Hook, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Send a webhook the event webhook.tested, whatever it asked to hear of."""
    with session(url, token, as_json) as (client, screen):
        sent = client.test_webhook(_found(client, hook)["id"])
        hint = f"  assay webhook delivery {sent['id']}"
        screen.show(sent, Text("A test is on its way. What comes of it:"), plain(hint, "bold"))


@app.command()
def log(
    hook: Hook,
    failed: Annotated[bool, typer.Option("--failed", help="Only what was given up.")] = False,
    limit: Limit = 30,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List what a webhook was told, newest first."""
    with session(url, token, as_json) as (client, screen):
        found = client.deliveries(_found(client, hook)["id"], state="failed" if failed else None, limit=limit)
        screen.show(found, _log(found))


@app.command()
def delivery(delivery_id: DeliveryId, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Show one delivery: what was sent, what was answered, how long it took."""
    with session(url, token, as_json) as (client, screen):
        found = client.delivery(delivery_id)
        screen.show(found, delivery_view(found))


@app.command()
def redeliver(delivery_id: DeliveryId, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """Tell a webhook again of one event, now, under the same id."""
    with session(url, token, as_json) as (client, screen):
        again = client.redeliver(delivery_id)
        screen.show(again, plain(again["event"]["type"], "bold") + Text(" is on its way again."))


@app.command()
def replay(
    hook: Hook,
    since: Annotated[
        datetime, typer.Option("--since", help="From this UTC time on, as 2026-01-31T12:00:00.")
    ],
    until: Annotated[
        datetime | None, typer.Option("--until", help="Before this UTC time; else until now.")
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Tell a webhook all of a period again, under the ids it had."""
    with session(url, token, as_json) as (client, screen):
        told = client.replay_webhook(
            _found(client, hook)["id"],
            since.replace(tzinfo=UTC),
            until.replace(tzinfo=UTC) if until else None,
        )
        noun = "message is" if told == 1 else "messages are"
        screen.show({"messages": told}, Text(f"{told:,} {noun} on the way to {hook} again."))


def _found(client: Client, hook: str) -> Webhook:
    """The webhook called `namespace/name`; a usage error that says what there is."""
    namespace, slash, name = hook.partition("/")
    if not slash or not name:
        raise typer.BadParameter(f"{hook!r} is not of the form namespace/name.", param_hint="NAMESPACE/NAME")
    known = {each["name"]: each for each in client.webhooks(namespace)}
    if name not in known:
        there = ", ".join(sorted(known)) or "none"
        raise typer.BadParameter(
            f"{namespace} has no webhook {name!r}; it has {there}.", param_hint="NAMESPACE/NAME"
        )
    return known[name]


def _state(hook: Webhook) -> Text:
    if not hook["active"]:
        return state("off")
    since = hook["failing_since"]
    return state("failing") + plain(f" since {when(since)}", "not bold dim") if since else state("on")


def _listed(hooks: list[Webhook]) -> RenderableType:
    if not hooks:
        return Text("No webhooks.", style="dim")
    table = listing("webhook", "address", "hears of", "state", fold=["webhook", "address", "hears of"])
    for hook in hooks:
        row(table, plain(hook["name"], "bold"), hook["url"], _hears(hook), _state(hook))
    return table


def _hears(hook: Webhook) -> str:
    told = ", ".join("everything" if event == "*" else event for event in hook["events"])
    told += f" of {', '.join(hook['models'])}" if hook["models"] else ""
    return told + (f" in {', '.join(hook['stages'])}" if hook["stages"] else "")


def webhook_view(hook: Webhook) -> RenderableType:
    """Where it is, what it hears of and how it does."""
    title = plain(f"{hook['namespace']}/{hook['name']}", "bold") + Text("  ") + _state(hook)
    order = "in order, one at a time" if hook["parallel"] == 1 else f"{hook['parallel']} at a time"
    rows: list[tuple[str, Text | str]] = [
        ("address", hook["url"]),
        ("hears of", _hears(hook)),
        ("sent", order),
        ("off because", hook["disabled_reason"]),
        ("created", f"by {hook['created_by']}, {when(hook['created_at'])} UTC"),
        ("id", hook["id"]),
    ]
    return Group(title, facts(rows))


def _secret(hook: WebhookWithSecret) -> RenderableType:
    return Group(Text("Its messages are signed with this secret, shown once:"), plain(hook["secret"], "bold"))


def _log(found: list[Delivery]) -> RenderableType:
    if not found:
        return Text("It was told nothing yet.", style="dim")
    parts: list[RenderableType] = []
    for each in found:
        event = each["event"]
        head = plain(f"{when(each['created_at'])}  ", "dim") + plain(event["type"], "bold") + Text("  ")
        last = each["attempts"][-1] if each["attempts"] else None
        told = plain(f"{_answer(last)}  " if last else "", "not bold") + plain(each["id"], "not bold dim")
        about = plain(event["reference"])
        parts += [head + state(each["state"]), Padding(about, (0, 0, 0, 18)), Padding(told, (0, 0, 0, 18))]
    return Group(*parts)


def _answer(attempt: Attempt) -> str:
    told = str(attempt["status"]) if attempt["status"] else attempt["error"].partition(":")[0]
    return f"{told}, {attempt['duration_ms']} ms"


def delivery_view(found: WholeDelivery) -> RenderableType:
    """What was sent, and every answer."""
    event = found["event"]
    title = plain(event["type"], "bold") + plain(f"  {event['reference']}  ") + state(found["state"])
    parts: list[RenderableType] = [
        title,
        facts([("next attempt", when(found["due_at"])), ("id", found["id"])]),
    ]
    for number, attempt in enumerate(found["attempts"], 1):
        sent, answered = attempt["request"], attempt["headers"]
        rows: list[tuple[str, Text | str]] = [
            ("to", " at ".join(filter(None, [sent.get("url", ""), sent.get("address", "")]))),
            ("under", "\n".join(f"{name}: {value}" for name, value in sent.get("headers", {}).items())),
            ("error", plain(attempt["error"], "bold red")),
            ("answer", plain(attempt["answer"])),
            ("headers", "\n".join(f"{name}: {value}" for name, value in answered.items())),
        ]
        told = f"attempt {number}  {when(attempt['at'])} UTC  {_answer(attempt)}"
        parts += [Text(""), plain(told), facts(rows)]
    return Group(*parts, Text(""), Text("body", style="dim"), plain(found["body"]))
