"""Asking that a gate's result be let stand, and granting or refusing it: two people, why, until when."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from lifecycle import promotions
from lifecycle.actions.promotions import AlreadyDecided, OwnRequest
from lifecycle.gates.evaluate import latest_results
from lifecycle.gates.waiving import WAIVABLE, never_waived
from lifecycle.models import GateResult, Promotion, State, Waiver, WaiverDecision
from lineage.provenance import trainers_of
from registry.errors import DomainError, Forbidden, InvalidInput
from registry.journal import record
from registry.models import Principal
from registry.permissions import accounts_of, check_can
from registry.roles import Permission

LONGEST_REASON = 4000
LONGEST_TERM = timedelta(days=90)


class NeverWaived(DomainError):
    """Integrity, and a malicious file, are let stand by nobody."""

    code = "never-waived"


class NotWaivable(DomainError):
    """There is no result here that a waiver could let stand."""

    code = "not-waivable"


class WaiverOpen(DomainError):
    """The same has been asked already and is not decided."""

    code = "waiver-open"


@transaction.atomic
def ask_waiver(*, promotion: Promotion, gate: str, reason: str, until: datetime, by: Principal) -> Waiver:
    """Ask that the newest result of the gate (its key in the policy) be let stand until then. It does nothing yet.

    Raises Forbidden, InvalidInput, NeverWaived, NotWaivable, WaiverOpen.
    """
    check_can(by, Permission.PROMOTION_REQUEST, promotion.version.model.namespace)
    _check_person(by)
    _check_reason(reason, "A waiver")
    now = timezone.now()
    if until.tzinfo is None or not now < until <= now + LONGEST_TERM:
        example = f"{now + timedelta(days=14):%Y-%m-%dT%H:%MZ}"
        raise InvalidInput(
            f"A waiver ends after now and within {LONGEST_TERM.days} days, as {example}.", field="until"
        )
    row = promotions.locked(promotion.pk)
    if row.state not in (State.EVALUATING, State.GATES_FAILED):
        raise NotWaivable(f"This promotion is {row.state}: no gate stands in its way.")
    result = _result(row, gate)
    if why := never_waived(result.gate, row.version):
        raise NeverWaived(why)
    if Waiver.objects.filter(result=result, decision=None).exists():
        raise WaiverOpen(f"A waiver of {gate} is asked for already, and waits for somebody to decide.")
    waiver = Waiver.objects.create(result=result, reason=reason, until=until, by=by.account, at=now)
    _note("waiver.asked", waiver, row, by=by, reason=reason, now=now)
    return waiver


@transaction.atomic
def decide_waiver(*, waiver: Waiver, verdict: str, reason: str, by: Principal) -> WaiverDecision:
    """Grant or refuse it. A promotion that waited for the gate goes on; one that failed is asked for again.

    Raises Forbidden, OwnRequest, AlreadyDecided, InvalidInput, NeverWaived, NotWaivable.
    """
    promotion: Promotion = waiver.result.promotion
    check_can(by, Permission.PROMOTION_DECIDE, promotion.version.model.namespace)
    _check_person(by)
    if verdict not in WaiverDecision.Verdict.values:
        raise InvalidInput("A waiver is granted or refused.", field="verdict")
    _check_reason(reason, "A decision on a waiver")
    row = promotions.locked(promotion.pk)
    involved = {waiver.by_id, row.requested_by_id, row.version.created_by_id} | trainers_of(row.version)
    if by.account.pk in accounts_of(involved):
        raise OwnRequest("You asked for it or made the version, so somebody else must decide on this waiver.")
    now = timezone.now()
    if WaiverDecision.objects.filter(waiver=waiver).exists():
        raise AlreadyDecided("This waiver is decided already.")
    if verdict == WaiverDecision.Verdict.GRANT:
        if waiver.until <= now:
            raise NotWaivable(f"Its term ended on {waiver.until:%Y-%m-%d %H:%M} UTC: ask for another one.")
        if _result(row, waiver.result.key).pk != waiver.result_id:
            raise NotWaivable(f"{waiver.result.key} says something else now: ask for another one.")
        if why := never_waived(waiver.result.gate, row.version):
            raise NeverWaived(why)
    decision = WaiverDecision.objects.create(
        waiver=waiver, verdict=verdict, reason=reason, by=by.account, at=now
    )
    type_ = "waiver.granted" if verdict == WaiverDecision.Verdict.GRANT else "waiver.refused"
    _note(type_, waiver, row, by=by, reason=reason, now=now)
    return decision


def _result(promotion: Promotion, key: str) -> GateResult:
    """The newest result of that gate, when it does not pass. Raises InvalidInput, NotWaivable."""
    newest = latest_results(promotion)
    if key not in newest:
        unpassed = [name for name, row in newest.items() if row.verdict in WAIVABLE]
        raise InvalidInput(
            f"This promotion has no result of {key!r}; in its way are: {', '.join(unpassed) or 'none'}.",
            field="gate",
        )
    if newest[key].verdict not in WAIVABLE:
        raise NotWaivable(f"{key} is {newest[key].verdict}: there is nothing to waive.")
    return newest[key]


def _note(
    type_: str, waiver: Waiver, promotion: Promotion, *, by: Principal, reason: str, now: datetime
) -> None:
    record(
        type_,
        subject=promotion.version,
        by=by,
        namespace=promotion.version.model.namespace,
        reason=reason,
        after={
            "waiver": str(waiver.pk),
            "promotion": str(promotion.pk),
            "target": promotion.target,
            "gate": waiver.result.key,
            "said": waiver.result.sentence,
            "asked_by": waiver.by.get_username(),
            "why": waiver.reason,
            "until": waiver.until.isoformat(),
        },
        at=now,
    )


def _check_person(by: Principal) -> None:
    if by.account.is_service:
        raise Forbidden("Waivers are asked for and decided by people, not by service accounts.")


def _check_reason(reason: str, what: str) -> None:
    if not reason.strip():
        raise InvalidInput(f"{what} needs a reason: it is what everybody reads.", field="reason")
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(f"A reason has at most {LONGEST_REASON} characters.", field="reason")
