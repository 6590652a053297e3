"""An administrator tells a receiver of what happens, and looks after it, in the shell alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Verifier

from config.embedded import programs
from config.embedded.home import free_port
from registry.actions.models import create_model
from registry.journal import outbox
from registry.journal.delivery import tell
from registry.models import Webhook
from tests.cast import Cast
from tests.conftest import Live, Process
from tests.journeys.conftest import Run
from tests.registry.journal.receiver import Receiver, plain, receiving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with receiving() as found:
        settings.WEBHOOK_HOSTS = [f"127.0.0.1:{found.port}"]
        yield found


@pytest.fixture
def live(receiver: Receiver, broker: Process) -> Iterator[Live]:
    """A web of its own, whose operator allows this receiver."""
    port = free_port()
    given = {name: value for name, value in os.environ.items() if name != "DATABASE_OWNER_URL"}
    given |= {"ASSAY_WEBHOOK_HOSTS": f"127.0.0.1:{receiver.port}"}
    log = Path(os.environ["ASSAY_HOME"]) / "logs" / "hooked-web.log"
    process = Live(
        programs.web(programs.python_environment(given), log, port, workers=1), f"http://127.0.0.1:{port}"
    )
    process.start()
    yield process
    process.kill()


@pytest.fixture
def worker() -> None:
    """None: what a worker does is done here, when the test says so."""


def work(hook: Webhook) -> None:
    while outbox.drain():
        pass
    tell(hook.pk)


def test_from_the_first_message_to_a_new_secret(cast: Cast, live: Live, run: Run, receiver: Receiver) -> None:
    name = cast.namespace.name

    def said(code: int, *arguments: str, who: str = "ada") -> str:
        told = run(who, code, "webhook", *arguments)
        return " ".join((told.stdout + told.stderr).split())

    refused = said(1, "create", name, "ci", "http://169.254.169.254/")
    assert "it is not in ASSAY_WEBHOOK_HOSTS" in refused
    made = json.loads(
        run("ada", 0, "webhook", "create", name, "ci", receiver.url, "-e", "model.*", "--json").stdout
    )
    hook, began = Webhook.objects.get(pk=made["id"]), timezone.now()
    assert f"on the way to {name}/ci again" in said(0, "replay", f"{name}/ci", "--since", "2026-01-01")
    assert "model.* on" in said(0, "list", name)
    assert "needs webhook.edit" in said(1, "list", name, who="eve")
    assert "has no webhook 'other'" in said(2, "show", f"{name}/other")

    sent = json.loads(run("ada", 0, "webhook", "test", f"{name}/ci", "--json").stdout)
    work(hook)
    _, headers, body = receiver.heard[-1]
    assert Verifier(made["secret"]).verify(body, headers)["type"] == "webhook.tested"
    shown = said(0, "delivery", sent["id"])
    assert "attempt 1" in shown
    assert f"webhook-id: evt_{sent['event']['id']}" in shown
    assert "204, " in shown

    receiver.answer = lambda handler: plain(handler, 500, b"the disk is full")
    create_model(namespace=cast.namespace, name="scorer", by=cast.principal("ben"))
    work(hook)
    assert "failing since" in said(0, "list", name)
    log = said(0, "log", f"{name}/ci")
    assert f"model.created pending {name}/scorer 500, " in log
    receiver.answer = lambda handler: plain(handler, 204)
    waiting = json.loads(run("ada", 0, "webhook", "log", f"{name}/ci", "--json").stdout)[0]
    assert "model.created is on its way again" in said(0, "redeliver", waiting["id"])
    work(hook)
    assert f"model.created delivered {name}/scorer 204, " in said(0, "log", f"{name}/ci")

    rotated = said(0, "rotate", f"{name}/ci")
    assert "signs too until" in rotated
    new = next(word for word in rotated.split() if word.startswith("whsec_"))
    since = began.strftime("%Y-%m-%dT%H:%M:%S")
    assert "1 message is on the way" in said(0, "replay", f"{name}/ci", "--since", since)
    work(hook)
    _, headers, body = receiver.heard[-1]
    for secret in (made["secret"], new):
        assert Verifier(secret).verify(body, headers)["data"]["subject"]["reference"] == f"{name}/scorer"

    changed = said(0, "edit", f"{name}/ci", "--model", "scorer", "--stage", "production", "--off")
    assert "model.* of scorer in production" in changed
    assert "Switched off by" in changed
    assert "switch it on first" in said(1, "test", f"{name}/ci")
    assert "is taken away" in said(0, "delete", f"{name}/ci")
    assert "No webhooks." in said(0, "list", name)
