"""In which order endpoints are told, how many at a time, and what becomes of those that nothing reaches."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from config.doctor.findings import examine
from config.doctor.webhooks import checks
from registry.actions.deliveries import redeliver
from registry.actions.models import create_model
from registry.actions.webhooks import create_webhook, edit_webhook
from registry.journal import outbox
from registry.journal.delivery import ALL_OF_IT, SCHEDULE, sweep, tell
from registry.journal.trouble import failing, tell_of_failing
from registry.models import Delivery, Event, OutboxItem, Webhook
from tests.cast import Cast, make_cast
from tests.registry.journal.receiver import Receiver, plain, receiving

A_WHILE = timedelta(seconds=1)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with receiving() as found:
        settings.WEBHOOK_HOSTS = [f"127.0.0.1:{found.port}"]
        yield found


def a_hook(cast: Cast, receiver: Receiver, **given: Any) -> Webhook:
    wanted = {"name": "ci", "url": receiver.url, "events": ["model.*"], **given}
    return create_webhook(namespace=cast.namespace, by=cast.principal("ada"), **wanted)[0]


def happen(cast: Cast, number: int) -> list[int]:
    """So many models are made, and their events handed on; the ids of the events."""
    names = [f"m{time.monotonic_ns()}-{n}" for n in range(number)]
    for name in names:
        create_model(namespace=cast.namespace, name=name, by=cast.principal("ben"))
    drained()
    made = Event.objects.filter(namespace=cast.namespace, type="model.created").order_by("-pk")[:number]
    return sorted(made.values_list("pk", flat=True))


def drained() -> None:
    while outbox.drain():
        pass


def told(receiver: Receiver) -> list[int]:
    """The events that were heard, in the order in which they were."""
    return [int(headers["webhook-id"].removeprefix("evt_")) for _, headers, _ in receiver.heard]


def test_in_the_order_of_the_journal(cast: Cast, receiver: Receiver) -> None:
    hook = a_hook(cast, receiver)
    made = happen(cast, 5)
    assert tell(hook.pk) == 5
    assert told(receiver) == made
    assert tell(hook.pk) == 0


def test_what_cannot_be_told_holds_up_what_came_after(cast: Cast, receiver: Receiver) -> None:
    hook = a_hook(cast, receiver)
    made, now = happen(cast, 3), timezone.now()
    receiver.answer = lambda handler: plain(handler, 500)
    assert tell(hook.pk, now=now) == 1
    receiver.answer = lambda handler: plain(handler, 204)
    assert tell(hook.pk, now=now + SCHEDULE[1] - A_WHILE) == 0
    assert tell(hook.pk, now=now + SCHEDULE[1]) == 3
    assert told(receiver) == [made[0], *made]


def test_an_event_that_is_still_to_be_handed_on_is_waited_for(cast: Cast, receiver: Receiver) -> None:
    """Two drains side by side: the later event is planned first."""
    hook = a_hook(cast, receiver)
    drained()
    first, second = (
        create_model(namespace=cast.namespace, name=n, by=cast.principal("ben")) for n in ("a", "b")
    )
    items = OutboxItem.objects.filter(event__subject_id__in=[first.pk, second.pk]).order_by("pk")
    early, late = items
    OutboxItem.objects.filter(pk=early.pk).update(due_at=timezone.now() + timedelta(hours=1))
    drained()
    assert Delivery.objects.filter(webhook=hook, event=late.event).exists()
    assert tell(hook.pk) == 0
    # One that could not be handed on is not waited for, or one broken consumer would hold up everything.
    OutboxItem.objects.filter(pk=early.pk).update(attempts=1)
    assert tell(hook.pk) == 1


def test_side_by_side_when_the_endpoint_says_so(cast: Cast, receiver: Receiver) -> None:
    hook = a_hook(cast, receiver, parallel=3)
    made, now = happen(cast, 5), timezone.now()
    refused = made[0]

    def picky(handler: BaseHTTPRequestHandler) -> None:
        plain(handler, 500 if handler.headers["webhook-id"] == f"evt_{refused}" else 204)

    receiver.answer = picky
    assert tell(hook.pk, now=now) == 5
    assert told(receiver) == made
    states = dict(Delivery.objects.filter(webhook=hook).values_list("event", "state"))
    assert [pk for pk, state in states.items() if state != "delivered"] == [refused]
    hook.refresh_from_db()
    assert hook.failing_since is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("parallel", [1, 3])
def test_never_more_at_a_time_than_it_says(receiver: Receiver, parallel: int) -> None:
    cast = make_cast()
    hook = a_hook(cast, receiver, parallel=parallel)
    made = happen(cast, 12)
    lock, now_there, most = threading.Lock(), 0, 0

    def slow(handler: BaseHTTPRequestHandler) -> None:
        nonlocal now_there, most
        with lock:
            now_there += 1
            most = max(most, now_there)
        time.sleep(0.05)
        with lock:
            now_there -= 1
        plain(handler, 204)

    receiver.answer = slow

    def work() -> None:
        while tell(hook.pk):
            pass
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while tell(hook.pk):  # what a wake that came too early has left
        pass
    assert most <= parallel
    assert parallel == 1 or most > 1
    assert sorted(told(receiver)) == made
    assert parallel > 1 or told(receiver) == made


def test_a_redelivery_begins_the_schedule_anew(cast: Cast, receiver: Receiver) -> None:
    hook = a_hook(cast, receiver)
    happen(cast, 1)
    receiver.answer = lambda handler: plain(handler, 500)
    row, now = Delivery.objects.get(webhook=hook), timezone.now()
    for _ in SCHEDULE:
        assert tell(hook.pk, now=now) == 1
        row.refresh_from_db()
        now = max(now, row.due_at)
    assert row.state == "failed"
    redeliver(delivery=row, by=cast.principal("ada"))
    tell(hook.pk)
    row.refresh_from_db()
    assert (row.state, row.attempts.count()) == ("pending", len(SCHEDULE) + 1)
    again = redeliver(delivery=row, by=cast.principal("ada"))
    assert again.due_at <= timezone.now()


def run_until(
    hook: Webhook, now: datetime, end: datetime, *, step: timedelta = timedelta(minutes=10)
) -> None:
    """What the sweep does from one time to another."""
    while now <= end:
        tell(hook.pk, now=now)
        tell_of_failing(now=now)
        now += step


def test_down_for_an_hour_and_all_arrive(cast: Cast, receiver: Receiver) -> None:
    hook = a_hook(cast, receiver)
    receiver.answer = lambda handler: plain(handler, 503)
    made, now = happen(cast, 4), timezone.now()
    run_until(hook, now, now + timedelta(hours=1))
    assert set(told(receiver)) == {made[0]}
    receiver.answer = lambda handler: plain(handler, 204)
    run_until(hook, now + timedelta(hours=1), now + timedelta(hours=3))
    assert list(dict.fromkeys(told(receiver))) == made
    assert not Delivery.objects.filter(webhook=hook).exclude(state="delivered").exists()


def test_failing_for_a_day_is_told_once_and_that_it_is_over(cast: Cast, receiver: Receiver) -> None:
    hook = a_hook(cast, receiver)
    receiver.answer = lambda handler: plain(handler, 503)
    happen(cast, 1)
    now = timezone.now()
    run_until(hook, now, now + timedelta(hours=23))
    about = Event.objects.filter(subject_id=str(hook.pk))
    assert not about.filter(type="webhook.failing").exists()
    assert failing(now=now + timedelta(hours=23)) == []
    run_until(hook, now + timedelta(hours=24), now + timedelta(hours=30))
    event = about.get(type="webhook.failing")
    assert "It answers 503." in event.reason
    assert failing(now=now + timedelta(hours=30)) == [hook]
    Webhook.objects.filter(pk=hook.pk).update(failing_since=timezone.now() - timedelta(days=2))
    (finding,) = examine(checks())
    assert (finding.verdict, hook.reference in finding.sentence) == ("fail", True)
    Webhook.objects.filter(pk=hook.pk).update(failing_since=now)
    receiver.answer = lambda handler: plain(handler, 204)
    run_until(hook, now + timedelta(hours=30), now + timedelta(hours=76))
    assert about.filter(type="webhook.recovered").count() == 1
    assert failing(now=now + timedelta(hours=99)) == []
    (finding,) = examine(checks())
    assert finding.verdict == "ok"


def test_what_is_dead_for_three_days_is_switched_off(cast: Cast, receiver: Receiver) -> None:
    hook = a_hook(cast, receiver)
    receiver.answer = lambda handler: plain(handler, 503)
    made, now = happen(cast, 3), timezone.now()
    run_until(hook, now, now + ALL_OF_IT + timedelta(hours=12), step=timedelta(hours=1))
    hook.refresh_from_db()
    assert not hook.active
    assert "three days" in hook.disabled_reason
    assert Event.objects.filter(subject_id=str(hook.pk), type="webhook.disabled").count() == 1
    states = dict(Delivery.objects.filter(webhook=hook, event__in=made).values_list("event", "state"))
    assert set(states.values()) == {"failed"}
    # One attempt at the second was enough to know, and none was made at the third.
    assert told(receiver).count(made[1]) == 1
    assert made[2] not in told(receiver)


def test_one_message_that_is_not_taken_switches_nothing_off(cast: Cast, receiver: Receiver) -> None:
    hook = a_hook(cast, receiver)
    made, now = happen(cast, 3), timezone.now()

    def picky(handler: BaseHTTPRequestHandler) -> None:
        plain(handler, 400 if handler.headers["webhook-id"] == f"evt_{made[0]}" else 204)

    receiver.answer = picky
    run_until(hook, now, now + ALL_OF_IT + timedelta(hours=12), step=timedelta(hours=1))
    hook.refresh_from_db()
    assert (hook.active, hook.failing_since) == (True, None)
    assert told(receiver)[-2:] == made[1:]


def test_the_sweep_wakes_endpoints_not_messages(cast: Cast, receiver: Receiver) -> None:
    hook = a_hook(cast, receiver)
    happen(cast, 5)
    before = sweep()
    edit_webhook(webhook=hook, parallel=4, by=cast.principal("ada"))
    assert sweep() == before
    tell(hook.pk)
    assert sweep() == before - 1
