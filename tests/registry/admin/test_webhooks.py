"""Looking after a webhook from the administration: what will follow is said first, and each change is one action."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.test import Client
from standardwebhooks.webhooks import Webhook as Verifier

from registry.actions.models import create_model
from registry.actions.webhooks import create_webhook
from registry.journal import outbox
from registry.journal.delivery import tell
from registry.models import Delivery, Webhook
from tests.cast import Cast
from tests.registry.journal.receiver import Receiver, receiving


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with receiving() as found:
        settings.WEBHOOK_HOSTS = [f"127.0.0.1:{found.port}"]
        yield found


@pytest.fixture
def hook(cast: Cast, receiver: Receiver) -> Webhook:
    create_model(namespace=cast.namespace, name="scorer", by=cast.principal("ben"))
    made, _ = create_webhook(
        namespace=cast.namespace, name="ci", url=receiver.url, events=["*"], by=cast.principal("ada")
    )
    return made


def signed_in(cast: Cast, name: str) -> Client:
    client = Client()
    client.force_login(cast.user(name), backend="django.contrib.auth.backends.ModelBackend")
    return client


def told(response: Any) -> str:
    return " ".join(unescape(response.content.decode()).split())


def test_edited_tried_replayed_and_given_another_secret(
    cast: Cast, hook: Webhook, receiver: Receiver
) -> None:
    client, page = signed_in(cast, "ada"), f"/admin/registry/webhook/{hook.pk}"
    assert "shown once" not in told(client.get(f"{page}/change/"))
    assert "Only in these stages" in told(client.get(f"{page}/edit/"))
    given = {"name": "ci", "url": receiver.url, "events": "model.*", "models": "scorer", "parallel": 1}
    assert "has no model 'x'" in told(client.post(f"{page}/edit/", {**given, "models": "x"}))
    assert client.post(f"{page}/edit/", {**given, "stages": ["production"]}).status_code == 302
    assert "models scorer; stages production" in told(client.get(f"{page}/change/"))

    assert "whatever the webhook asked to hear of" in told(client.get(f"{page}/send-test/"))
    assert client.post(f"{page}/send-test/", {}).status_code == 302
    while outbox.drain():
        pass
    tell(hook.pk)
    delivery = Delivery.objects.get(webhook=hook)
    shown = told(client.get(f"/admin/registry/delivery/{delivery.pk}/change/"))
    for part in ("webhook.tested", "webhook-signature", "content-length", "204"):
        assert part in shown

    assert "under the same ids" in told(client.get(f"{page}/replay/"))
    client.post(f"{page}/edit/", given)
    assert "shorter period" not in told(
        client.post(f"{page}/replay/", {"since": "2026-01-01 00:00"}, follow=True)
    )
    assert Delivery.objects.filter(webhook=hook, event__type="model.created").count() == 1
    assert "begins before it ends" in told(client.post(f"{page}/replay/", {"since": "2999-01-01 00:00"}))

    made = client.post(f"{page}/rotate/", {})
    secret = next(word for word in told(made).replace("<", " ").replace(">", " ").split() if "whsec_" in word)
    tell(hook.pk)
    _, headers, body = receiver.heard[-1]
    assert Verifier(secret).verify(body, headers)["type"] == "model.created"
    assert secret not in told(client.get(f"{page}/change/"))


@pytest.mark.parametrize(("who", "status"), [("eve", 404), ("mallory", 404)])
def test_others_find_nothing(cast: Cast, hook: Webhook, who: str, status: int) -> None:
    client, secret = signed_in(cast, who), hook.secret
    for action in ("edit", "send-test", "replay", "rotate", "switch-off"):
        assert client.post(f"/admin/registry/webhook/{hook.pk}/{action}/", {}).status_code == status
    hook.refresh_from_db()
    assert (hook.secret, hook.active) == (secret, True)
