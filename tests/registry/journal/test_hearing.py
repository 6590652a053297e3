"""Which endpoints hear of what, by type, model and stage; another secret; a period told again; a test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from lifecycle.actions.incidents import open_incident
from lifecycle.actions.promotions import move_version, request_promotion
from registry.actions.deliveries import replay_webhook, try_webhook
from registry.actions.models import create_model
from registry.actions.webhooks import WebhookIsOff, create_webhook, edit_webhook, rotate_secret
from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.journal import outbox
from registry.journal.delivery import tell
from registry.journal.webhooks import BOTH_SIGN_FOR, forget_old_secrets
from registry.models import Delivery, Event, Webhook
from tests.cast import Cast
from tests.factories import fresh, promotion_at, ready_version, simple_policy
from tests.registry.journal.receiver import Receiver, receiving


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with receiving() as found:
        settings.WEBHOOK_HOSTS = [f"127.0.0.1:{found.port}"]
        yield found


def a_hook(cast: Cast, receiver: Receiver, name: str = "ci", **given: Any) -> Webhook:
    wanted = {"url": receiver.url, "events": ["*"], **given}
    return create_webhook(namespace=cast.namespace, name=name, by=cast.principal("ada"), **wanted)[0]


def heard(hook: Webhook) -> list[str]:
    """The types that are on their way to it, or were."""
    while outbox.drain():
        pass
    rows = Delivery.objects.filter(webhook=hook).order_by("event_id")
    return [t for t in rows.values_list("event__type", flat=True) if not t.startswith("webhook.")]


def test_of_some_models_only(cast: Cast, receiver: Receiver) -> None:
    for name in ("scorer", "scorer-2"):
        create_model(namespace=cast.namespace, name=name, by=cast.principal("ben"))
    heard(a_hook(cast, receiver, "before"))
    one = a_hook(cast, receiver, "one", models=["scorer"])
    both = a_hook(cast, receiver, "both", models=["scorer-2", "scorer"])
    simple_policy(cast, "staging")  # of no model
    version = ready_version(cast, model="scorer-2")
    request_promotion(version=version, target="staging", by=cast.principal("eve"))
    assert heard(one) == []
    assert heard(both) == ["promotion.requested"]
    version = ready_version(cast, model="scorer")
    open_incident(model=version.model, severity="low", title="slow", by=cast.principal("ben"))
    assert heard(one) == ["incident.opened"]


def test_of_some_stages_only(cast: Cast, receiver: Receiver) -> None:
    hook = a_hook(cast, receiver, stages=["production"])
    promotion = promotion_at(cast, "applied")
    version = fresh(promotion.version)
    got = heard(hook)
    assert {"promotion.requested", "promotion.applied", "version.promoted"} <= set(got)
    staged = Event.objects.filter(namespace=cast.namespace, type="version.promoted", after__stage="staging")
    assert staged.exists()
    assert not Delivery.objects.filter(webhook=hook, event__in=staged).exists()
    # What names no stage concerns the stage of its version; what leaves the stage does too.
    other = ready_version(cast, model="other")
    open_incident(model=other.model, version=other, severity="low", title="x", by=cast.principal("ben"))
    assert heard(hook) == got
    open_incident(
        model=version.model, version=version, severity="low", title="slow", by=cast.principal("ben")
    )
    assert heard(hook)[len(got) :] == ["incident.opened"]
    move_version(version=version, move="suspend", reason="wrong", by=cast.principal("cora"))
    move_version(version=version, move="reinstate", reason="right", by=cast.principal("eve"))
    later = heard(hook)[len(got) :]
    assert "version.suspended" in later
    assert "version.reinstated" not in later


def test_filters_that_mean_nothing_are_refused(cast: Cast, receiver: Receiver) -> None:
    for given, field in (
        ({"models": ["never-was"]}, "models"),
        ({"stages": ["prod"]}, "stages"),
        ({"parallel": 9}, "parallel"),
        ({"parallel": 0}, "parallel"),
        ({"events": ["promotion.%"]}, "events"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            a_hook(cast, receiver, **given)
        assert refusal.value.field == field


# ---- secrets


def test_both_secrets_sign_for_a_day(cast: Cast, receiver: Receiver) -> None:
    hook = a_hook(cast, receiver)
    old = hook.secret
    _, new = rotate_secret(webhook=hook, by=cast.principal("ada"))
    try_webhook(webhook=hook, by=cast.principal("ada"))
    while outbox.drain():
        pass
    tell(hook.pk)
    _, headers, body = receiver.heard[-1]
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        assert Verifier(secret).verify(body, headers)["data"]["subject"]["kind"] == "webhook"
    with pytest.raises(WebhookVerificationError):
        Verifier(old).verify(body.replace(b"webhook", b"webhoof"), headers)
    # Its time is over: it signs nothing more, and is forgotten.
    later = timezone.now() + BOTH_SIGN_FOR
    try_webhook(webhook=hook, by=cast.principal("ada"))
    while outbox.drain():
        pass
    Webhook.objects.filter(pk=hook.pk).update(old_secret_until=timezone.now())
    tell(hook.pk)
    _, headers, body = receiver.heard[-1]
    with pytest.raises(WebhookVerificationError):
        Verifier(old).verify(body, headers)
    assert Verifier(new).verify(body, headers)
    assert forget_old_secrets(now=later) >= 1
    hook.refresh_from_db()
    assert (hook.old_secret, hook.old_secret_until) == ("", None)


def test_one_that_leaked_signs_nothing_more(cast: Cast, receiver: Receiver) -> None:
    hook = a_hook(cast, receiver)
    old = hook.secret
    rotated, new = rotate_secret(webhook=hook, at_once=True, by=cast.principal("ada"))
    assert (rotated.old_secret, rotated.secret) == ("", new)
    told = str(list(Event.objects.filter(subject_id=str(hook.pk)).values_list("before", "after")))
    assert old not in told
    assert new not in told
    for who, refusal in (("cora", Forbidden), ("mallory", NotVisible)):
        with pytest.raises(refusal):
            rotate_secret(webhook=hook, by=cast.principal(who))


# ---- again


def test_a_period_is_told_again_in_order_under_the_same_ids(cast: Cast, receiver: Receiver) -> None:
    hook = a_hook(cast, receiver, events=["model.*"])
    began = timezone.now()
    for name in ("a", "b"):
        create_model(namespace=cast.namespace, name=name, by=cast.principal("ben"))
    heard(hook)
    tell(hook.pk)
    edit_webhook(webhook=hook, active=False, by=cast.principal("ada"))
    create_model(namespace=cast.namespace, name="c", by=cast.principal("ben"))  # not heard of: it was off
    heard(hook)
    with pytest.raises(WebhookIsOff):
        replay_webhook(webhook=hook, since=began, by=cast.principal("ada"))
    edit_webhook(webhook=hook, active=True, by=cast.principal("ada"))
    assert replay_webhook(webhook=hook, since=began, by=cast.principal("ada")) == 3
    assert replay_webhook(webhook=hook, since=began, by=cast.principal("ada")) == 0  # it waits already
    heard(hook)
    tell(hook.pk)
    ids = [headers["webhook-id"] for _, headers, _ in receiver.heard]
    assert (len(ids), len(set(ids))) == (5, 3)
    assert ids[2:] == sorted(set(ids), key=lambda each: int(each.removeprefix("evt_")))
    assert Delivery.objects.filter(webhook=hook, event__type="model.created").count() == 3
    for since, until in ((timezone.now() + timedelta(days=1), None), (began, began)):
        with pytest.raises(InvalidInput):
            replay_webhook(webhook=hook, since=since, until=until, by=cast.principal("ada"))


def test_over_rest(cast: Cast, receiver: Receiver) -> None:
    ada, began = cast.client("ada"), timezone.now().isoformat()
    made = ada.post(
        f"/api/v1/namespaces/{cast.namespace.name}/webhooks",
        {"name": "ci", "url": receiver.url, "events": ["model.*"], "stages": ["production"], "parallel": 2},
    ).json()
    one = f"/api/v1/webhooks/{made['id']}"
    assert (made["stages"], made["parallel"], made["models"]) == (["production"], 2, [])
    tested = ada.post(f"{one}/test")
    assert (tested.status_code, tested.json()["event"]["type"]) == (202, "webhook.tested")
    while outbox.drain():
        pass
    hook = Webhook.objects.get(pk=made["id"])
    tell(hook.pk)
    shown = ada.get(f"/api/v1/deliveries/{tested.json()['id']}").json()
    attempt = shown["attempts"][0]
    assert (shown["state"], attempt["status"]) == ("delivered", 204)
    assert attempt["request"]["url"] == receiver.url.partition("?")[0]  # where receivers put keys is not kept
    assert attempt["request"]["headers"]["webhook-id"] == f"evt_{shown['event']['id']}"
    assert "content-length" in attempt["headers"]
    assert attempt["duration_ms"] >= 0
    assert shown["body"].encode() == receiver.heard[0][2]
    assert ada.get(f"{one}/deliveries?state=failed").json()["results"] == []
    assert ada.get(f"{one}/deliveries?state=lost").json()["field"] == "state"
    rotated = ada.post(f"{one}/rotate", {})
    assert rotated.json()["secret"].startswith("whsec_")
    assert rotated.json()["both_secrets_sign_until"]
    assert "secret" not in ada.get(one).json()
    ada.patch(one, {"stages": []})
    create_model(namespace=cast.namespace, name="a", by=cast.principal("ben"))
    key = {"Idempotency-Key": "again-1"}
    first = ada.post(f"{one}/replay", {"since": began}, headers=key)
    tell(hook.pk)
    second = ada.post(
        f"{one}/replay", {"since": began}, headers=key
    )  # heard of since, and not told once more
    assert [r.json() for r in (first, second)] == [{"messages": 1}, {"messages": 1}]
    assert (
        not Delivery.objects.filter(webhook=hook, state="pending")
        .exclude(event__type="x")
        .filter(event__type="model.created", attempts__isnull=False)
        .exists()
    )
    assert ada.post(f"{one}/replay", {"since": "yesterday"}).json()["field"] == "since"
    assert cast.client("mallory").post(f"{one}/replay", {"since": began}).status_code == 404
