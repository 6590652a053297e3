"""Mail to people about events: planned with the event, handed to the mail server once.

What must not happen is that somebody is told twice, so a row is marked before the server is spoken to. A refusal is
tried again; where it is not known whether the server took it, it counts as sent.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db.models import F
from django.utils import timezone

from registry.journal.enqueue import enqueue
from registry.models import Event, Mail, User
from registry.models.leases import lease

SEND = "registry.send_mail"
# How long after a refused attempt the next one is made.
SCHEDULE = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=24),
)
SWEPT = 200
NOT_KNOWN = "It may have arrived, so it is not sent again"


def plan_mail(event: Event, people: Iterable[User], *, subject: str, text: str, path: str) -> int:
    """One mail to each of them who has an address; asking again plans nothing new. Without a mail server: nothing.

    `path` is the page that says more; how many have an address is returned.
    """
    if not settings.EMAIL_HOST:
        return 0
    body = f"{text.strip()}\n\n{settings.PUBLIC_URL}{path}\n\nNo more of these: assay mail --off\n"
    now = timezone.now()
    to = {user for user in people if user.email and user.is_active and not user.is_service}
    rows = [
        Mail(event=event, to=user, subject=" ".join(subject.split())[:200], body=body, due_at=now)
        for user in sorted(to, key=lambda user: user.pk)
    ]
    Mail.objects.bulk_create(rows, ignore_conflicts=True)
    waiting = Mail.objects.filter(event=event, state=Mail.State.PENDING)
    for pk in waiting.values_list("pk", flat=True):
        enqueue(SEND, mail_id=str(pk))
    return len(rows)


def send(mail_id: int, *, now: datetime | None = None) -> bool:
    """Hand it to the mail server, when it is due and nobody has; whether the server took it.

    Not to be called in a transaction: that the row is in hand must be known before the server is.
    """
    now = now or timezone.now()
    due = Mail.objects.filter(pk=mail_id, state=Mail.State.PENDING, due_at__lte=now)
    if not due.update(state=Mail.State.SENDING, claimed_at=now, attempts=F("attempts") + 1):
        return False
    mail = Mail.objects.select_related("to").get(pk=mail_id)
    link = get_connection(timeout=settings.EMAIL_TIMEOUT)
    try:
        link.open()
    except (smtplib.SMTPException, OSError) as error:
        _refused(mail, error, now)
        return False
    try:
        link.send_messages([_message(mail)])
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
        _refused(mail, error, now)
        return False
    except (smtplib.SMTPException, OSError) as error:
        _over(mail, Mail.State.FAILED, f"{NOT_KNOWN}: {error!r}")
        return False
    finally:
        link.close()
    mail.sent_at = now
    _over(mail, Mail.State.SENT)
    return True


def sweep(*, now: datetime | None = None) -> int:
    """Enqueue what is due; give up what was in the hands of a worker that died. Returns how many are due."""
    now = now or timezone.now()
    lost = Mail.objects.filter(state=Mail.State.SENDING, claimed_at__lt=now - lease() - _longest())
    lost.update(state=Mail.State.FAILED, last_error=f"{NOT_KNOWN}: its worker died.", claimed_at=None)
    due = Mail.objects.filter(state=Mail.State.PENDING, due_at__lte=now).order_by("due_at")
    found = list(due.values_list("pk", flat=True)[:SWEPT])
    for pk in found:
        enqueue(SEND, mail_id=str(pk))
    return len(found)


def _longest() -> timedelta:
    """How long a worker that lives may speak to the server: each step ends at the timeout."""
    return timedelta(seconds=10 * settings.EMAIL_TIMEOUT)


def _message(mail: Mail) -> EmailMessage:
    host = urlsplit(settings.PUBLIC_URL).hostname or "assay"
    return EmailMessage(
        mail.subject,
        mail.body,
        settings.DEFAULT_FROM_EMAIL,
        [mail.to.email],
        headers={
            "Message-ID": f"<mail.{mail.pk}.{mail.event_id}@{host}>",
            "Auto-Submitted": "auto-generated",
        },
    )


def _refused(mail: Mail, error: Exception, now: datetime) -> None:
    """The server did not take it: later again, unless it said never, or has said so for a day and a half."""
    if _for_good(error) or mail.attempts > len(SCHEDULE):
        _over(mail, Mail.State.FAILED, repr(error))
        return
    mail.due_at = now + SCHEDULE[mail.attempts - 1]
    _over(mail, Mail.State.PENDING, repr(error))


def _for_good(error: Exception) -> bool:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    # That we may not log in, or not yet, is for the operator to mend.
    return isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500


def _over(mail: Mail, state: Mail.State, error: str = "") -> None:
    mail.state, mail.claimed_at = state, None
    mail.last_error = error[:1000].replace("\x00", "�")
    mail.save(update_fields=["state", "due_at", "claimed_at", "last_error", "sent_at"])
