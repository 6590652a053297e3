"""Events told through a storm: the broker emptied, workers killed, every message sent twice, while they happen.

Promised, and counted where it is broken: each endpoint hears of each event at least once, under one id, one text
and a signature that the receiver's own library takes; what it does by that id, it does once; an endpoint that takes
one message at a time hears them in the order of the journal, a repetition aside.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from unittest import mock

import redis
from django.conf import settings
from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from config.embedded import programs
from config.embedded.process import Child
from registry.actions.webhooks import create_webhook
from registry.journal import delivery, outbox, record
from registry.journal.delivery import tell
from registry.journal.webhooks import plan_deliveries
from registry.models import SYSTEM, Delivery, Event, Webhook
from registry.models.leases import claim, free
from registry.tasks import drain_outbox, sweep_deliveries, tell_webhook
from tests.cast import Cast, make_cast
from tests.figures import print_campaign
from tests.registry.journal.receiver import Receiver, plain, receiving

EVENTS = 5000
LEASE = 5
TYPE = "storm.blew"
# How many messages at a time each endpoint takes.
ENDPOINTS = {"first": 1, "second": 1, "many": 4}


class Storm:
    """A namespace with its endpoints, each with a receiver of its own."""

    def __init__(self, cast: Cast, receivers: dict[str, Receiver]) -> None:
        self.cast, self.receivers = cast, receivers
        self.hooks: dict[str, Webhook] = {}
        self.forged: dict[str, list[str]] = {}
        for name, receiver in receivers.items():
            self.hooks[name], _ = create_webhook(
                namespace=cast.namespace,
                name=name,
                url=receiver.url,
                events=[TYPE],
                parallel=ENDPOINTS[name],
                by=cast.principal("ada"),
            )
            self.forged[name] = []
            receiver.check = self._verifier(name)
        self.events: list[int] = []

    def _verifier(self, name: str) -> Callable[[bytes, dict[str, str]], None]:
        verifier = Verifier(self.hooks[name].secret)

        def check(body: bytes, headers: dict[str, str]) -> None:
            try:
                verifier.verify(body, headers)
            except WebhookVerificationError as error:
                self.forged[name].append(f"{headers['webhook-id']} is not signed: {error}")

        return check

    def blow(self, number: int) -> None:
        """So many events, one after the other."""
        for n in range(number):
            with transaction.atomic():
                event = record(
                    TYPE,
                    subject=self.cast.namespace,
                    by=SYSTEM,
                    namespace=self.cast.namespace,
                    after={"n": n},
                )
            self.events.append(event.pk)

    def over(self) -> bool:
        rows = Delivery.objects.filter(webhook__in=self.hooks.values(), state=Delivery.State.DELIVERED)
        return rows.count() >= len(self.events) * len(self.hooks)

    def wrong(self) -> list[str]:
        """A sentence for each promise that was broken."""
        found: list[str] = []
        for name, hook in self.hooks.items():
            broken = [*self.forged[name], *_wrong(hook, self.receivers[name], self.events)]
            found += [f"{name}: {each}" for each in broken]
        return found


def _wrong(hook: Webhook, receiver: Receiver, events: list[int]) -> Iterator[str]:
    effects, newest = dict[int, bytes](), 0
    for _, headers, body in list(receiver.heard):
        event = int(headers["webhook-id"].removeprefix("evt_"))
        if hook.parallel == 1 and event < newest:
            yield f"{event} came after {newest}"
        if effects.setdefault(event, body) != body:
            yield f"{event} had two texts"
        newest = max(newest, event)
    for event in sorted(set(events) - set(effects)):
        yield f"{event} was never heard"
    for event in sorted(set(effects) - set(events)):
        yield f"{event} never happened"
    rows = Delivery.objects.filter(webhook=hook, event__type=TYPE)
    if rows.count() != len(events):
        yield f"{rows.count()} deliveries for {len(events)} events"


@contextmanager
def storm() -> Iterator[Storm]:
    """With this process's settings allowing the receivers."""
    with receiving() as first, receiving() as second, receiving() as many:
        receivers = {"first": first, "second": second, "many": many}
        hosts = [f"127.0.0.1:{each.port}" for each in receivers.values()]
        with override_settings(WEBHOOK_HOSTS=hosts, LEASE_SECONDS=LEASE):
            yield Storm(make_cast(), receivers)


@contextmanager
def workers(it: Storm, concurrency: int = 2) -> Iterator[Child]:
    """A worker that may tell the receivers, with a short lease."""
    given = {name: value for name, value in os.environ.items() if name != "DATABASE_OWNER_URL"}
    hosts = ",".join(f"127.0.0.1:{each.port}" for each in it.receivers.values())
    given |= {"ASSAY_WEBHOOK_HOSTS": hosts, "ASSAY_LEASE_SECONDS": str(LEASE), "ASSAY_LOG_LEVEL": "ERROR"}
    log = Path(os.environ["ASSAY_HOME"]) / "logs" / "storm.log"
    child = programs.worker(
        programs.python_environment(given), log, queues="default", concurrency=concurrency, name="storm"
    )
    start(child)
    try:
        yield child
    finally:
        child.kill()


def start(child: Child) -> None:
    child.start()
    child.wait_until(lambda: " ready." in child.output(), timeout=60, every=0.05)


def rage(
    it: Storm, child: Child, until: threading.Event, *, calm: float, hurt: float, most: int
) -> dict[str, int]:
    """Until told to stop: every `hurt` seconds, `most` times, the broker is emptied or the worker killed; all `calm`
    seconds what beat does is done twice, and some events are handed on again."""
    chance, done, last = random.Random(5), {"flushed": 0, "killed": 0, "doubled": 0}, time.monotonic()
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        while not until.wait(calm):
            if time.monotonic() - last > hurt and done["flushed"] + done["killed"] < most:
                if done["flushed"] <= done["killed"]:
                    broker.flushdb()
                    done["flushed"] += 1
                else:
                    child.kill()
                    start(child)
                    done["killed"] += 1
                last = time.monotonic()
            for _ in range(2):
                drain_outbox.delay()
                sweep_deliveries.delay()
                for hook in it.hooks.values():
                    tell_webhook.delay(webhook_id=str(hook.pk))
            for event in Event.objects.filter(pk__in=chance.sample(it.events, min(5, len(it.events)))):
                if Delivery.objects.filter(event=event).exists():
                    plan_deliveries(event)
                    done["doubled"] += 1
    connection.close()
    return done


def weather(number: int, *, hurt: float, most: int, patience: float) -> tuple[list[str], dict[str, int]]:
    """The storm, to its end; what was broken, and what was done."""
    with storm() as it, workers(it) as child:
        stubborn(it.receivers["second"])
        over, done = threading.Event(), dict[str, int]()
        wind = threading.Thread(
            target=lambda: done.update(rage(it, child, over, calm=0.3, hurt=hurt, most=most)), daemon=True
        )
        wind.start()
        it.blow(number)
        end = time.monotonic() + patience
        while not it.over() and time.monotonic() < end:
            time.sleep(0.3)
        over.set()
        wind.join()
        done["heard"] = sum(len(each.heard) for each in it.receivers.values())
        return it.wrong(), done


def stubborn(receiver: Receiver) -> None:
    """It refuses its third message, and hears it at the next attempt."""
    refused: set[str] = set()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if len(receiver.heard) == 3 and not refused:
            refused.add(handler.headers["webhook-id"])
            plain(handler, 503)
            return
        plain(handler, 204)

    receiver.answer = answer


def an_hour_down(number: int) -> list[str]:
    """Everything happens while the receiver is down; the clock is moved for an hour, then it is up again."""
    with storm() as it:
        now = timezone.now()
        for receiver in it.receivers.values():
            receiver.answer = lambda handler: plain(handler, 503)
        it.blow(number)
        while outbox.drain():
            pass
        for minute in range(0, 360, 10):
            if minute == 60:
                found = [
                    each
                    for each in it.hooks
                    if Delivery.objects.filter(state="delivered", webhook=it.hooks[each])
                ]
                if found:
                    return [f"{each} was reached while it was down" for each in found]
                for receiver in it.receivers.values():
                    # Heard but refused: it did nothing by these.
                    receiver.heard.clear()
                    receiver.answer = lambda handler: plain(handler, 204)
            for hook in it.hooks.values():
                tell(hook.pk, now=now + timedelta(minutes=minute))
        states = Delivery.objects.filter(webhook__in=it.hooks.values()).exclude(state="delivered")
        late = [f"{row.event_id} is {row.state} after six hours" for row in states]
        return late + [each for each in it.wrong() if "not signed" not in each]


def whoever_comes(webhook_id: Any, now: Any, *, only: Any = None) -> Delivery | None:
    """The seeded bug: a message is taken without a look at the endpoint, whichever is due."""
    rows = Delivery.objects.filter(free(now), webhook=webhook_id, state="pending", due_at__lte=now)
    found = rows.order_by("?").first()
    if found is None or not claim(Delivery.objects.filter(pk=found.pk), now=now):
        return None
    return Delivery.objects.select_related("webhook__namespace", "event__namespace").get(pk=found.pk)


def seeded(number: int, take: Callable[..., Delivery | None] = whoever_comes) -> bool:
    """Whether the bug is caught, and the same without it is not."""
    told = []
    for taken in (take, delivery._take):
        with storm() as it, mock.patch.object(delivery, "_take", taken):
            it.blow(number)
            while outbox.drain():
                pass
            for hook in it.hooks.values():
                while tell(hook.pk):
                    pass
            told.append(bool(it.wrong()))
    return told == [True, False]


def campaign() -> bool:
    """Print how many deliveries there were and how many promises were broken."""
    caught = seeded(50)
    began = time.monotonic()
    wrong, done = weather(EVENTS, hurt=8.0, most=40, patience=1500)
    for sentence in wrong[:20]:
        print(sentence, flush=True)
    print({**done, "seconds": round(time.monotonic() - began)}, flush=True)
    green = print_campaign(
        "webhooks_storm", cases=EVENTS * len(ENDPOINTS), bad=len(wrong), control_caught=caught
    )
    wrong = an_hour_down(500)
    for sentence in wrong[:20]:
        print(sentence, flush=True)
    return (
        print_campaign(
            "webhooks_an_hour_down", cases=500 * len(ENDPOINTS), bad=len(wrong), control_caught=caught
        )
        and green
    )
