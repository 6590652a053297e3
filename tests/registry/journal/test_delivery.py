"""Events reach receivers: signed, once in effect, retried for three days, and nowhere they should not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Verifier

from config.startup import refuse_unreadable_allowlist
from registry.actions.deliveries import redeliver
from registry.actions.models import create_model
from registry.actions.webhooks import create_webhook, delete_webhook, edit_webhook
from registry.journal import outbox, posting
from registry.journal.delivery import SCHEDULE, deliver, sweep
from registry.journal.egress import Target, parse_url
from registry.journal.webhooks import plan_deliveries
from registry.models import Delivery, DeliveryAttempt, Event, Webhook
from registry.models.leases import free
from tests.cast import Cast
from tests.registry.journal.receiver import Receiver, plain, receiving


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with receiving() as found:
        settings.WEBHOOK_HOSTS = [f"127.0.0.1:{found.port}"]
        yield found


@pytest.fixture
def hook(cast: Cast, receiver: Receiver) -> Webhook:
    webhook, secret = create_webhook(
        namespace=cast.namespace, name="ci", url=receiver.url, events=["model.*"], by=cast.principal("ada")
    )
    assert secret.startswith("whsec_")
    return webhook


def planned(cast: Cast, name: str = "scorer") -> Delivery:
    """A model was created, and its event handed on."""
    create_model(namespace=cast.namespace, name=name, by=cast.principal("ben"))
    while outbox.drain():
        pass
    return Delivery.objects.filter(webhook__namespace=cast.namespace).latest("event_id")


def test_it_works(cast: Cast, hook: Webhook, receiver: Receiver) -> None:
    row = planned(cast)
    outcome = deliver(row.pk)
    assert outcome is not None
    assert outcome.status == 204
    path, headers, body = receiver.heard[0]
    told = Verifier(hook.secret).verify(body, headers)
    assert path == "/hook?key=k"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert headers["webhook-id"] == f"evt_{row.event_id}"
    assert told["type"] == "model.created"
    assert told["data"]["namespace"] == cast.namespace.name
    assert told["data"]["subject"]["reference"] == f"{cast.namespace.name}/scorer"
    assert told["data"]["actor"] == cast.user("ben").username
    row.refresh_from_db()
    assert (row.state, row.attempts.count()) == ("delivered", 1)
    assert deliver(row.pk) is None
    assert len(receiver.heard) == 1


def test_the_drain_plans_it(cast: Cast, hook: Webhook) -> None:
    create_model(namespace=cast.namespace, name="scorer", by=cast.principal("ben"))
    while outbox.drain():
        pass
    assert Delivery.objects.filter(webhook=hook, event__type="model.created").count() == 1


def test_planning_twice_plans_once(cast: Cast, hook: Webhook) -> None:
    row = planned(cast)
    plan_deliveries(row.event)
    assert Delivery.objects.filter(webhook=hook).count() == 1


def test_only_what_was_asked_for(cast: Cast, hook: Webhook, receiver: Receiver) -> None:
    ada = cast.principal("ada")
    create_webhook(namespace=cast.namespace, name="all", url=receiver.url, events=["*"], by=ada)
    create_webhook(namespace=cast.namespace, name="one", url=receiver.url, events=["model.edited"], by=ada)
    off, _ = create_webhook(namespace=cast.namespace, name="off", url=receiver.url, events=["*"], by=ada)
    edit_webhook(webhook=off, active=False, by=ada)
    gone, _ = create_webhook(namespace=cast.namespace, name="gone", url=receiver.url, events=["*"], by=ada)
    delete_webhook(webhook=gone, by=ada)
    create_model(namespace=cast.namespace, name="scorer", by=cast.principal("ben"))
    event = Event.objects.filter(namespace=cast.namespace, type="model.created").get()
    plan_deliveries(event)
    assert {d.webhook.name for d in Delivery.objects.filter(event=event)} == {"ci", "all"}


def test_another_namespaces_events_are_not_told(cast: Cast, hook: Webhook) -> None:
    create_model(namespace=cast.elsewhere, name="scorer", by=cast.principal("mallory"))
    plan_deliveries(Event.objects.get(namespace=cast.elsewhere, type="model.created"))
    assert not Delivery.objects.filter(webhook=hook).exists()


def test_a_receiver_that_is_down_is_tried_for_three_days(
    cast: Cast, hook: Webhook, receiver: Receiver
) -> None:
    receiver.answer = lambda handler: plain(handler, 500, b"broken\x00")
    row = planned(cast)
    now, began = timezone.now(), timezone.now()
    ids = set()
    for number in range(len(SCHEDULE)):
        if number:
            assert deliver(row.pk, now=now - timedelta(milliseconds=1)) is None
        deliver(row.pk, now=now)
        row.refresh_from_db()
        ids.add(receiver.heard[-1][1]["webhook-id"])
        if number + 1 < len(SCHEDULE):
            assert row.due_at - now == SCHEDULE[number + 1]
            now = row.due_at
    assert row.state == "failed"
    assert timedelta(days=3) < now - began < timedelta(days=4)
    assert len(ids) == 1
    attempts = list(row.attempts.all())
    assert [a.status for a in attempts] == [500] * 10
    assert attempts[0].answer == "broken\ufffd"


def test_retry_after_is_honoured(cast: Cast, hook: Webhook, receiver: Receiver) -> None:
    receiver.answer = lambda handler: plain(handler, 429, Retry_After="120")
    row, now = planned(cast), timezone.now()
    deliver(row.pk, now=now)
    row.refresh_from_db()
    assert row.due_at - now == timedelta(seconds=120)
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    receiver.answer = lambda handler: plain(handler, 503, Retry_After=later)
    now = row.due_at
    deliver(row.pk, now=now)
    row.refresh_from_db()
    assert timedelta(minutes=59) < row.due_at - now < timedelta(minutes=61)


def test_nobody_is_asked_to_wait_for_ever(cast: Cast, hook: Webhook, receiver: Receiver) -> None:
    receiver.answer = lambda handler: plain(handler, 429, Retry_After="9" * 30)
    row, now = planned(cast), timezone.now()
    deliver(row.pk, now=now)
    row.refresh_from_db()
    assert row.due_at - now == timedelta(hours=24)


@pytest.mark.parametrize("said", ["\u00b2", "Mon, 01 Jan 2026 00:00:00 +" + "9" * 24, "soon", "-5"])
def test_a_retry_after_that_is_none_is_an_attempt_like_any_other(
    cast: Cast, hook: Webhook, receiver: Receiver, said: str
) -> None:
    receiver.answer = lambda handler: plain(handler, 503, Retry_After=said)
    row, now = planned(cast), timezone.now()
    deliver(row.pk, now=now)
    row.refresh_from_db()
    assert row.due_at - now == SCHEDULE[1]
    assert row.attempts.get().status == 503


def test_410_switches_the_webhook_off(cast: Cast, hook: Webhook, receiver: Receiver) -> None:
    receiver.answer = lambda handler: plain(handler, 410)
    row = planned(cast)
    deliver(row.pk)
    row.refresh_from_db()
    hook.refresh_from_db()
    assert (row.state, hook.active) == ("failed", False)
    assert "410" in hook.disabled_reason
    assert Event.objects.filter(subject_id=str(hook.pk), type="webhook.disabled", actor=None).exists()


def test_redirects_are_not_followed(cast: Cast, hook: Webhook, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answer = lambda handler: plain(handler, 307, Location=elsewhere.url)
        row = planned(cast)
        outcome = deliver(row.pk)
        assert outcome is not None
        assert (outcome.status, outcome.delivered) == (307, False)
        assert elsewhere.heard == []


def test_proxies_of_the_environment_are_not_used(
    cast: Cast, hook: Webhook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        deliver(planned(cast).pk)
        assert (len(receiver.heard), len(proxy.heard)) == (1, 0)


def test_an_address_that_left_the_list_is_not_dialled(
    cast: Cast, hook: Webhook, receiver: Receiver, settings: Any
) -> None:
    row = planned(cast)
    settings.WEBHOOK_HOSTS = ["ci.example"]
    outcome = deliver(row.pk)
    assert outcome is not None
    assert "ASSAY_WEBHOOK_HOSTS" in outcome.error
    assert receiver.heard == []


def test_an_allowlist_that_cannot_be_read_sends_nothing_and_says_so(
    cast: Cast, hook: Webhook, receiver: Receiver, settings: Any
) -> None:
    row = planned(cast)
    settings.WEBHOOK_HOSTS = ["not a host"]
    outcome = deliver(row.pk)
    assert outcome is not None
    assert "'not a host' is no host" in outcome.error
    assert receiver.heard == []
    with pytest.raises(SystemExit, match="Assay does not serve: ASSAY_WEBHOOK_HOSTS: 'not a host'"):
        refuse_unreadable_allowlist()


def target(receiver: Receiver) -> Target:
    return parse_url(receiver.url)


def test_a_huge_answer_is_cut(receiver: Receiver) -> None:
    sent = []

    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        for _ in range(1024):
            handler.wfile.write(b"x" * 1024 * 1024)
            sent.append(1)

    receiver.answer = flood
    outcome = posting.post(target(receiver), "127.0.0.1", headers={}, body=b"{}")
    assert outcome.delivered
    assert len(outcome.answer) == posting.SHOWN
    assert len(sent) < 64


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_slow_answer_ends_at_the_deadline(receiver: Receiver, part: str) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        if part == "body":
            handler.send_response(200)
            handler.end_headers()
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    receiver.answer = drip
    began = time.monotonic()
    outcome = posting.post(target(receiver), "127.0.0.1", headers={}, body=b"{}", deadline_seconds=0.5)
    assert time.monotonic() - began < 2
    assert not outcome.delivered
    assert "Timeout" in outcome.error


def test_the_vetted_address_is_dialled_under_the_hosts_name(receiver: Receiver) -> None:
    url = parse_url(f"http://ci.example:{receiver.port}/x")
    outcome = posting.post(url, "127.0.0.1", headers={}, body=b"{}")
    assert outcome.delivered
    assert receiver.heard[0][1]["host"] == f"ci.example:{receiver.port}"


@pytest.mark.parametrize("answer", [b"garbage\r\n\r\n", b"", b"HTTP/1.1 999999 x\r\n\r\n", b"\x00" * 100])
def test_nonsense_is_an_error_not_a_crash(receiver: Receiver, answer: bytes) -> None:
    def nonsense(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(answer)
        handler.close_connection = True

    receiver.answer = nonsense
    outcome = posting.post(target(receiver), "127.0.0.1", headers={}, body=b"{}", deadline_seconds=1)
    assert outcome.error
    assert "\x00" not in outcome.error


def test_nobody_listening_is_an_error() -> None:
    outcome = posting.post(parse_url("http://127.0.0.1:1/"), "127.0.0.1", headers={}, body=b"{}")
    assert "ConnectError" in outcome.error


def test_tls_that_does_not_verify_is_refused(receiver: Receiver) -> None:
    plain_port = parse_url(f"https://127.0.0.1:{receiver.port}/")
    outcome = posting.post(plain_port, "127.0.0.1", headers={}, body=b"{}", deadline_seconds=2)
    assert outcome.error
    assert receiver.heard == []


def test_a_dead_workers_delivery_is_taken_up(
    cast: Cast, hook: Webhook, receiver: Receiver, settings: Any
) -> None:
    row = planned(cast)
    now = timezone.now()
    Delivery.objects.filter(pk=row.pk).update(claimed_at=now, claims=1)
    assert deliver(row.pk, now=now + timedelta(seconds=1)) is None
    assert sweep(now=now + timedelta(seconds=1)) == 0
    later = now + timedelta(seconds=settings.LEASE_SECONDS + 1)
    assert row.pk in set(Delivery.objects.filter(free(later)).values_list("pk", flat=True))
    outcome = deliver(row.pk, now=later)
    assert outcome is not None
    assert outcome.delivered


def test_redelivery_tells_it_again_under_the_same_id(cast: Cast, hook: Webhook, receiver: Receiver) -> None:
    row = planned(cast)
    deliver(row.pk)
    redeliver(delivery=row, by=cast.principal("ada"))
    deliver(row.pk)
    first, second = (headers["webhook-id"] for _, headers, _ in receiver.heard)
    assert first == second
    assert DeliveryAttempt.objects.filter(delivery=row).count() == 2


def test_what_waits_for_a_deleted_webhook_is_given_up(cast: Cast, hook: Webhook, receiver: Receiver) -> None:
    row = planned(cast)
    delete_webhook(webhook=hook, by=cast.principal("ada"))
    deliver(row.pk)
    row.refresh_from_db()
    assert (row.state, receiver.heard) == ("failed", [])


# ---- over REST


def test_the_secret_is_shown_once(cast: Cast, receiver: Receiver) -> None:
    ada, url = cast.client("ada"), f"/api/v1/namespaces/{cast.namespace.name}/webhooks"
    made = ada.post(url, {"name": "ci", "url": receiver.url, "events": ["version.ready"]})
    assert made.status_code == 201, made.content
    secret = made.json()["secret"]
    one = f"/api/v1/webhooks/{made.json()['id']}"
    for answer in (ada.get(url), ada.get(one), ada.patch(one, {"active": False})):
        assert secret not in answer.content.decode()
    told = json.dumps(list(Event.objects.filter(namespace=cast.namespace).values("before", "after")))
    assert secret not in told
    assert "key=k" not in told
    assert ada.delete(one).status_code == 204
    assert ada.get(one).status_code == 404
    again = ada.post(url, {"name": "ci", "url": receiver.url, "events": ["*"]})
    assert (again.status_code, again.json()["secret"] == secret) == (201, False)


def test_the_log_shows_every_attempt(cast: Cast, hook: Webhook, receiver: Receiver) -> None:
    receiver.answer = lambda handler: plain(handler, 500)
    row = planned(cast)
    deliver(row.pk)
    ada = cast.client("ada")
    shown = ada.get(f"/api/v1/webhooks/{hook.pk}/deliveries").json()["results"]
    assert [(d["state"], [a["status"] for a in d["attempts"]]) for d in shown] == [("pending", [500])]
    again = ada.post(f"/api/v1/deliveries/{row.pk}/redeliver")
    assert again.status_code == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://169.254.169.254/"}, "url"),
        ({"url": "ftp://127.0.0.1/"}, "url"),
        ({"events": []}, "events"),
        ({"events": ["everything"]}, "events"),
        ({"events": "*"}, "events"),
        ({"name": ""}, "name"),
    ],
)
def test_refused(cast: Cast, receiver: Receiver, body: dict[str, Any], field: str) -> None:
    url = f"/api/v1/namespaces/{cast.namespace.name}/webhooks"
    answer = cast.client("ada").post(url, {"name": "x", "url": receiver.url, "events": ["*"], **body})
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.content
