"""Placing a legal hold, asking that it be lifted, and granting or refusing that: one person places, two lift."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from lifecycle import promotions
from lifecycle.actions.promotions import AlreadyDecided, OwnRequest
from lifecycle.holds import hold_rows, open_lift
from lifecycle.models import HoldDecision, HoldLift, LegalHold
from registry.errors import DomainError, Forbidden, InvalidInput
from registry.journal import record
from registry.models import ModelVersion, Principal
from registry.permissions import accounts_of, check_can
from registry.references import VersionDeleted
from registry.roles import Permission

LONGEST_REASON = 4000
VERBS = {HoldDecision.Verdict.GRANT: "hold.lifted", HoldDecision.Verdict.REFUSE: "hold.lift_refused"}


class HoldIsLifted(DomainError):
    """There is no hold any more."""

    code = "hold-lifted"


class LiftOpen(DomainError):
    """Somebody has asked already, and nobody has decided."""

    code = "lift-open"


class NoLiftAsked(DomainError):
    """Nobody asks that the hold be lifted."""

    code = "no-lift-asked"


@transaction.atomic
def place_hold(*, version: ModelVersion, reason: str, by: Principal) -> LegalHold:
    """From now on nobody deletes the version or puts its bytes away. Another hold beside it is another case.

    The model's lock is the one that a deletion takes, and a move to the cold location before it commits: of the two,
    whichever is second sees the first. Raises Forbidden, InvalidInput, VersionDeleted.
    """
    check_can(by, Permission.HOLD_PLACE, version.model.namespace)
    _check_person(by, "placed")
    _check_reason(reason, "A legal hold")
    promotions.lock_model(version.pk)
    row = ModelVersion.objects.select_related("model__namespace").get(pk=version.pk)
    if row.deleted_at is not None:
        raise VersionDeleted(
            f"{row.reference} was deleted on {row.deleted_at:%Y-%m-%d}: {row.status_message.rstrip('.')}. "
            "A hold is placed on a version that is kept; what is recorded of a deleted one is never removed."
        )
    hold = LegalHold.objects.create(version=row, reason=reason, placed_by=by.account)
    _note("hold.placed", hold, by=by, reason=reason, now=hold.placed_at)
    return hold


@transaction.atomic
def ask_lift(*, hold: LegalHold, reason: str, by: Principal) -> HoldLift:
    """Ask that a hold be lifted. It goes on standing until somebody else grants that.

    Raises Forbidden, InvalidInput, HoldIsLifted, LiftOpen.
    """
    check_can(by, Permission.HOLD_PLACE, hold.version.model.namespace)
    _check_person(by, "lifted")
    _check_reason(reason, "To lift a hold")
    row = _locked(hold)
    if open_lift(row):
        raise LiftOpen("Somebody asks for this already, and waits for another person to decide.")
    now = timezone.now()
    lift = HoldLift.objects.create(hold=row, reason=reason, by=by.account, at=now)
    _note("hold.lift_asked", row, by=by, reason=reason, now=now, lift=lift)
    return lift


@transaction.atomic
def decide_lift(*, hold: LegalHold, verdict: str, reason: str, by: Principal) -> HoldDecision:
    """Let the hold go, or keep it, as somebody else asked. What it kept can be deleted and put away again.

    Raises Forbidden, OwnRequest, AlreadyDecided, InvalidInput, NoLiftAsked.
    """
    check_can(by, Permission.HOLD_DECIDE, hold.version.model.namespace)
    _check_person(by, "lifted")
    if verdict not in HoldDecision.Verdict.values:
        raise InvalidInput("That a hold be lifted is granted or refused.", field="verdict")
    _check_reason(reason, "A decision on a hold")
    row = _locked(hold, decided=AlreadyDecided)
    lift = open_lift(row)
    if lift is None:
        raise NoLiftAsked("Nobody asks that this hold be lifted: one person asks, and another decides.")
    check_another(by, lift)
    now = timezone.now()
    decision = HoldDecision.objects.create(lift=lift, verdict=verdict, reason=reason, by=by.account, at=now)
    if verdict == HoldDecision.Verdict.GRANT:
        row.lifted_by, row.lifted_at = by.account, now
        row.save(update_fields=["lifted_by", "lifted_at"])
    _note(VERBS[HoldDecision.Verdict(verdict)], row, by=by, reason=reason, now=now, lift=lift)
    return decision


def check_can_decide(by: Principal, lift: HoldLift) -> None:
    """Raises NotVisible, Forbidden or OwnRequest, with the reason in words."""
    check_can(by, Permission.HOLD_DECIDE, lift.hold.version.model.namespace)
    _check_person(by, "lifted")
    check_another(by, lift)


def can_decide(by: Principal, lift: HoldLift) -> bool:
    """Whether `check_can_decide` would let them."""
    try:
        check_can_decide(by, lift)
    except DomainError:
        return False
    return True


def check_another(by: Principal, lift: HoldLift) -> None:
    """Raises OwnRequest for who asked, and for whoever answers for that account or belongs to them."""
    if by.account.pk in accounts_of({lift.by_id}):
        raise OwnRequest("You asked that this hold be lifted, so somebody else must decide.")


def _locked(hold: LegalHold, decided: type[DomainError] = HoldIsLifted) -> LegalHold:
    """The hold under its lock, while it stands. Raises `decided` when it was lifted."""
    row: LegalHold = hold_rows().select_for_update(of=("self",), no_key=True).get(pk=hold.pk)
    if row.lifted_by is not None:
        raise decided(f"{row.lifted_by.get_username()} lifted this hold on {row.lifted_at:%Y-%m-%d}.")
    return row


def _note(
    type_: str,
    hold: LegalHold,
    *,
    by: Principal,
    reason: str,
    now: datetime,
    lift: HoldLift | None = None,
) -> None:
    after: dict[str, Any] = {"hold": str(hold.pk), "why": hold.reason}
    if lift is not None:
        after |= {
            "placed_by": hold.placed_by.get_username(),
            "placed_at": hold.placed_at.isoformat(),
            "lift": str(lift.pk),
            "asked_by": lift.by.get_username(),
            "why_lift": lift.reason,
        }
    version = hold.version
    record(
        type_, subject=version, by=by, namespace=version.model.namespace, reason=reason, after=after, at=now
    )


def _check_person(by: Principal, what: str) -> None:
    if by.account.is_service:
        raise Forbidden(f"Legal holds are {what} by people, not by service accounts.")


def _check_reason(reason: str, what: str) -> None:
    if not reason.strip():
        raise InvalidInput(f"{what} needs a reason: it is what everybody reads.", field="reason")
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(f"A reason has at most {LONGEST_REASON} characters.", field="reason")
