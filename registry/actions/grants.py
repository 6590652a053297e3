"""Confirming or refusing that somebody be given a role that takes two."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.actions.roles import LONGEST_REASON, put_in
from registry.errors import DomainError, Forbidden, InvalidInput
from registry.journal import record
from registry.models import Principal, RoleGrant
from registry.permissions import accounts_of, check_can
from registry.roles import Permission

CONFIRM, REFUSE = "confirm", "refuse"
STATES = ("asked", "granted", "refused", "expired")


class OwnGrant(Forbidden):
    """Who asked for it, or receives it, is not the second person."""

    code = "own-grant"


class GrantIsOver(DomainError):
    """It was decided, or its term ended."""

    code = "grant-over"


def waiting() -> QuerySet[RoleGrant]:
    """What is asked and not decided within its term, oldest first."""
    rows: QuerySet[RoleGrant] = RoleGrant.objects.filter(
        state=RoleGrant.State.ASKED, expires_at__gt=timezone.now()
    )
    return rows.select_related("namespace", "user", "asked_by").order_by("asked_at", "pk")


def state_of(grant: RoleGrant) -> str:
    """One of STATES."""
    over = grant.state == RoleGrant.State.ASKED and grant.expires_at <= timezone.now()
    return "expired" if over else str(grant.state)


def in_state(rows: Any, state: str | None) -> Any:
    """Those in this state; what is no state leaves all."""
    now = timezone.now()
    match state:
        case "asked":
            return rows.filter(state=state, expires_at__gt=now)
        case "expired":
            return rows.filter(state="asked", expires_at__lte=now)
        case "granted" | "refused":
            return rows.filter(state=state)
    return rows


@transaction.atomic
def decide_grant(*, grant: RoleGrant, verdict: str, reason: str = "", by: Principal) -> RoleGrant:
    """Confirm, which gives them the role at once, or refuse. Who asked may take it back by refusing.

    Raises Forbidden, OwnGrant, GrantIsOver, InvalidInput.
    """
    check_can(by, Permission.ROLE_CONFIRM, grant.namespace)
    _check_person(by)
    if verdict not in (CONFIRM, REFUSE):
        raise InvalidInput("A grant is confirmed or refused: confirm, refuse.", field="verdict")
    if verdict == REFUSE and not reason.strip():
        raise InvalidInput("To refuse needs a reason: who asked reads it.", field="reason")
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(f"A reason has at most {LONGEST_REASON} characters.", field="reason")
    rows = RoleGrant.objects.select_related("namespace", "user", "asked_by", "decided_by")
    row: RoleGrant = rows.select_for_update(of=("self",), no_key=True).get(pk=grant.pk)
    if row.decided_by is not None:
        raise GrantIsOver(f"{row.decided_by.get_username()} decided on this already: it is {row.state}.")
    now = timezone.now()
    if row.expires_at <= now:
        raise GrantIsOver(f"Nobody decided on this until {row.expires_at:%Y-%m-%d}: ask again.")
    if verdict == CONFIRM:
        check_another(by, row)
    row.state = RoleGrant.State.GRANTED if verdict == CONFIRM else RoleGrant.State.REFUSED
    row.decided_by, row.decided_at, row.decision_reason = by.account, now, reason
    row.save(update_fields=["state", "decided_by", "decided_at", "decision_reason"])
    if verdict == CONFIRM:
        put_in(namespace=row.namespace, user=row.user, role=row.role, by=by, reason=reason, grant=row)
        return row
    record(
        "member.grant_refused",
        subject=row.namespace,
        by=by,
        namespace=row.namespace,
        reason=reason,
        after={
            "grant": str(row.pk),
            "user": row.user.get_username(),
            "role": row.role,
            "asked_by": row.asked_by.get_username(),
        },
        at=now,
    )
    return row


def check_another(by: Principal, grant: RoleGrant) -> None:
    """Raises OwnGrant for who receives the role or asked for it, whoever answers for them, or belongs to them."""
    if by.account.pk in accounts_of({grant.user_id}):
        raise OwnGrant(
            "You, or an account that you answer for, would receive this role: somebody else confirms it."
        )
    if by.account.pk in accounts_of({grant.asked_by_id}):
        raise OwnGrant("You, or an account that you answer for, asked for this: somebody else confirms it.")


def can_confirm(by: Principal, grant: RoleGrant) -> bool:
    """Whether they could confirm it now."""
    try:
        check_can(by, Permission.ROLE_CONFIRM, grant.namespace)
        _check_person(by)
        check_another(by, grant)
    except DomainError:
        return False
    return grant.state == RoleGrant.State.ASKED and grant.expires_at > timezone.now()


def _check_person(by: Principal) -> None:
    if by.account.is_service:
        raise Forbidden("A role is confirmed by a person, not by a service account.")
