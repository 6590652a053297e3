"""What waits for people beside promotions: waivers, drafts of policies, legal holds to lift and roles that take two, on
which somebody else decides; and what runs or is told in another way than it should be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Case, Exists, OuterRef, Q, QuerySet, When
from django.urls import reverse

from lifecycle import holds
from lifecycle.models import BreakGlass, Deployment, GateResult, Policy, Waiver
from lineage.models import Run
from registry.actions.grants import waiting as waiting_grants
from registry.journal.trouble import TOLD_AFTER
from registry.models import Principal, Stage, User, Webhook
from registry.models.visibility import namespaces_where
from registry.roles import Permission

MOST = 100


@dataclass(frozen=True)
class Matter:
    """A line on the desk. `mine`: the reader may decide on it; `at` is since when it waits."""

    kind: str
    title: str
    to: str
    sentence: str
    by: str
    at: datetime
    tier: str
    address: str
    action: str
    mine: bool


@dataclass(frozen=True)
class Trouble:
    """What is not as it should be, in a sentence, and since when."""

    title: str
    kinds: list[str]
    sentence: str
    since: datetime | None
    address: str


def own_accounts(reader: User) -> QuerySet[Any]:
    """The ids of a person's account and of the service accounts that they answer for."""
    return User.objects.filter(Q(pk=reader.pk) | Q(owner=reader.pk)).values("pk")


def made_by(own: Any, version: str) -> Q:
    """Whether the version at the end of that path was made or trained by one of these accounts."""
    trained = Run.objects.filter(created_by__in=own).values("pk")
    return Q(**{f"{version}__created_by__in": own}) | Q(**{f"{version}__run_id__in": trained})


def open_waivers(principal: Principal, now: datetime) -> QuerySet[Any]:
    """The waivers that somebody may still grant, the oldest first, each with `mine`: the rules of `decide_waiver`."""
    reader, promotion = principal.account, "result__promotion"
    own = own_accounts(reader)
    may = Q(
        **{
            f"{promotion}__version__model__namespace__in": namespaces_where(
                principal, Permission.PROMOTION_DECIDE
            )
        }
    )
    theirs = Q(by__in=own) | Q(**{f"{promotion}__requested_by__in": own})
    newer = GateResult.objects.filter(
        promotion=OuterRef("result__promotion"), key=OuterRef("result__key"), pk__gt=OuterRef("result")
    )
    rows = Waiver.objects.visible_to(principal).filter(decision=None, until__gt=now)
    return (
        _marked(rows, may, theirs | made_by(own, f"{promotion}__version"), reader)
        .exclude(Exists(newer))
        .select_related("result__promotion__version__model__namespace", "by")
        .order_by("at", "pk")
    )


def open_drafts(principal: Principal) -> QuerySet[Any]:
    """The drafts of policies that wait to be published, the oldest first, each with `mine`: the rules of
    `publish_policy`."""
    reader = principal.account
    may = Q(namespace__in=namespaces_where(principal, Permission.POLICY_PUBLISH))
    own = Q(target=Stage.PRODUCTION, created_by__in=own_accounts(reader))
    rows = Policy.objects.visible_to(principal).filter(state=Policy.State.DRAFT)
    return (
        _marked(rows, may, own, reader)
        .select_related("namespace", "model__namespace", "created_by")
        .order_by("created_at", "pk")
    )


def open_reviews(principal: Principal) -> QuerySet[Any]:
    """Broken glass that nobody has reviewed, what is due first first, each with `mine`: the rules of
    `check_can_review`."""
    reader, namespace = principal.account, "promotion__version__model__namespace__in"
    own = own_accounts(reader)
    may = Q(**{namespace: namespaces_where(principal, Permission.PROMOTION_DECIDE)}) | Q(
        **{namespace: namespaces_where(principal, Permission.JOURNAL_VERIFY)}
    )
    theirs = Q(by__in=own) | Q(promotion__requested_by__in=own) | made_by(own, "promotion__version")
    rows = BreakGlass.objects.visible_to(principal).filter(reviewed_at=None)
    return (
        _marked(rows, may, theirs, reader)
        .select_related("promotion__version__model__namespace", "promotion__requested_by", "by")
        .order_by("due_at", "pk")
    )


def open_lifts(principal: Principal) -> QuerySet[Any]:
    """That legal holds be lifted, the oldest first, each with `mine`: the rules of `check_can_decide`."""
    reader = principal.account
    may = Q(hold__version__model__namespace__in=namespaces_where(principal, Permission.HOLD_DECIDE))
    rows = holds.waiting().filter(may)
    return _marked(rows, may, Q(by__in=own_accounts(reader)), reader)


def open_grants(principal: Principal) -> QuerySet[Any]:
    """The roles that were asked for and take two, the oldest first, each with `mine`: the rules of `confirm_grant`."""
    reader = principal.account
    may = Q(namespace__in=namespaces_where(principal, Permission.ROLE_CONFIRM))
    own = own_accounts(reader)
    return _marked(waiting_grants().filter(may), may, Q(asked_by__in=own) | Q(user__in=own), reader)


def matters(principal: Principal, now: datetime) -> list[Matter]:
    """What waits for somebody's decision and is no promotion, as far as the reader sees it. Four queries."""
    found = [_of_waiver(row) for row in open_waivers(principal, now)[:MOST]]
    found += [_of_draft(row) for row in open_drafts(principal)[:MOST]]
    found += [_of_lift(row) for row in open_lifts(principal)[:MOST]]
    found += [_of_grant(row) for row in open_grants(principal)[:MOST]]
    return sorted(found, key=lambda each: each.at)


def count_matters(principal: Principal, now: datetime) -> int:
    """How many of them, and how many reviews of broken glass, wait for this person. Five queries."""
    lists = (
        open_waivers(principal, now),
        open_drafts(principal),
        open_reviews(principal),
        open_lifts(principal),
        open_grants(principal),
    )
    return sum(rows.filter(mine=True).count() for rows in lists)


def troubles(principal: Principal, now: datetime) -> list[Trouble]:
    """Targets that run what they must not, the longest first, and webhooks that nothing reaches. Two queries."""
    wrong = Deployment.objects.visible_to(principal).filter(drifted_at__isnull=False, removed_at=None)
    hooks = Webhook.objects.filter(
        namespace__in=namespaces_where(principal, Permission.WEBHOOK_EDIT),
        active=True,
        deleted_at=None,
        failing_since__lte=now - TOLD_AFTER,
    )
    return [*_drifted(wrong.select_related("model__namespace").order_by("drifted_at", "pk")[:MOST])] + [
        Trouble(
            title=f"Webhook {hook.reference}",
            kinds=["failing"],
            sentence="Nothing reaches it: what it was to be told waits, and is given up after the schedule.",
            since=hook.failing_since,
            address=reverse("admin:registry_webhook_change", args=[hook.pk]),
        )
        for hook in hooks.select_related("namespace").order_by("failing_since", "pk")[:MOST]
    ]


def _drifted(rows: Iterable[Deployment]) -> Iterable[Trouble]:
    for row in rows:
        yield Trouble(
            title=f"{row.target}, {row.model}",
            kinds=row.drift,
            sentence=row.drift_sentence,
            since=row.drifted_at,
            address=reverse("admin:lifecycle_deployment_change", args=[row.pk]),
        )


def _marked(rows: QuerySet[Any], may: Q, own: Q, reader: User) -> QuerySet[Any]:
    """The rows with `mine`: the reader holds the right, is a person, and it is not their own."""
    if reader.is_service:
        may = Q(pk__in=[])
    # By two branches: what is unknown of a row (nobody made it) is not somebody's own.
    mine = Case(When(own, then=False), When(may, then=True), default=False, output_field=BooleanField())
    marked: QuerySet[Any] = rows.annotate(mine=mine)
    return marked


def _of_waiver(row: Any) -> Matter:
    promotion = row.result.promotion
    return Matter(
        kind="Waiver",
        title=promotion.version.reference,
        to=f"{promotion.target}, let {row.result.key} stand",
        sentence=row.reason,
        by=row.by.get_username(),
        at=row.at,
        tier=promotion.version.model.risk_tier,
        address=reverse("admin:lifecycle_waiver_change", args=[row.pk]),
        action="Decide",
        mine=row.mine,
    )


def _of_draft(row: Any) -> Matter:
    return Matter(
        kind="Policy",
        title=row.scope,
        to=f"{row.target}, revision {row.revision}",
        sentence=row.reason or "A draft that is not in force yet.",
        by=row.created_by.get_username() if row.created_by else "assay",
        at=row.created_at,
        tier=row.model.risk_tier if row.model else row.risk_tier,
        address=reverse("admin:lifecycle_policy_change", args=[row.pk]),
        action="Publish",
        mine=row.mine,
    )


def _of_lift(row: Any) -> Matter:
    version = row.hold.version
    return Matter(
        kind="Legal hold",
        title=version.reference,
        to=f"to be lifted, placed by {row.hold.placed_by.get_username()}",
        sentence=row.reason,
        by=row.by.get_username(),
        at=row.at,
        tier=version.model.risk_tier,
        address=reverse("admin:lifecycle_legalhold_change", args=[row.hold_id]),
        action="Decide",
        mine=row.mine,
    )


def _of_grant(row: Any) -> Matter:
    return Matter(
        kind="Role",
        title=row.user.get_username(),
        to=f"{row.role.replace('_', ' ')} in {row.namespace}",
        sentence=row.reason or "No reason was given.",
        by=row.asked_by.get_username(),
        at=row.asked_at,
        tier="",
        address=reverse("admin:registry_rolegrant_change", args=[row.pk]),
        action="Decide",
        mine=row.mine,
    )
