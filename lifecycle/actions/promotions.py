"""Asking for a promotion, deciding on it, taking it back, and going back to what was in production before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from lifecycle import policies, promotions
from lifecycle.approvals import groups_of, may_decide, tally
from lifecycle.evidence import EVALUATE_GATES
from lifecycle.freezes import held
from lifecycle.models import OPEN, Approval, Promotion, State
from lifecycle.quarantine import check_not_quarantined, standing
from lifecycle.reports import checked_report, with_documents
from lifecycle.stages import BY_NAME, move_for
from lineage.provenance import trainers_of
from registry.errors import DomainError, Forbidden, InvalidInput, NotVisible
from registry.journal.enqueue import enqueue
from registry.models import SYSTEM, ModelVersion, Principal, RegisteredModel, Stage, StageChange
from registry.permissions import accounts_of, can, check_can
from registry.references import check_not_deleted
from registry.roles import Permission

VALID_FOR = timedelta(days=7)
LONGEST_REASON = 4000
ROLL_BACK = "roll_back"


class NotPromotable(DomainError):
    """The version cannot be asked into that stage as it is."""

    code = "not-promotable"


class PromotionOpen(DomainError):
    """The same has been asked already and is not decided."""

    code = "promotion-open"


class OwnRequest(Forbidden):
    """Who asked, who trained, and whoever owns the account that did, do not decide."""

    code = "own-request"


class AlreadyDecided(DomainError):
    """One person, one decision."""

    code = "already-decided"


class NoRollbackTarget(DomainError):
    """There is no earlier production version that can be gone back to."""

    code = "no-rollback-target"


@transaction.atomic
def request_promotion(*, version: ModelVersion, target: str, reason: str = "", by: Principal) -> Promotion:
    """Ask to bring a version to staging or production. The policy is frozen now; the gates run in a worker.

    Raises Forbidden, NotPromotable, VersionDeleted, UnderQuarantine, PromotionOpen, InvalidInput.
    """
    check_can(by, Permission.PROMOTION_REQUEST, version.model.namespace)
    _fits(reason)
    if target not in (Stage.STAGING, Stage.PRODUCTION):
        raise InvalidInput(
            f"A version is promoted to staging or production, not to {target!r}.", field="target"
        )
    model = promotions.lock_model(version.pk)
    # As it is under the lock.
    version = ModelVersion.objects.select_related("model__namespace", "manifest", "created_by").get(
        pk=version.pk
    )
    check_not_deleted(version)
    check_not_quarantined(version)
    stage = version.stage
    if version.status != ModelVersion.Status.READY:
        raise NotPromotable(
            f"{version.reference} is {version.status}, not ready: {version.status_message}".rstrip(": ")
        )
    move = move_for(stage, target)
    if move is None or not move.by_promotion or move.name == "roll_back":
        hint = _way_to(stage, target)
        raise NotPromotable(f"{version.reference} is in {stage}: it cannot go to {target} from there.{hint}")
    _check_none_open(version, target, f"A promotion of {version.reference} to {target} is open already.")
    policy = policies.current(model, target)
    promotion = _create(
        version, target, Promotion.Kind.PROMOTE, reason, policies.snapshot(policy), policy, by
    )
    enqueue(EVALUATE_GATES, promotion_id=str(promotion.pk))
    return promotion


def roll_back(*, model: RegisteredModel, to: int | None = None, reason: str, by: Principal) -> Promotion:
    """Put a former production version back: one operator, a reason. At once when its bytes are verified;
    otherwise a worker reads them first and then applies it.

    Raises Forbidden, NoRollbackTarget, UnderQuarantine, PromotionOpen, InvalidInput.
    """
    with transaction.atomic():
        check_can(by, Permission.VERSION_ROLL_BACK, model.namespace)
        _fits(reason)
        if not reason.strip():
            raise InvalidInput("A rollback needs a reason.", field="reason")
        promotions.lock_registered(model.pk)
        target = _rollback_target(model, to)
        _check_none_open(target, Stage.PRODUCTION, f"A rollback to {target.reference} is under way already.")
        snapshot = policies.rollback_snapshot(target)
        kind = Promotion.Kind.ROLLBACK
        promotion = _create(target, Stage.PRODUCTION, kind, reason, snapshot, None, by)
        enqueue(EVALUATE_GATES, promotion_id=str(promotion.pk))
        return promotion


@transaction.atomic
def decide_promotion(
    *, promotion: Promotion, verdict: str, reason: str = "", report: Any = None, by: Principal
) -> Promotion:
    """Approve or reject, with a validation report if there is one; the last approval that is needed puts it into
    effect, when its stage is not frozen.

    The promotion that comes back may be `void`: then what was shown is not what is there now, and nothing was
    decided. Raises Forbidden, OwnRequest, AlreadyDecided, PromotionIsClosed, InvalidInput.
    """
    check_can_decide(by, promotion)
    _fits(reason)
    if verdict not in Approval.Verdict.values:
        raise InvalidInput("A decision is approve or reject.", field="verdict")
    if verdict == Approval.Verdict.REJECT and not reason.strip():
        raise InvalidInput("A rejection needs a reason: it is what the requester reads.", field="reason")
    checked = checked_report(report)
    found = with_documents(checked, promotion.version, by) if checked else None
    row = promotions.locked(promotion.pk)
    now = timezone.now()
    promotions.check_open(row, now)
    if Approval.objects.filter(promotion=row, by=by.account).exists():
        raise AlreadyDecided("You have decided on this promotion already.")
    if promotions.void_when_changed(row, now):
        return row
    Approval.objects.create(
        promotion=row,
        by=by.account,
        verdict=verdict,
        reason=reason,
        report=found,
        binding=row.binding,
        at=now,
    )
    if verdict == Approval.Verdict.REJECT:
        promotions.end(row, State.REJECTED, f"{by.label}: {reason}", by=by, now=now, reason=reason)
        return row
    promotions.note(row, "promotion.approved", by=by, now=now, reason=reason)
    if tally(row).complete and not held(row, now):
        return promotions.apply(promotion_id=row.pk, by=by, now=now)
    return row


@transaction.atomic
def withdraw_promotion(*, promotion: Promotion, reason: str = "", by: Principal) -> Promotion:
    """Take an open request back: anybody who may ask for the same. Raises Forbidden, PromotionIsClosed."""
    check_can(by, right_to_ask(promotion), promotion.version.model.namespace)
    _fits(reason)
    row = promotions.locked(promotion.pk)
    if row.state not in OPEN:
        raise promotions.PromotionIsClosed(promotions.how_it_ended(row))
    promotions.end(row, State.WITHDRAWN, f"withdrawn by {by.label}", by=by, now=timezone.now(), reason=reason)
    return row


@transaction.atomic
def move_version(*, version: ModelVersion, move: str, reason: str, by: Principal) -> ModelVersion:
    """The moves that need a reason and no promotion: demote, suspend, deprecate, reinstate, archive.

    Raises Forbidden, IllegalMove, InvalidInput.
    """
    known = BY_NAME.get(move)
    if known is None or known.by_promotion or known.permission is None:
        raise InvalidInput(f"{move!r} is not a move one asks for.", field="move")
    check_can(by, known.permission, version.model.namespace)
    _fits(reason)
    promotions.lock_model(version.pk)
    now = timezone.now()
    moved = promotions.advance(version_id=version.pk, move=known, by=by, reason=reason, now=now)
    for open_one in Promotion.objects.filter(version=version, state__in=OPEN).order_by("pk"):
        row = promotions.locked(open_one.pk)
        if row.state in OPEN:
            promotions.end(row, State.VOID, f"the version is {moved.stage} now", by=by, now=now)
    return moved


def right_to_ask(promotion: Promotion) -> Permission:
    """Who holds it may ask for the same, and take it back: a rollback is the operators'."""
    rollback = promotion.kind == Promotion.Kind.ROLLBACK
    return Permission.VERSION_ROLL_BACK if rollback else Permission.PROMOTION_REQUEST


def check_can_decide(by: Principal, promotion: Promotion) -> None:
    """Raises NotVisible, Forbidden or OwnRequest, with the reason in words."""
    model = promotion.version.model
    if not can(by, Permission.NAMESPACE_READ, model.namespace_id):
        raise NotVisible("There is no promotion that you can see.")
    if not may_decide(by, promotion):
        groups = groups_of(promotion.policy_snapshot["approvals"])
        if groups:
            raise Forbidden(
                f"{by.label} may not decide on this: its policy asks for people of {', '.join(groups)}, and who holds "
                f"{Permission.PROMOTION_DECIDE.value} may too."
            )
        check_can(by, Permission.PROMOTION_DECIDE, model.namespace)
        raise Forbidden("Designated reviewers do not count for this policy.")
    if by.account.is_service:
        raise Forbidden("A promotion is decided by a person, not by a service account.")
    if by.account.pk in accounts_of({promotion.requested_by_id}):
        raise OwnRequest("You asked for this promotion, so somebody else must decide on it.")
    if by.account.pk in accounts_of({promotion.version.created_by_id} | trainers_of(promotion.version)):
        raise OwnRequest("You trained or registered this version, so somebody else must decide on it.")


def can_decide(by: Principal, promotion: Promotion) -> bool:
    """Whether `check_can_decide` would let them."""
    try:
        check_can_decide(by, promotion)
    except DomainError:
        return False
    return True


def _create(
    version: ModelVersion,
    target: str,
    kind: str,
    reason: str,
    snapshot: dict[str, Any],
    policy: Any,
    by: Principal,
) -> Promotion:
    now = timezone.now()
    promotion = Promotion.objects.create(
        version=version,
        target=target,
        kind=kind,
        reason=reason,
        policy=policy,
        policy_snapshot=snapshot,
        requested_by=by.account,
        requested_at=now,
        expires_at=now + VALID_FOR,
    )
    promotions.note(promotion, "promotion.requested", by=by, now=now, reason=reason)
    return promotion


def _check_none_open(version: ModelVersion, target: str, sentence: str) -> None:
    """Raises PromotionOpen. One whose time is over, and which no sweep has met yet, is ended here."""
    found = Promotion.objects.filter(version=version, target=target, state__in=OPEN).first()
    if found is None:
        return
    now, row = timezone.now(), promotions.locked(found.pk)
    if row.expires_at > now:
        raise PromotionOpen(sentence)
    promotions.end(row, State.EXPIRED, promotions.TOO_LATE, by=SYSTEM, now=now)


def _rollback_target(model: RegisteredModel, to: int | None) -> ModelVersion:
    """The version to go back to: archived, in production before, not taken out in an incident since, and not under
    quarantine.

    Without `to` it is the one before the last, as an undo goes: a rollback goes further back, not forward again
    to what was just rolled back.
    """
    changes = StageChange.objects.filter(version__model=model).order_by("pk")
    given_up = dict(changes.filter(to_stage=Stage.DEPRECATED).values_list("version_id", "pk"))
    line: list[ModelVersion] = []
    possible: set[ModelVersion] = set()
    for change in changes.filter(to_stage=Stage.PRODUCTION).select_related("version__model__namespace"):
        if change.move == ROLL_BACK and change.version in line:
            del line[line.index(change.version) + 1 :]
        else:
            line.append(change.version)
        kept = change.version.stage == Stage.ARCHIVED and change.version.deleted_at is None
        if kept and change.pk > given_up.get(change.version_id, 0):
            possible.add(change.version)
    if to is None:
        doubted = set(standing(version.pk for version in possible).values_list("version", flat=True))
        possible = {version for version in possible if version.pk not in doubted}
        earlier = [version for version in reversed(line[:-1]) if version in possible]
        if not earlier:
            raise NoRollbackTarget(f"{model} has no earlier production version to go back to.")
        return earlier[0]
    version = ModelVersion.objects.filter(model=model, number=to).first()
    if version is None:
        raise NotVisible(f"There is no version {model}:{to} that you can see.")
    check_not_deleted(version)
    check_not_quarantined(version)
    if version not in possible:
        raise NoRollbackTarget(
            f"{version.reference} is in {version.stage}; one goes back only to an archived version that was in "
            "production and has not been suspended or deprecated since."
        )
    return version


def _way_to(stage: str, target: str) -> str:
    if stage == target:
        return ""
    if stage == Stage.DEVELOPMENT and target == Stage.PRODUCTION:
        return " Promote it to staging first."
    if stage == Stage.ARCHIVED and target == Stage.PRODUCTION:
        return " A former production version comes back by a rollback."
    if stage == Stage.DEPRECATED:
        return " Reinstate it first."
    return ""


def _fits(reason: str) -> None:
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(f"A reason has at most {LONGEST_REASON} characters.", field="reason")
