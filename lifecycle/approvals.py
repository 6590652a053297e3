"""Who may decide on a promotion, whose approval counts for what, and what is still wanted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, QuerySet

from lifecycle.models import Approval, Promotion
from registry.models import (
    NamespaceGroupPermission,
    Principal,
    RegisteredModelGroupPermission,
    RoleGroup,
    User,
)
from registry.models.visibility import permission_id
from registry.permissions import can, is_designated_reviewer, is_in_group
from registry.roles import DESIGNATED, Permission


@dataclass(frozen=True)
class Tally:
    """The approvals that stand beside those that are asked. `wanted` names groups, and how many of each are missing."""

    given: int
    asked: int
    wanted: tuple[tuple[str, int], ...] = ()

    @property
    def complete(self) -> bool:
        return self.given >= self.asked and not self.wanted

    @property
    def sentence(self) -> str:
        """As "1 of 2; still wanted: risk (1)"."""
        told = f"{self.given} of {self.asked}"
        if self.wanted:
            more = self.asked - self.given - sum(count for _, count in self.wanted)
            names = [f"{name} ({count})" for name, count in self.wanted]
            told += f"; still wanted: {', '.join([*names, *([f'{more} more'] if more > 0 else [])])}"
        return told


@dataclass(frozen=True)
class Approver:
    """Somebody, and what their approval of a promotion counts for."""

    groups: frozenset[str]
    decides: bool

    def counts(self, asked: dict[str, Any]) -> bool:
        """Whether it counts at all, where the policy asks for this."""
        by_designation = DESIGNATED in self.groups and asked.get("designated_reviewers", True)
        return self.decides or bool(by_designation) or bool(self.groups & set(groups_of(asked)))


def groups_of(asked: dict[str, Any]) -> dict[str, int]:
    """The groups that a policy's approvals name, and how many people of each."""
    return {listed["group"]: listed["count"] for listed in asked.get("groups", [])}


def told_apart(rows: QuerySet[Approval]) -> QuerySet[Approval]:
    """The approvals with what those who gave them hold now: `held` (roles and groups), `reviews`, `decides`."""
    model, namespace = "promotion__version__model", "promotion__version__model__namespace"
    groups = RoleGroup.objects.filter(namespace=OuterRef(namespace), group__user=OuterRef("by"))
    reviews = RegisteredModelGroupPermission.objects.filter(
        content_object=OuterRef(model), group__user=OuterRef("by"), permission__codename="model.review"
    )
    decides = NamespaceGroupPermission.objects.filter(
        content_object=OuterRef(namespace),
        group__user=OuterRef("by"),
        permission_id=permission_id(Permission.PROMOTION_DECIDE),
    )
    return rows.select_related("by").annotate(
        held=ArraySubquery(groups.values("role")), reviews=Exists(reviews), decides=Exists(decides)
    )


def approver_of(row: Any) -> Approver:
    """From a row of `told_apart`."""
    groups = frozenset(row.held) | ({DESIGNATED} if row.reviews else frozenset())
    return Approver(groups, row.decides or row.by.is_superuser)


def approver(user: User, promotion: Promotion) -> Approver:
    """What this person's approval would count for."""
    model, who = promotion.version.model, Principal(user=user)
    held = RoleGroup.objects.filter(namespace=model.namespace_id, group__user=user.pk)
    groups = frozenset(held.values_list("role", flat=True))
    if is_designated_reviewer(who, model):
        groups |= {DESIGNATED}
    return Approver(groups, can(who, Permission.PROMOTION_DECIDE, model.namespace_id))


def tally(
    promotion: Promotion, rows: Iterable[Approval] | None = None, more: tuple[Approver, ...] = ()
) -> Tally:
    """What is given to that which is shown now, by people who still may give it, and what is missing.

    `rows` are the promotion's approvals as `told_apart` gives them, where somebody has them already; `more` are
    people who have not approved yet, as if they had.
    """
    asked = promotion.policy_snapshot["approvals"]
    if rows is None:
        rows = told_apart(Approval.objects.filter(promotion=promotion))
    given = [
        approver_of(row)
        for row in rows
        if row.verdict == Approval.Verdict.APPROVE
        and row.binding == promotion.binding
        and row.by.is_active
        and not row.by.is_service
    ]
    standing = [each for each in (*given, *more) if each.counts(asked)]
    return Tally(len(standing), asked["count"], _unfilled(standing, groups_of(asked)))


def _unfilled(people: list[Approver], asked: dict[str, int]) -> tuple[tuple[str, int], ...]:
    """The groups that are not full when everybody stands for one group at most, so that as many as can be are."""
    places = [name for name, count in asked.items() for _ in range(count)]
    taken: dict[int, int] = {}

    def seat(person: int, tried: set[int]) -> bool:
        for place, name in enumerate(places):
            if name in people[person].groups and place not in tried:
                tried.add(place)
                if place not in taken or seat(taken[place], tried):
                    taken[place] = person
                    return True
        return False

    for person in range(len(people)):
        seat(person, set())
    free = [name for place, name in enumerate(places) if place not in taken]
    return tuple((name, free.count(name)) for name in asked if name in free)


def may_decide(by: Principal, promotion: Promotion) -> bool:
    """Whether they hold the right in the namespace, are designated on the model where that counts, or are in a group
    that the policy names. Whose own request it is, is another question."""
    model, asked = promotion.version.model, promotion.policy_snapshot["approvals"]
    if can(by, Permission.PROMOTION_DECIDE, model.namespace_id):
        return True
    if asked.get("designated_reviewers", True) and is_designated_reviewer(by, model):
        return True
    return is_in_group(by, model, groups_of(asked))
