"""What lies on the desk: what waits for this person, what waits for others, what has been decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from lifecycle.actions.glass import can_review
from lifecycle.api.shows import promotion_rows
from lifecycle.gates.reviews import Clock
from lifecycle.glass import unreviewed
from lifecycle.models import BreakGlass, Promotion, State
from lifecycle.revalidation import overdue
from lineage.models import Run
from registry.models import Principal, RegisteredModelGroupPermission, RoleGroup, User
from registry.models.visibility import namespaces_where
from registry.roles import DESIGNATED, Permission

MOST = 100
DECIDED = 15


@dataclass(frozen=True)
class Review:
    """Broken glass that nobody has reviewed; `mine` when the reader may."""

    row: BreakGlass
    overdue: bool
    mine: bool


@dataclass(frozen=True)
class Inbox:
    """The desk's lists: oldest first where something waits, newest first where it is over."""

    mine: list[Promotion]
    others: list[Promotion]
    evaluating: list[Promotion]
    decided: list[Promotion]
    reviews: list[Review]
    # Models in production that have to be validated again.
    validations: list[Clock]


def inbox(principal: Principal) -> Inbox:
    """The desk of this person, in a constant number of queries, but for broken glass and overdue validations, which
    are rare."""
    now = timezone.now()
    seen = _seen(principal)
    waiting = seen.filter(state=State.AWAITING_APPROVAL).order_by("requested_at", "pk")
    mine = list(_for(principal, waiting)[:MOST])
    closed = seen.exclude(state__in=[State.EVALUATING, State.AWAITING_APPROVAL])
    return Inbox(
        mine=mine,
        others=list(waiting.exclude(pk__in=[row.pk for row in mine])[:MOST]),
        evaluating=list(seen.filter(state=State.EVALUATING).order_by("requested_at", "pk")[:MOST]),
        decided=list(closed.exclude(decided_at=None).order_by("-decided_at", "-pk")[:DECIDED]),
        reviews=[
            Review(row, overdue=row.due_at <= now, mine=can_review(principal, row))
            for row in unreviewed().visible_to(principal).order_by("due_at", "pk")[:MOST]  # type: ignore[attr-defined]
        ],
        validations=overdue(principal, now, MOST),
    )


def count_waiting(principal: Principal) -> int:
    """How many promotions wait for this person. Two queries."""
    rows = Promotion.objects.visible_to(principal).filter(state=State.AWAITING_APPROVAL)
    return _for(principal, rows).count()


def _seen(principal: Principal) -> QuerySet[Promotion]:
    found: QuerySet[Promotion] = promotion_rows().visible_to(principal)  # type: ignore[attr-defined]
    return found


def _for(principal: Principal, waiting: QuerySet[Promotion]) -> QuerySet[Promotion]:
    """Of what waits, what this person may decide: the rules of `check_can_decide`, in SQL."""
    reader = principal.account
    may = Q(version__model__namespace__in=namespaces_where(principal, Permission.PROMOTION_DECIDE))
    # By containment: a key that is not there is neither true nor false, and its negation neither.
    not_counted = {"designated_reviewers": False}
    may |= Q(version__model__in=_designated(reader)) & ~Q(policy_snapshot__approvals__contains=not_counted)
    designated = [{"group": DESIGNATED}]
    may |= Q(version__model__in=_designated(reader), policy_snapshot__approvals__groups__contains=designated)
    for group, namespaces in _groups(reader).items():
        listed = [{"group": group}]
        may |= Q(
            version__model__namespace__in=namespaces, policy_snapshot__approvals__groups__contains=listed
        )
    own: Any = User.objects.filter(Q(pk=reader.pk) | Q(owner=reader.pk)).values("pk")
    return (
        waiting.filter(may)
        .exclude(requested_by__in=own)
        .exclude(version__created_by__in=own)
        .exclude(version__run_id__in=Run.objects.filter(created_by__in=own).values("pk"))
        .exclude(approvals__by=reader)
    )


def _groups(reader: User) -> dict[str, list[Any]]:
    """The groups and roles of this person, with the namespaces in which they hold them."""
    found: dict[str, list[Any]] = {}
    for group, namespace in RoleGroup.objects.filter(group__user=reader).values_list("role", "namespace"):
        found.setdefault(group, []).append(namespace)
    return found


def _designated(reader: User) -> Any:
    return RegisteredModelGroupPermission.objects.filter(
        group__user=reader, permission__codename="model.review"
    ).values("content_object_id")
