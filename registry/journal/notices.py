"""Consumers of the journal: the admins of a namespace are told by mail of webhooks that nothing reaches, the platform's
administrators of a journal that is not what was signed."""

from __future__ import annotations

from django.urls import reverse

from registry.journal.mailing import plan_mail
from registry.models import Event, User
from registry.permissions import holders
from registry.roles import Permission

TOLD = {
    "webhook.failing": "Webhook failing for a day",
    "webhook.disabled": "Webhook switched off",
}


def mail_of_webhooks(event: Event) -> None:
    """One mail to each who may edit webhooks there."""
    if event.type not in TOLD or event.namespace is None:
        return
    plan_mail(
        event,
        holders(Permission.WEBHOOK_EDIT, event.namespace),
        subject=f"{TOLD[event.type]}: {event.subject_label}",
        text=event.reason,
        path=reverse("admin:registry_webhook_change", args=[event.subject_id]),
    )


def mail_of_journal(event: Event) -> None:
    """One mail to each of the platform's administrators."""
    if event.type == "journal.broken":
        plan_mail(
            event,
            User.objects.filter(is_superuser=True),
            subject="The journal is not what was signed",
            text=f"{event.reason}\n\nNo checkpoint is signed over it. What to do: `manage.py journal verify`.",
            path=reverse("admin:registry_checkpoint_changelist"),
        )
