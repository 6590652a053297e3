"""Where stages change: `advance` is the only function that does it, and `apply` and `settle` lead to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from lifecycle.approvals import tally
from lifecycle.evidence import binding_of
from lifecycle.freezes import held, may_take_effect, told_of
from lifecycle.gates.evaluate import context_of, findings, keep
from lifecycle.gates.kinds import Finding, Verdict
from lifecycle.models import OPEN, BreakGlass, Promotion, StagedVersion, State
from lifecycle.policies import superseded
from lifecycle.quarantine import check_not_quarantined, told
from lifecycle.stages import Move, move_for
from registry.errors import DomainError
from registry.journal import record
from registry.models import (
    SYSTEM,
    Alias,
    AliasMove,
    ModelVersion,
    Principal,
    RegisteredModel,
    Stage,
    StageChange,
)
from registry.references import check_not_deleted

PRODUCTION_ALIAS = "production"
TOO_LATE = "nobody decided in time"


class IllegalMove(DomainError):
    """The version is not in a stage from which this move is possible."""

    code = "illegal-move"


class PromotionIsClosed(DomainError):
    """The promotion has ended; the sentence says how."""

    code = "promotion-closed"


class Frozen(DomainError):
    """The stage is frozen; the sentence says until when and why."""

    code = "frozen"


class ApprovalsMissing(DomainError):
    """Not everybody whose approval is needed has given it."""

    code = "approvals-missing"


def advance(
    *,
    version_id: Any,
    move: Move,
    by: Principal,
    reason: str = "",
    promotion: Promotion | None = None,
    now: datetime,
) -> ModelVersion:
    """Change a stage: lock the model, re-read, check, transition, alias, event. All within the caller's
    transaction, which for a promotion is the one in which it became `applied` (a trigger insists).

    Raises IllegalMove when the version is not where the move starts, VersionDeleted, UnderQuarantine.
    """
    model = lock_model(version_id)
    version = _locked(version_id)
    check_not_deleted(version)
    if move.target in (Stage.STAGING, Stage.PRODUCTION):
        check_not_quarantined(version)
    if version.stage not in move.sources:
        raise IllegalMove(
            f"{version.reference} is in {version.stage}; {move.name.replace('_', ' ')} starts from "
            f"{' or '.join(move.sources)}."
        )
    if move.needs_reason and not reason.strip():
        raise IllegalMove(f"To {move.name.replace('_', ' ')} a version needs a reason.", field="reason")
    stepped_down = None
    if move.target == Stage.PRODUCTION:
        stepped_down = ModelVersion.objects.filter(model=model, stage=Stage.PRODUCTION).first()
        if stepped_down:
            down = move_for(Stage.PRODUCTION, Stage.ARCHIVED)
            if down is None:
                raise IllegalMove("There is no way for a production version to step down.")
            # First the old one: a partial unique index is not deferrable.
            _move(_locked(stepped_down.pk), down, by, f"replaced by {version.reference}", promotion, now)
    _move(version, move, by, reason, promotion, now)
    if move.target == Stage.PRODUCTION or Stage.PRODUCTION in move.sources:
        new = version if move.target == Stage.PRODUCTION else None
        _point_alias(model, old=stepped_down or (version if new is None else None), new=new, by=by, now=now)
        _void_others(model, version, promotion, now)
    return version


def lock_model(version_id: Any) -> RegisteredModel:
    """The lock under which everything about a model's stages is decided."""
    return lock_registered(ModelVersion.objects.values_list("model_id", flat=True).get(pk=version_id))


def lock_registered(model_id: Any) -> RegisteredModel:
    """The same, by the model itself."""
    # FOR NO KEY UPDATE does not block inserts of rows that refer to the model.
    return RegisteredModel.objects.select_for_update(no_key=True).get(pk=model_id)


def _locked(version_id: Any) -> ModelVersion:
    rows = StagedVersion.objects.select_related("model__namespace", "manifest", "created_by")
    return rows.select_for_update(no_key=True, of=("self",)).get(pk=version_id)


def _move(
    version: ModelVersion, move: Move, by: Principal, reason: str, promotion: Promotion | None, now: datetime
) -> None:
    before = version.stage
    getattr(version, f"to_{move.target}")()
    version.save(update_fields=["stage"])
    StageChange.objects.create(
        version_id=version.pk,
        from_stage=before,
        to_stage=version.stage,
        move=move.name,
        promotion_id=promotion.pk if promotion else None,
        reason=reason,
        by=by.user,
        at=now,
    )
    record(
        move.event,
        subject=ModelVersion(pk=version.pk, model=version.model, number=version.number),
        by=by,
        namespace=version.model.namespace,
        reason=reason,
        before={"stage": before},
        after={"stage": version.stage, **({"promotion": str(promotion.pk)} if promotion else {})},
        at=now,
    )


def _point_alias(
    model: RegisteredModel,
    *,
    old: ModelVersion | None,
    new: ModelVersion | None,
    by: Principal,
    now: datetime,
) -> None:
    if new is None:
        Alias.objects.filter(model=model, name=PRODUCTION_ALIAS).delete()
    else:
        Alias.objects.update_or_create(
            model=model,
            name=PRODUCTION_ALIAS,
            defaults={"version_id": new.pk, "protected": True, "moved_at": now},
        )
    AliasMove.objects.create(
        model=model,
        name=PRODUCTION_ALIAS,
        from_version_id=old.pk if old else None,
        to_version_id=new.pk if new else None,
        by=by.user,
        at=now,
    )


def _void_others(
    model: RegisteredModel, version: ModelVersion, promotion: Promotion | None, now: datetime
) -> None:
    """What others were approved against is no longer in production."""
    open_ones = Promotion.objects.select_for_update().filter(
        version__model=model, target=Stage.PRODUCTION, state=State.AWAITING_APPROVAL
    )
    for other in open_ones.exclude(pk__in=[promotion.pk] if promotion else []).order_by("pk"):
        end(
            other,
            State.VOID,
            f"production changed: {version.reference} is now {version.stage}",
            by=SYSTEM,
            now=now,
        )


def end(
    promotion: Promotion, state: State, outcome: str, *, by: Principal, now: datetime, reason: str = ""
) -> None:
    """Close a locked promotion without moving anything, with its one event."""
    before = promotion.state
    promotion.state, promotion.outcome, promotion.decided_at = state, outcome, now
    promotion.save(update_fields=["state", "outcome", "decided_at"])
    note(promotion, f"promotion.{state}", by=by, now=now, reason=reason or outcome, before=before)


def note(
    promotion: Promotion,
    type_: str,
    *,
    by: Principal,
    now: datetime,
    reason: str = "",
    before: str | None = None,
) -> None:
    """The promotion's event: which version, to where, in what state."""
    record(
        type_,
        subject=promotion,
        by=by,
        namespace=promotion.version.model.namespace,
        reason=reason,
        before={"state": before} if before else None,
        after={"state": promotion.state, "target": promotion.target, "version": promotion.version.reference},
        at=now,
    )


def ask_for_evaluations(promotion: Promotion, finding: Finding, now: datetime) -> None:
    """Tell those who evaluate what a gate waits for: of which version, on which data. One event for each."""
    for wanted in finding.wanted:
        record(
            "evaluation.requested",
            subject=wanted.version,
            by=SYSTEM,
            namespace=promotion.version.model.namespace,
            reason=finding.sentence,
            after={
                "dataset": wanted.dataset,
                "dataset_digest": wanted.dataset_digest,
                "split": wanted.split,
                "slice": wanted.slice,
                "metrics": [wanted.metric],
                "promotion": str(promotion.pk),
                "for": promotion.version.reference,
            },
            at=now,
        )


def locked(promotion_id: Any) -> Promotion:
    """The promotion, with its model locked first, as every other path does: no two paths lock crosswise."""
    lock_model(Promotion.objects.values_list("version_id", flat=True).get(pk=promotion_id))
    rows = Promotion.objects.select_related("version__model__namespace", "requested_by")
    return rows.select_for_update(of=("self",)).get(pk=promotion_id)


def settle(*, promotion_id: Any, now: datetime | None = None) -> Promotion:
    """Look at the gates as they are now and move the promotion on: failed, waiting, applied, expired or void.

    Reads the database only (`gates.evaluate.prepare` comes before, outside the lock). Safe to repeat.
    """
    with transaction.atomic():
        promotion = locked(promotion_id)
        # The time under the lock: who waited for it does not write of a time in which another was at it.
        now = now or timezone.now()
        if promotion.state not in OPEN:
            return promotion
        if promotion.expires_at <= now:
            end(promotion, State.EXPIRED, TOO_LATE, by=SYSTEM, now=now)
            return promotion
        if promotion.state == State.AWAITING_APPROVAL:
            # Approved while the stage was frozen: it takes effect when that is over, without anybody.
            if not void_when_changed(promotion, now) and may_take_effect(promotion, now):
                _apply(promotion, by=SYSTEM, now=now)
            return promotion
        if _void_when_quarantined(promotion, now) or _void_when_superseded(promotion, now):
            return promotion
        context = context_of(promotion, now)
        found = findings(context)
        for finding in keep(context, found):
            ask_for_evaluations(promotion, finding, now)
        verdicts = {finding.verdict for _, finding in found.values()}
        if verdicts & {Verdict.FAIL, Verdict.ERROR}:
            said = [f.sentence for _, f in found.values() if f.verdict in (Verdict.FAIL, Verdict.ERROR)]
            outcome = f"{len(said)} of {len(found)} gates refused: {' '.join(said)}"
            end(promotion, State.GATES_FAILED, outcome, by=SYSTEM, now=now)
        elif Verdict.PENDING not in verdicts:
            promotion.binding = binding_of(context, found)
            promotion.replaces = context.incumbent if promotion.target == Stage.PRODUCTION else None
            promotion.save(update_fields=["binding", "replaces"])
            if promotion.policy_snapshot["approvals"]["count"]:
                await_approval(promotion, now)
            elif not held(promotion, now):
                _apply(promotion, by=Principal(user=promotion.requested_by), now=now)
        return promotion


def await_approval(promotion: Promotion, now: datetime) -> None:
    """From here on it waits for people; its gates have passed and it is bound to what they said."""
    promotion.state = State.AWAITING_APPROVAL
    promotion.save(update_fields=["state"])
    note(promotion, "promotion.awaiting_approval", by=SYSTEM, now=now)


def apply(*, promotion_id: Any, by: Principal, now: datetime | None = None) -> Promotion:
    """Put a promotion into effect that is approved, or whose glass was broken; or find that what was approved is not
    there now (`void`).

    Raises PromotionIsClosed for one that has ended (applying twice is refused), ApprovalsMissing, Frozen.
    """
    with transaction.atomic():
        promotion = locked(promotion_id)
        now = now or timezone.now()
        check_open(promotion, now)
        if not void_when_changed(promotion, now):
            if not BreakGlass.objects.filter(promotion=promotion).exists():
                _check_unbroken(promotion, now)
            _apply(promotion, by=by, now=now)
        return promotion


def _check_unbroken(promotion: Promotion, now: datetime) -> None:
    found = tally(promotion)
    if not found.complete:
        raise ApprovalsMissing(f"Approvals are missing: {found.sentence}.")
    if window := held(promotion, now):
        raise Frozen(f"{told_of(promotion, window)}.")


def check_open(promotion: Promotion, now: datetime) -> None:
    """Raises PromotionIsClosed when the promotion does not wait for a decision."""
    if promotion.state == State.EVALUATING:
        raise PromotionIsClosed("Its gates are still being evaluated; there is nothing to decide yet.")
    if promotion.state != State.AWAITING_APPROVAL:
        raise PromotionIsClosed(how_it_ended(promotion))
    if promotion.expires_at <= now:
        raise PromotionIsClosed("This promotion has expired; ask again.")


def how_it_ended(promotion: Promotion) -> str:
    """What a promotion that is closed is told as; an outcome may be a sentence already."""
    return f"This promotion is {promotion.state}: {(promotion.outcome or 'it has ended').rstrip('.')}."


def _apply(promotion: Promotion, *, by: Principal, now: datetime) -> None:
    version = ModelVersion.objects.only("stage").get(pk=promotion.version_id)
    move = move_for(version.stage, promotion.target)
    if move is None or not move.by_promotion or (move.name == "roll_back") != (promotion.kind == "rollback"):
        end(promotion, State.VOID, f"the version is in {version.stage} now", by=SYSTEM, now=now)
        return
    before = promotion.state
    promotion.state, promotion.decided_at = State.APPLIED, now
    promotion.outcome = f"{promotion.version.reference} is in {promotion.target}"
    # The trigger `satisfied` checks the snapshot here and notes the transaction; the version moves in it only.
    promotion.save(update_fields=["state", "decided_at", "outcome"])
    advance(
        version_id=promotion.version_id,
        move=move,
        by=by,
        reason=promotion.reason,
        promotion=promotion,
        now=now,
    )
    note(promotion, "promotion.applied", by=by, now=now, before=before, reason=promotion.reason)


def void_when_changed(promotion: Promotion, now: datetime) -> bool:
    """Recompute, under the lock, what was approved; close the promotion when it is something else now, when another
    policy applies, or when the version was put under quarantine."""
    if _void_when_quarantined(promotion, now) or _void_when_superseded(promotion, now):
        return True
    context = context_of(promotion, now)
    found = findings(context)
    if binding_of(context, found) == promotion.binding:
        return False
    replaced = promotion.replaces_id if promotion.target == Stage.PRODUCTION else None
    incumbent = context.incumbent.pk if context.incumbent and promotion.target == Stage.PRODUCTION else None
    if replaced != incumbent:
        there = context.incumbent.reference if context.incumbent else "nothing"
        why = f"production changed: {there} is in production now"
    else:
        keep(context, found)
        why = "the evidence changed since the gates were passed"
    end(promotion, State.VOID, why, by=SYSTEM, now=now)
    return True


def _void_when_quarantined(promotion: Promotion, now: datetime) -> bool:
    why = told(promotion.version)
    if why:
        end(promotion, State.VOID, why, by=SYSTEM, now=now)
    return bool(why)


def _void_when_superseded(promotion: Promotion, now: datetime) -> bool:
    """What nobody approves is judged by the policy it was asked under; who approves does so by the one in force."""
    why = superseded(promotion) if promotion.policy_snapshot["approvals"]["count"] else ""
    if why:
        end(promotion, State.VOID, why, by=SYSTEM, now=now)
    return bool(why)
