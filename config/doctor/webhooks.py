"""A check of the endpoints that are told of events: does anything reach them?"""

from __future__ import annotations

from collections.abc import Iterator

from config.doctor.findings import Check, Wrong
from registry.journal.trouble import failing
from registry.models import Webhook

SHOWN = 3


def checks() -> Iterator[Check]:
    # Of the database's area: without that, nothing is known of them, and this is not tried.
    yield Check("database", "webhooks are reached", _reached)


def _reached() -> str:
    found = failing()
    if found:
        named = ", ".join(
            f"{each.reference} since {each.failing_since:%Y-%m-%d %H:%M} UTC" for each in found[:SHOWN]
        )
        raise Wrong(
            f"nothing reaches {len(found)}: {named}",
            "assay webhook log NAMESPACE/NAME shows what is answered; assay webhook edit --off ends it.",
        )
    return f"{Webhook.objects.filter(active=True, deleted_at=None).count()} are on"
