"""Endpoints that hear of a namespace's events. What was delivered to them is in `deliveries.py`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registry.actions.roles import NameTaken
from registry.errors import DomainError, InvalidInput
from registry.journal import record
from registry.journal.egress import Allowlist, check_target, parse_url
from registry.journal.webhooks import BOTH_SIGN_FOR, new_secret
from registry.models import Namespace, Principal, RegisteredModel, Stage, Webhook
from registry.permissions import check_can
from registry.roles import Permission

EVENT = re.compile(r"\*|[a-z_]{1,28}\.(\*|[a-z_]{1,30})")
MOST_EVENTS = 50
MOST_MODELS = 50
MOST_PARALLEL = 8


class WebhookIsOff(DomainError):
    """Nothing is delivered to a webhook that is switched off or deleted."""

    code = "webhook-is-off"


@transaction.atomic
def create_webhook(
    *,
    namespace: Namespace,
    name: str,
    url: str,
    events: Sequence[str],
    models: Sequence[str] = (),
    stages: Sequence[str] = (),
    parallel: int = 1,
    by: Principal,
) -> tuple[Webhook, str]:
    """A new endpoint and its signing secret, shown once. A deleted one of this name revives with a new secret.

    It hears of these types (`*`, `promotion.*`), of these models only, in these stages only, where any are named;
    one message at a time and in order, or up to eight side by side.
    Raises Forbidden, InvalidInput, AddressRefused, NameTaken.
    """
    check_can(by, Permission.WEBHOOK_EDIT, namespace)
    row = Webhook.objects.select_for_update().filter(namespace=namespace, name=name).first()
    if row is not None and row.deleted_at is None:
        raise NameTaken(f"{namespace.name} has a webhook {name} already.", field="name")
    row = row or Webhook(namespace=namespace, name=name)
    secret = new_secret()
    row.url, row.events, row.secret = _check_url(url), _check_events(events), secret
    row.of_models, row.stages = _check_models(namespace, models), _check_stages(stages)
    row.parallel = _check_parallel(parallel)
    row.active, row.deleted_at, row.disabled_reason = True, None, ""
    row.created_by = by.account
    row.save()
    record("webhook.created", subject=row, by=by, namespace=namespace, after=_told(row))
    return row, secret


@transaction.atomic
def edit_webhook(*, webhook: Webhook, by: Principal, **changes: Any) -> Webhook:
    """Change name, url, events, models, stages, parallel or active. An edit that changes nothing records nothing.

    Raises Forbidden, InvalidInput, AddressRefused, NameTaken.
    """
    row = locked(webhook, by)
    before = _told(row)
    if "name" in changes and changes["name"] != row.name:
        if Webhook.objects.filter(namespace=row.namespace, name=changes["name"]).exists():
            raise NameTaken(f"{row.namespace.name} has a webhook {changes['name']} already.", field="name")
        row.name = changes["name"]
    if "url" in changes:
        row.url = _check_url(changes["url"])
    if "events" in changes:
        row.events = _check_events(changes["events"])
    if "models" in changes:
        row.of_models = _check_models(row.namespace, changes["models"])
    if "stages" in changes:
        row.stages = _check_stages(changes["stages"])
    if "parallel" in changes:
        row.parallel = _check_parallel(changes["parallel"])
    if "active" in changes and changes["active"] != row.active:
        row.active = changes["active"]
        row.disabled_reason = "" if row.active else f"Switched off by {by.label}."
        row.failing_since = row.failing_told_at = None
    after = _told(row)
    if after != before or row.url != webhook.url:
        row.save()
        record("webhook.edited", subject=row, by=by, namespace=row.namespace, before=before, after=after)
    return row


@transaction.atomic
def rotate_secret(*, webhook: Webhook, at_once: bool = False, by: Principal) -> tuple[Webhook, str]:
    """A new signing secret, shown once. The one before signs too for 24 hours, unless `at_once`, as for one that
    leaked; then it is forgotten. An older one that still signed is forgotten now.

    Raises Forbidden.
    """
    row = locked(webhook, by)
    secret = new_secret()
    until = None if at_once else timezone.now() + BOTH_SIGN_FOR
    row.old_secret, row.old_secret_until = "" if at_once else row.secret, until
    row.secret = secret
    row.save(update_fields=["secret", "old_secret", "old_secret_until"])
    told = until.isoformat().replace("+00:00", "Z") if until else None
    record(
        "webhook.secret_rotated",
        subject=row,
        by=by,
        namespace=row.namespace,
        after={"both_sign_until": told},
    )
    return row, secret


@transaction.atomic
def delete_webhook(*, webhook: Webhook, by: Principal) -> None:
    """Take an endpoint away; its delivery log stays. What waits for it is not delivered any more."""
    row = locked(webhook, by)
    if row.deleted_at is None:
        row.active, row.deleted_at = False, timezone.now()
        row.old_secret, row.old_secret_until = "", None
        row.save(update_fields=["active", "deleted_at", "old_secret", "old_secret_until"])
        record("webhook.deleted", subject=row, by=by, namespace=row.namespace, before=_told(row))


def locked(webhook: Webhook, by: Principal) -> Webhook:
    """The row, for whoever may edit it. Raises Forbidden."""
    check_can(by, Permission.WEBHOOK_EDIT, webhook.namespace)
    rows = Webhook.objects.select_for_update(of=("self",), no_key=True)
    row: Webhook = rows.select_related("namespace", "created_by").get(pk=webhook.pk)
    return row


def _check_url(url: str) -> str:
    check_target(parse_url(url), Allowlist.parse(settings.WEBHOOK_HOSTS))
    return url


def _check_events(events: Sequence[str]) -> list[str]:
    if not 1 <= len(events) <= MOST_EVENTS:
        raise InvalidInput(f"A webhook hears of 1 to {MOST_EVENTS} event types.", field="events")
    for event in events:
        if not EVENT.fullmatch(event):
            raise InvalidInput(
                f"{event[:60]!r} is no event type: `version.ready`, `version.*` and `*` are.", field="events"
            )
    return sorted(set(events))


def _check_models(namespace: Namespace, names: Sequence[str]) -> list[str]:
    wanted = sorted(set(names))
    if len(wanted) > MOST_MODELS:
        raise InvalidInput(
            f"A webhook names at most {MOST_MODELS} models; without any it hears of all.", field="models"
        )
    there = RegisteredModel.objects.filter(namespace=namespace, name__in=wanted, deleted_at=None)
    if unknown := set(wanted) - set(there.values_list("name", flat=True)):
        raise InvalidInput(
            f"{namespace.name} has no model {min(unknown)!r}: name models as they are called there.",
            field="models",
        )
    return wanted


def _check_stages(stages: Sequence[str]) -> list[str]:
    if unknown := set(stages) - set(Stage.values):
        raise InvalidInput(
            f"{min(unknown)[:60]!r} is no stage: {', '.join(Stage.values)} are.", field="stages"
        )
    return [stage for stage in Stage.values if stage in stages]


def _check_parallel(number: int) -> int:
    if not 1 <= number <= MOST_PARALLEL:
        raise InvalidInput(
            f"1 message at a time, in order, or up to {MOST_PARALLEL} side by side.", field="parallel"
        )
    return number


def _told(webhook: Webhook) -> dict[str, Any]:
    """For the journal: the URL without its query, where receivers put keys."""
    return {
        "name": webhook.name,
        "url": webhook.url.partition("?")[0],
        "events": webhook.events,
        "models": webhook.of_models,
        "stages": webhook.stages,
        "parallel": webhook.parallel,
        "active": webhook.active,
    }
