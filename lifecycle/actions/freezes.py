"""Freezing stages for a time, and ending that early."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from lifecycle.models import FreezeWindow
from registry.errors import DomainError, Forbidden, InvalidInput
from registry.journal import record
from registry.models import Namespace, Principal, RegisteredModel, Stage
from registry.permissions import check_can
from registry.roles import Permission

LONGEST = timedelta(days=366)
LONGEST_REASON = 4000


class FreezeIsOver(DomainError):
    """The window has ended, by itself or by somebody."""

    code = "freeze-over"


@transaction.atomic
def set_freeze(
    *,
    namespace: Namespace | None,
    model: RegisteredModel | None = None,
    target: str = "",
    starts_at: datetime | None = None,
    ends_at: datetime,
    reason: str,
    by: Principal,
) -> FreezeWindow:
    """Let nothing be promoted into `target` ("": staging and production) from `starts_at` (now) to `ends_at`.

    Without a namespace it holds everywhere. Whoever edits policies sets it; operators, who could break it, do not.
    Raises Forbidden, InvalidInput.
    """
    _check_may(by, namespace)
    now = timezone.now()
    starts = starts_at or now
    if target not in ("", Stage.STAGING, Stage.PRODUCTION):
        raise InvalidInput("Staging or production is frozen, or both without a target.", field="target")
    if model is not None and (namespace is None or model.namespace_id != namespace.pk):
        raise InvalidInput(f"{model} is no model of that namespace.", field="model")
    # Not `starts + LONGEST`: after the last year there is no time.
    if not max(starts, now) < ends_at or ends_at - starts > LONGEST:
        raise InvalidInput(
            f"A freeze ends after it starts, in the future, and within {LONGEST.days} days.", field="ends_at"
        )
    _check_reason(reason, "A freeze needs a reason: it is what those read who wait.")
    window = FreezeWindow.objects.create(
        namespace=namespace,
        model=model,
        target=target,
        starts_at=starts,
        ends_at=ends_at,
        reason=reason,
        by=by.account,
        at=now,
    )
    record(
        "freeze.set",
        subject=window,
        by=by,
        namespace=namespace,
        reason=reason,
        after={
            "model": str(model) if model else None,
            "target": target or None,
            "starts_at": starts.isoformat(),
            "ends_at": ends_at.isoformat(),
        },
        at=now,
    )
    return window


@transaction.atomic
def end_freeze(*, freeze: FreezeWindow, reason: str, by: Principal) -> FreezeWindow:
    """End a window before its time, or before it begins. What was approved meanwhile takes effect.

    Raises Forbidden, InvalidInput, FreezeIsOver.
    """
    _check_may(by, freeze.namespace)
    _check_reason(reason, "To end a freeze early, say why.")
    now = timezone.now()
    rows = FreezeWindow.objects.select_related("namespace", "model__namespace", "by")
    row: FreezeWindow = rows.select_for_update(of=("self",)).get(pk=freeze.pk)
    ended = row.ended_at or (row.ends_at if row.ends_at <= now else None)
    if ended is not None:
        raise FreezeIsOver(f"That freeze ended on {ended:%Y-%m-%d %H:%M} UTC.")
    row.ended_by, row.ended_at, row.ended_reason = by.account, now, reason
    row.save(update_fields=["ended_by", "ended_at", "ended_reason"])
    record(
        "freeze.ended",
        subject=row,
        by=by,
        namespace=row.namespace,
        reason=reason,
        before={"ends_at": row.ends_at.isoformat(), "reason": row.reason},
        after={"ended_at": now.isoformat()},
        at=now,
    )
    return row


def _check_may(by: Principal, namespace: Namespace | None) -> None:
    if namespace is not None:
        check_can(by, Permission.POLICY_EDIT, namespace)
        return
    token = by.token
    if not by.account.is_superuser or (token and (token.namespace_id or token.scopes is not None)):
        raise Forbidden("What is frozen everywhere is the platform's administrators' matter.")


def _check_reason(reason: str, sentence: str) -> None:
    if not reason.strip():
        raise InvalidInput(sentence, field="reason")
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(f"A reason has at most {LONGEST_REASON} characters.", field="reason")
