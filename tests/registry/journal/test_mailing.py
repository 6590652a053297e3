"""Mail to people: planned with the event, taken by a real server once, and never twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from registry.actions.accounts import set_address
from registry.errors import Forbidden
from registry.journal import outbox, record
from registry.journal.mailing import SCHEDULE, plan_mail, send, sweep
from registry.models import SYSTEM, Event, Mail, Principal, User, Webhook
from tests.cast import Cast, make_cast
from tests.registry.journal.post_office import PostOffice, open_office


@pytest.fixture
def office(settings: Any) -> Iterator[PostOffice]:
    with open_office() as found:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", found.port, False
        settings.EMAIL_TIMEOUT = 2
        settings.DEFAULT_FROM_EMAIL = "Assay <assay@example.org>"
        yield found


def reachable(cast: Cast, *names: str) -> None:
    for name in names:
        set_address(email=f"{name}@example.org", by=cast.principal(name))
        cast.user(name).refresh_from_db()


def a_mail(cast: Cast, who: str = "ada") -> Mail:
    reachable(cast, who)
    event = Event.objects.filter(namespace=cast.namespace).latest("pk")
    assert plan_mail(event, [cast.user(who)], subject="Look\nhere", text="It is .\n.so", path="/m/x") == 1
    return Mail.objects.get(event=event, to=cast.user(who))


def test_it_is_handed_over_once(cast: Cast, office: PostOffice) -> None:
    mail = a_mail(cast)
    assert plan_mail(mail.event, [mail.to], subject="Again", text="x", path="/") == 1
    assert Mail.objects.filter(event=mail.event).count() == 1
    assert send(mail.pk)
    assert not send(mail.pk)
    ((to, message),) = office.taken
    mail.refresh_from_db()
    assert (to, mail.state) == (["ada@example.org"], "sent")
    assert message["Subject"] == "Look here"
    assert message["From"] == "Assay <assay@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "text/plain"
    text = message.get_content()
    assert "It is .\n.so\n\nhttp://127.0.0.1:8000/m/x" in text.replace("\r\n", "\n")
    assert "assay mail --off" in text


def test_without_a_server_or_an_address_nothing_is_planned(
    cast: Cast, office: PostOffice, settings: Any
) -> None:
    event = Event.objects.filter(namespace=cast.namespace).latest("pk")
    assert plan_mail(event, [cast.user("ben")], subject="x", text="x", path="/") == 0
    reachable(cast, "ben", "cora")
    User.objects.filter(pk=cast.user("cora").pk).update(is_active=False)
    cast.user("cora").refresh_from_db()
    assert plan_mail(event, [cast.user("cora")], subject="x", text="x", path="/") == 0
    settings.EMAIL_HOST = ""
    assert plan_mail(event, [cast.user("ben")], subject="x", text="x", path="/") == 0
    assert not Mail.objects.filter(event=event).exists()


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ({"HELLO": "421 not now"}, "pending"),
        ({"HELLO": None}, "pending"),
        ({"RCPT": "450 mailbox busy"}, "pending"),
        ({"END": "451 try later"}, "pending"),
        ({"MAIL": "530 log in first"}, "pending"),
        ({"RCPT": "550 nobody of that name"}, "failed"),
        ({"END": "554 no"}, "failed"),
        # It had the message when it hung up: whether it keeps it, nobody knows.
        ({"END": None}, "failed"),
    ],
)
def test_a_refusal_is_tried_again_a_doubt_is_not(
    cast: Cast, office: PostOffice, answers: dict[str, str | None], state: str
) -> None:
    mail, now = a_mail(cast), timezone.now()
    office.answers = answers
    assert not send(mail.pk, now=now)
    mail.refresh_from_db()
    assert (mail.state, office.taken, bool(mail.last_error)) == (state, [], True)
    office.answers = {}
    assert not send(mail.pk, now=now)
    assert send(mail.pk, now=now + SCHEDULE[0]) == (state == "pending")
    assert len(office.taken) == (state == "pending")


def test_a_server_that_is_away_is_tried_for_a_day_and_more(
    cast: Cast, office: PostOffice, settings: Any
) -> None:
    mail, now = a_mail(cast), timezone.now()
    settings.EMAIL_PORT = 1
    for wait in SCHEDULE:
        assert not send(mail.pk, now=now)
        mail.refresh_from_db()
        assert mail.due_at == now + wait
        now = mail.due_at
    assert not send(mail.pk, now=now)
    mail.refresh_from_db()
    assert (mail.state, mail.attempts) == ("failed", len(SCHEDULE) + 1)


def test_what_a_dead_worker_had_in_hand_is_not_sent_again(cast: Cast, office: PostOffice) -> None:
    mail, now = a_mail(cast), timezone.now()
    Mail.objects.filter(pk=mail.pk).update(state="sending", claimed_at=now)
    sweep(now=now + timedelta(seconds=30))
    mail.refresh_from_db()
    assert mail.state == "sending"
    sweep(now=now + timedelta(hours=1))
    mail.refresh_from_db()
    assert (mail.state, office.taken) == ("failed", [])
    assert "may have arrived" in mail.last_error


@pytest.mark.django_db(transaction=True)
def test_eight_workers_send_it_once(office: PostOffice) -> None:
    mail = a_mail(make_cast())

    def work() -> None:
        send(mail.pk)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(office.taken) == 1


def test_who_may_edit_webhooks_is_told_of_a_failing_one(cast: Cast, office: PostOffice) -> None:
    reachable(cast, "ada", "ben", "mallory")
    hook = Webhook.objects.create(
        namespace=cast.namespace,
        name="ci",
        url="http://127.0.0.1:9/",
        events=["*"],
        secret="x",
        created_by=cast.user("ada"),
    )
    for type_ in ("webhook.failing", "webhook.disabled", "webhook.edited"):
        record(type_, subject=hook, by=SYSTEM, namespace=cast.namespace, reason="It answers 503.")
    while outbox.drain():
        pass
    for mail in Mail.objects.filter(event__namespace=cast.namespace).order_by("pk"):
        send(mail.pk)
    subjects = [f"Webhook failing for a day: {hook.reference}", f"Webhook switched off: {hook.reference}"]
    assert office.subjects("ada@example.org") == subjects
    assert len(office.taken) == 2
    assert f"/admin/registry/webhook/{hook.pk}/change/" in office.taken[0][1].get_content()


def test_one_says_oneself_where_mail_goes(cast: Cast) -> None:
    ben = cast.client("ben")
    assert ben.get("/api/v1/whoami").json()["email"] == ""
    assert ben.patch("/api/v1/whoami", {"email": "ben@example.org"}).json()["email"] == "ben@example.org"
    for wrong in ("ben", "a@b@c", "ben@example.org\nBcc: all@example.org", 7):
        assert ben.patch("/api/v1/whoami", {"email": wrong}).json()["field"] == "email"
    events = Event.objects.filter(type="user.address_changed", subject_id=str(cast.user("ben").pk))
    assert "example.org" not in str(events.values())
    assert ben.patch("/api/v1/whoami", {"email": ""}).json()["email"] == ""
    assert [e.after for e in events.order_by("pk")] == [{"mail": True}, {"mail": False}]
    with pytest.raises(Forbidden, match="service account"):
        set_address(email="x@example.org", by=Principal(user=cast.user("ci")))
