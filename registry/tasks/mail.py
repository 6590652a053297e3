"""Handing mail to the mail server, in a worker."""

from __future__ import annotations

from celery import shared_task

from registry.journal import mailing


@shared_task(name="registry.send_mail")
def send_mail(*, mail_id: str) -> None:
    """Send one mail."""
    mailing.send(int(mail_id))


@shared_task(name="registry.sweep_mail")
def sweep_mail() -> None:
    """Enqueue the mails that are due."""
    mailing.sweep()
