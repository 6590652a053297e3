"""Consumer of the journal: people are told by mail what waits for them, and what became of what they asked for."""

from __future__ import annotations

from collections.abc import Iterable

from django.urls import reverse

from lifecycle.actions.holds import can_decide as can_lift
from lifecycle.actions.promotions import can_decide
from lifecycle.approvals import groups_of
from lifecycle.holds import waiting
from lifecycle.models import Promotion
from registry.actions.grants import can_confirm
from registry.actions.grants import waiting as waiting_grants
from registry.journal.mailing import plan_mail
from registry.models import Event, ModelVersion, Principal, RegisteredModel, User
from registry.permissions import designated_reviewers, holders, members
from registry.roles import Permission

DOWN = {"version.rolled_back": "Rolled back", "version.suspended": "Suspended"}
NOT_PASSED = {"promotion.rejected": "Rejected", "promotion.gates_failed": "Refused by its gates"}


def mail_people(event: Event) -> None:
    """To who may decide: it waits for you. To who asked: rejected. To who answers for it: rolled back, suspended; to
    both: a validation that is overdue."""
    if event.namespace is None:
        return
    if event.type == "promotion.awaiting_approval":
        _waits(event, _promotion(event.subject_id))
    elif event.type in NOT_PASSED:
        _not_passed(event, _promotion(event.subject_id))
    elif event.type == "model.review_overdue":
        _review(event)
    elif event.type == "waiver.asked":
        _waiver(event)
    elif event.type == "member.grant_asked":
        _grant(event)
    elif event.type == "hold.lift_asked":
        _lift(event)
    elif event.type in DOWN:
        _down(event)


def _promotion(promotion_id: str) -> Promotion:
    rows = Promotion.objects.select_related(
        "version__model__namespace", "version__created_by", "requested_by"
    )
    return rows.get(pk=promotion_id)


def _deciders(promotion: Promotion) -> list[User]:
    """Who would be let decide on it: neither who asked nor who made it."""
    model = promotion.version.model
    named = groups_of(promotion.policy_snapshot["approvals"])
    may = {
        *holders(Permission.PROMOTION_DECIDE, model.namespace),
        *designated_reviewers(model),
        *members(model.namespace, named.keys()),
    }
    return [user for user in may if can_decide(Principal(user=user), promotion)]


def _waits(event: Event, promotion: Promotion) -> None:
    version, target = promotion.version.reference, promotion.target
    why = f": {promotion.reason}" if promotion.reason else "."
    plan_mail(
        event,
        _deciders(promotion),
        subject=f"Waits for you: {version} to {target}",
        text=(
            f"{promotion.requested_by.get_username()} asks to bring {version} to {target}{why}\n"
            f"Its gates have passed. Until {promotion.expires_at:%Y-%m-%d %H:%M} UTC you can approve or reject it."
        ),
        path=reverse("admin:desk-promotion", args=[promotion.pk]),
    )


def _waiver(event: Event) -> None:
    told = event.after or {}
    promotion = _promotion(told["promotion"])
    plan_mail(
        event,
        [
            user
            for user in holders(Permission.PROMOTION_DECIDE, promotion.version.model.namespace)
            if user.pk != event.actor_id and can_decide(Principal(user=user), promotion)
        ],
        subject=f"Waits for you: a waiver for {event.subject_label}",
        text=(
            f"{event.actor_label} asks to let stand what {told['gate']} says: {told['said']}\n"
            f"Why: {told['why']}"
        ),
        path=reverse("promotion-page", args=[promotion.pk]),
    )


def _grant(event: Event) -> None:
    grant = waiting_grants().filter(pk=(event.after or {})["grant"]).first()
    if grant is None:
        return
    role, user = grant.role.replace("_", " "), grant.user.get_username()
    may = holders(Permission.ROLE_CONFIRM, grant.namespace)
    plan_mail(
        event,
        [person for person in may if can_confirm(Principal(user=person), grant)],
        subject=f"Waits for you: {user} as {role} in {grant.namespace}",
        text=f"{grant.asked_by.get_username()} asks that {user} be {role} in {grant.namespace}. {grant.reason}",
        path=reverse("admin:registry_rolegrant_change", args=[grant.pk]),
    )


def _lift(event: Event) -> None:
    lift = waiting().filter(pk=(event.after or {})["lift"]).first()
    if lift is None:
        return
    version = lift.hold.version
    may = holders(Permission.HOLD_DECIDE, version.model.namespace)
    plan_mail(
        event,
        [user for user in may if can_lift(Principal(user=user), lift)],
        subject=f"Waits for you: a legal hold of {version.reference}",
        text=f"{lift.by.get_username()} asks to lift it: {lift.reason}\nIt was placed for: {lift.hold.reason}",
        path=reverse("admin:lifecycle_legalhold_change", args=[lift.hold_id]),
    )


def _not_passed(event: Event, promotion: Promotion) -> None:
    version = promotion.version.reference
    plan_mail(
        event,
        _people([promotion.requested_by], event),
        subject=f"{NOT_PASSED[event.type]}: {version} to {promotion.target}",
        text=f"{version} does not go to {promotion.target}. {promotion.outcome}",
        path=reverse("promotion-page", args=[promotion.pk]),
    )


def _review(event: Event) -> None:
    model = RegisteredModel.objects.select_related("namespace", "owner").get(pk=event.subject_id)
    plan_mail(
        event,
        _people(
            [
                model.owner,
                *holders(Permission.PROMOTION_DECIDE, model.namespace),
                *designated_reviewers(model),
            ],
            event,
        ),
        subject=f"Validation overdue: {model}",
        text=event.reason,
        path=reverse("model-page", args=[model.namespace.name, model.name]),
    )


def _down(event: Event) -> None:
    rows = ModelVersion.objects.select_related("model__namespace", "model__owner", "created_by")
    version = rows.get(pk=event.subject_id)
    model: RegisteredModel = version.model
    answer = [*holders(Permission.VERSION_ROLL_BACK, model.namespace), model.owner, version.created_by]
    went = "is back in production" if event.type == "version.rolled_back" else "is out of production"
    plan_mail(
        event,
        _people(answer, event),
        subject=f"{DOWN[event.type]}: {version.reference}",
        text=f"{version.reference} {went}. {event.actor_label}: {event.reason}",
        path=reverse("version-page", args=[model.namespace.name, model.name, version.number]),
    )


def _people(accounts: Iterable[User | None], event: Event) -> list[User]:
    """The people behind the accounts, without the one who did it and knows."""
    found = {account.owner if account.is_service else account for account in accounts if account}
    return [user for user in found if user is not None and user.pk != event.actor_id]
