"""What lies on the desk: what waits for this person, what waits for others, what has been decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from lifecycle.api.shows import promotion_rows
from lifecycle.dossier.matters import (
    Matter,
    Trouble,
    count_matters,
    made_by,
    matters,
    open_reviews,
    own_accounts,
    troubles,
)
from lifecycle.gates.reviews import Clock
from lifecycle.models import OPEN, BreakGlass, Promotion, State
from lifecycle.revalidation import overdue
from registry.models import Principal, RegisteredModelGroupPermission, RoleGroup, User
from registry.models.visibility import namespaces_where
from registry.roles import DESIGNATED, Permission

MOST = 100
DECIDED = 15
# Among how many of the newest requests, and of how long, the newest decisions are looked for.
ASKED = 200
RECENT = timedelta(days=90)
SOON = timedelta(days=1)


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
    # Waivers, drafts of policies, holds to lift, and roles that take two.
    matters: list[Matter]
    # What runs otherwise than approved, and webhooks that nothing reaches.
    troubles: list[Trouble]
    # Models in production that have to be validated again.
    validations: list[Clock]

    @property
    def my_matters(self) -> list[Matter]:
        return [each for each in self.matters if each.mine]

    @property
    def other_matters(self) -> list[Matter]:
        return [each for each in self.matters if not each.mine]


def inbox(principal: Principal) -> Inbox:
    """The desk of this person, in a constant number of queries, but for overdue validations, which are rare."""
    now = timezone.now()
    seen = _seen(principal)
    waiting = seen.filter(state=State.AWAITING_APPROVAL).order_by("requested_at", "pk")
    mine = _told(_for(principal, waiting), now)
    return Inbox(
        mine=mine,
        others=_told(waiting.exclude(pk__in=[row.pk for row in mine]), now),
        evaluating=list(seen.filter(state=State.EVALUATING).order_by("requested_at", "pk")[:MOST]),
        decided=_decided(principal, seen, now),
        reviews=[
            Review(row, overdue=row.due_at <= now, mine=row.mine) for row in open_reviews(principal)[:MOST]
        ],
        matters=matters(principal, now),
        troubles=troubles(principal, now),
        validations=overdue(principal, now, MOST),
    )


def count_waiting(principal: Principal) -> int:
    """How many promotions and other matters wait for this person, in seven queries."""
    rows = Promotion.objects.visible_to(principal).filter(state=State.AWAITING_APPROVAL)
    return _for(principal, rows).count() + count_matters(principal, timezone.now())


def _told(rows: QuerySet[Promotion], now: datetime) -> list[Promotion]:
    """The first of them, each with `ends_soon`: whether it expires within a day."""
    found: list[Any] = list(rows[:MOST])
    for row in found:
        row.ends_soon = row.expires_at is not None and row.expires_at - now < SOON
    return found


def _decided(principal: Principal, seen: QuerySet[Promotion], now: datetime) -> list[Promotion]:
    """What was decided last, of what was asked last: as requests expire, the one is among the other, and what was ever
    decided need not be sorted. The two queries keep what `seen` tells of a row from being found out for all."""
    asked = Promotion.objects.visible_to(principal).filter(requested_at__gte=now - RECENT)
    closed = asked.exclude(state__in=OPEN).exclude(decided_at=None)
    last = closed.order_by("-requested_at", "-pk").values_list("pk", "decided_at")[:ASKED]
    newest = sorted(last, key=lambda row: row[1] or now, reverse=True)[:DECIDED]
    rows = seen.filter(pk__in=[pk for pk, _ in newest])
    return sorted(rows, key=lambda row: (row.decided_at or now, row.pk), reverse=True)


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
    own = own_accounts(reader)
    return (
        waiting.filter(may)
        .exclude(requested_by__in=own)
        .exclude(made_by(own, "version"))
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
