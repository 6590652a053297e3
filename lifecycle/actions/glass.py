"""Breaking the glass: a promotion put into effect by one operator, and the review of it by a second person."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from lifecycle import promotions
from lifecycle.actions.promotions import LONGEST_REASON, OwnRequest, check_can_decide
from lifecycle.approvals import approver, tally
from lifecycle.freezes import held, told_of
from lifecycle.gates.evaluate import latest_results
from lifecycle.gates.waiving import never_waived
from lifecycle.models import OPEN, Approval, BreakGlass, GateResult, Promotion, State
from lifecycle.models.glass import REVIEWED_WITHIN
from lineage.provenance import trainers_of
from registry.errors import DomainError, Forbidden, InvalidInput
from registry.journal import record
from registry.models import Principal
from registry.permissions import accounts_of, can, check_can
from registry.roles import Permission


class GlassHolds(DomainError):
    """What stands in the way is nothing that one operator may set aside, or nothing stands there."""

    code = "glass-holds"


class NothingToReview(DomainError):
    """The glass was not broken for this promotion, or that has been reviewed."""

    code = "nothing-to-review"


@transaction.atomic
def break_glass(*, promotion: Promotion, reason: str, by: Principal) -> Promotion:
    """Put a promotion whose gates have passed into effect, in spite of a freeze and without the approvals of others.

    An operator does it, who neither asked nor made the version: theirs is the one approval by somebody else, which
    nothing replaces. A second person reviews it within 24 h. The promotion that comes back may be `void`.
    Raises Forbidden, OwnRequest, GlassHolds, PromotionIsClosed, InvalidInput.
    """
    check_can_decide(by, promotion)
    check_can(by, Permission.PROMOTION_DECIDE, promotion.version.model.namespace)
    _check_reason(reason, "To break the glass, say why: a second person reviews it.")
    row = promotions.locked(promotion.pk)
    now = timezone.now()
    if row.kind == Promotion.Kind.ROLLBACK:
        raise GlassHolds("A rollback needs no glass broken: no freeze and no approval stands in its way.")
    if row.state == State.EVALUATING and row.binding:
        row = _past_its_gates(row)
        if row.state not in OPEN:
            return row
    promotions.check_open(row, now)
    if promotions.void_when_changed(row, now):
        return row
    if why := never_waived("scan_clean", row.version):
        raise GlassHolds(f"No glass is broken for a malicious file. {why}")
    before, window = tally(row), held(row, now)
    given = Approval.objects.filter(promotion=row, by=by.account).exists()
    with_mine = before if given else tally(row, more=(approver(by.account, row),))
    if window is None and with_mine.complete:
        raise GlassHolds("Nothing stands in its way but your approval: approve it.")
    overrode = {
        "approvals": "" if with_mine.complete else before.sentence,
        "freeze": told_of(row, window) if window else "",
    }
    glass = BreakGlass.objects.create(
        promotion=row, reason=reason, overrode=overrode, by=by.account, at=now, due_at=now + REVIEWED_WITHIN
    )
    if not given:
        Approval.objects.create(
            promotion=row,
            by=by.account,
            verdict=Approval.Verdict.APPROVE,
            reason=reason,
            binding=row.binding,
            at=now,
        )
    record(
        "promotion.break_glass",
        subject=row,
        by=by,
        namespace=row.version.model.namespace,
        reason=reason,
        after={
            "version": row.version.reference,
            "target": row.target,
            "overrode": overrode,
            "review_due_at": glass.due_at.isoformat(),
        },
        at=now,
    )
    return promotions.apply(promotion_id=row.pk, by=by, now=now)


@transaction.atomic
def review_glass(*, promotion: Promotion, verdict: str, sentence: str, by: Principal) -> BreakGlass:
    """Say whether the glass was broken rightly, once and for good. It moves no stage: an operator goes back.

    Raises NotVisible, Forbidden, OwnRequest, NothingToReview, InvalidInput.
    """
    rows = BreakGlass.objects.select_related("promotion__version__model__namespace", "by", "reviewed_by")
    row = rows.select_for_update(of=("self",)).filter(promotion=promotion.pk).first()
    if row is None:
        check_can(by, Permission.NAMESPACE_READ, promotion.version.model.namespace)
        raise NothingToReview("Nobody broke the glass for this promotion.")
    check_can_review(by, row)
    if verdict not in BreakGlass.Verdict.values:
        raise InvalidInput("A review finds it justified or not_justified.", field="verdict")
    _check_reason(sentence, "A review says in a sentence what it found.", "sentence")
    if row.reviewed_by is not None:
        raise NothingToReview(
            f"{row.reviewed_by.get_username()} reviewed it on {row.reviewed_at:%Y-%m-%d %H:%M} UTC: {row.sentence}"
        )
    row.verdict, row.sentence = verdict, sentence
    row.reviewed_by, row.reviewed_at = by.account, timezone.now()
    row.save(update_fields=["verdict", "sentence", "reviewed_by", "reviewed_at"])
    record(
        "promotion.reviewed",
        subject=row.promotion,
        by=by,
        namespace=row.promotion.version.model.namespace,
        reason=sentence,
        before={"broken_by": row.by.get_username(), "due_at": row.due_at.isoformat()},
        after={"version": row.promotion.version.reference, "verdict": verdict},
        at=row.reviewed_at,
    )
    return row


def check_can_review(by: Principal, row: BreakGlass) -> None:
    """Raises NotVisible, Forbidden or OwnRequest, with the reason in words."""
    promotion = row.promotion
    namespace = promotion.version.model.namespace
    check_can(by, Permission.NAMESPACE_READ, namespace)
    if not any(can(by, p, namespace.pk) for p in (Permission.PROMOTION_DECIDE, Permission.JOURNAL_VERIFY)):
        raise Forbidden("Broken glass is reviewed by a production operator, an auditor or a namespace admin.")
    if by.account.is_service:
        raise Forbidden("Broken glass is reviewed by a person, not by a service account.")
    if by.account.pk in accounts_of({row.by_id}):
        raise OwnRequest("You broke the glass, so somebody else must review it.")
    involved = {promotion.requested_by_id, promotion.version.created_by_id} | trainers_of(promotion.version)
    if by.account.pk in accounts_of(involved):
        raise OwnRequest("You asked for the promotion or made the version, so somebody else must review it.")


def can_review(by: Principal, row: BreakGlass) -> bool:
    """Whether `check_can_review` would let them."""
    try:
        check_can_review(by, row)
    except DomainError:
        return False
    return True


def _past_its_gates(row: Promotion) -> Promotion:
    """What asks nobody's approval waits in evaluation for the end of a freeze: here it is looked at once more."""
    row = promotions.settle(promotion_id=row.pk)
    if row.state != State.EVALUATING:
        return row
    passed = (GateResult.Verdict.PASS, GateResult.Verdict.WAIVED)
    waits = [key for key, result in latest_results(row).items() if result.verdict not in passed]
    if waits:
        raise GlassHolds(f"No glass is broken for a gate; it waits for {', '.join(waits)}.")
    promotions.await_approval(row, timezone.now())
    return row


def _check_reason(reason: str, sentence: str, field: str = "reason") -> None:
    if not reason.strip():
        raise InvalidInput(sentence, field=field)
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(f"It has at most {LONGEST_REASON} characters.", field=field)
