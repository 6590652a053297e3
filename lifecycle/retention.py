"""Which bytes may be put away: the plan that a dry run shows is the plan that a run carries out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from lifecycle.models import OPEN, LegalHold, Promotion, RetentionPolicy, TierMove
from registry.models import Alias, Artifact, Blob, Manifest, ModelVersion, Namespace, Stage, StageChange, Tier

LIVING = (ModelVersion.Status.PENDING, ModelVersion.Status.VERIFYING, ModelVersion.Status.READY)
UNDER_WAY = (TierMove.State.COPYING, TierMove.State.MOVED)


@dataclass(frozen=True)
class Planned:
    """A version whose time has come, and the blobs that move for its sake (those shared are counted once)."""

    version: ModelVersion
    blobs: tuple[str, ...]
    size: int
    why: str


def policy_of(namespace: Namespace) -> RetentionPolicy:
    """The namespace's policy; without one, an unsaved default that is not enabled."""
    return RetentionPolicy.objects.filter(namespace=namespace).first() or RetentionPolicy(namespace=namespace)


def eligible(policy: RetentionPolicy, now: datetime) -> QuerySet[ModelVersion]:
    """The versions whose bytes need not be at hand, annotated with `since` when they are in their stage.

    Archived or deprecated for longer than the policy says; neither held, nor aliased, nor asked back by a
    promotion, nor brought back within that time, nor among the newest former productions of their model.
    """
    limit = now - timedelta(days=policy.after_days)
    staged_at = StageChange.objects.filter(version=OuterRef("pk")).order_by("-at", "-pk").values("at")[:1]
    of_version = {"version": OuterRef("pk")}
    return (
        ModelVersion.objects.filter(
            model__namespace=policy.namespace_id,
            status=ModelVersion.Status.READY,
            stage__in=[Stage.ARCHIVED, Stage.DEPRECATED],
        )
        .annotate(since=Coalesce(Subquery(staged_at), "created_at"))
        .filter(
            ~Exists(LegalHold.objects.filter(**of_version, lifted_at=None)),
            ~Exists(Alias.objects.filter(**of_version)),
            ~Exists(Promotion.objects.filter(**of_version, state__in=OPEN)),
            ~Exists(TierMove.objects.filter(**of_version, to_tier=Tier.HOT, created_at__gt=limit)),
            since__lte=limit,
        )
        .exclude(pk__in=_kept_former(policy))
    )


def _kept_former(policy: RetentionPolicy) -> list[UUID]:
    """Per model, the newest versions that were in production: what one rolls back to."""
    left = (
        StageChange.objects.filter(
            version__model__namespace=policy.namespace_id,
            version__stage=Stage.ARCHIVED,
            version__status=ModelVersion.Status.READY,
            from_stage=Stage.PRODUCTION,
        )
        .values("version_id", "version__model_id")
        .annotate(left_at=Max("pk"))
        .order_by("-left_at")
    )
    kept: list[UUID] = []
    counted: dict[UUID, int] = {}
    for row in left:
        model = row["version__model_id"]
        counted[model] = counted.get(model, 0) + 1
        if counted[model] <= policy.keep_former:
            kept.append(row["version_id"])
    return kept


def _idle_manifests(versions: Iterable[ModelVersion]) -> set[UUID]:
    """Manifests that only these versions are made of."""
    ids = {version.pk: version.manifest_id for version in versions}
    busy = (
        ModelVersion.objects.filter(manifest__in=set(ids.values()), status__in=LIVING)
        .exclude(pk__in=list(ids))
        .values_list("manifest_id", flat=True)
    )
    return set(ids.values()) - set(busy)


def moves_under_way(sha256: Any) -> QuerySet[TierMove]:
    """The moves that have the blob in their hands: neither of its copies is anybody else's to remove."""
    return TierMove.objects.filter(blob=sha256, state__in=UNDER_WAY)


def _movable(manifests: set[UUID]) -> QuerySet[Blob]:
    """Hot, sound blobs that no other manifest needs, of this namespace or another, and that do not move already."""
    needed = Artifact.objects.filter(blob=OuterRef("pk"), manifest__released_at=None)
    elsewhere = needed.exclude(manifest__in=manifests)
    moving = moves_under_way(OuterRef("pk"))
    return (
        Blob.objects.filter(
            ~Exists(elsewhere), ~Exists(moving), tier=Tier.HOT, state=Blob.State.LIVE, quarantined_at=None
        )
        .filter(artifacts__manifest__in=manifests)
        .distinct()
    )


def plan(policy: RetentionPolicy, now: datetime | None = None) -> list[Planned]:
    """What a run at this time puts away, longest archived first."""
    rows = eligible(policy, now or timezone.now()).select_related("model__namespace")
    versions = sorted(rows, key=lambda version: (_since(version), version.pk))
    manifests = _idle_manifests(versions)
    sizes = dict(_movable(manifests).values_list("pk", "size"))
    held: dict[UUID, list[str]] = {}
    for manifest, sha256 in Artifact.objects.filter(manifest__in=manifests, blob__in=list(sizes)).values_list(
        "manifest_id", "blob_id"
    ):
        held.setdefault(manifest, []).append(sha256)
    planned = []
    for version in versions:
        blobs = tuple(sorted(sha256 for sha256 in set(held.get(version.manifest_id, ())) if sha256 in sizes))
        if blobs:
            planned.append(
                Planned(version, blobs, sum(sizes.pop(sha256) for sha256 in blobs), _why(policy, version))
            )
    return planned


def _since(version: ModelVersion) -> datetime:
    """When it came to its stage, as `eligible` annotated it."""
    since: datetime = version.since  # type: ignore[attr-defined]
    return since


def _why(policy: RetentionPolicy, version: ModelVersion) -> str:
    return (
        f"{version.stage} since {_since(version):%Y-%m-%d}, at least {policy.after_days} days; neither held nor "
        f"aliased, and not among the newest {policy.keep_former} former productions"
    )


def start(policy: RetentionPolicy, now: datetime | None = None) -> tuple[list[Planned], list[TierMove]]:
    """Write down the moves of the plan. Within the caller's transaction; one run of a namespace at a time."""
    Namespace.objects.select_for_update(no_key=True).get(pk=policy.namespace_id)
    planned = plan(policy, now)
    moves = [
        TierMove(blob_id=sha256, version=each.version, to_tier=Tier.COLD)
        for each in planned
        for sha256 in each.blobs
    ]
    TierMove.objects.bulk_create(moves, batch_size=2000)
    return planned, moves


def may_go_cold(blob: Blob, now: datetime) -> bool:
    """Whether still nothing needs these bytes at hand. Asked again when the copy is there."""
    manifests = list(Manifest.objects.filter(artifacts__blob=blob, released_at=None).distinct())
    namespaces = {manifest.namespace_id for manifest in manifests}
    if len(namespaces) != 1 or blob.quarantined_at or blob.state != Blob.State.LIVE:
        return False
    policy = policy_of(manifests[0].namespace)
    versions = eligible(policy, now).filter(manifest__in=manifests)
    return _idle_manifests(versions) == {manifest.pk for manifest in manifests}


def bring_back(version: ModelVersion) -> list[TierMove]:
    """Write down the moves that restore the version's bytes. Within the caller's transaction.

    What is on its way to cold storage turns round; a hot copy that is still there is used again.
    """
    of_version = TierMove.objects.filter(blob__artifacts__manifest=version.manifest_id, state__in=UNDER_WAY)
    active = TierMove.objects.select_for_update().filter(pk__in=of_version.values("pk"))
    restoring = set()
    for move in active.order_by("pk"):
        if move.to_tier == Tier.HOT and move.state == TierMove.State.COPYING:
            restoring.add(move.blob_id)
            continue
        copying = move.state == TierMove.State.COPYING
        move.state = TierMove.State.FAILED if copying else TierMove.State.DONE
        move.error = "restored before it was finished"
        move.save(update_fields=["state", "error"])
    cold = Blob.objects.filter(artifacts__manifest=version.manifest_id, tier=Tier.COLD).distinct()
    moves = [
        TierMove(blob_id=sha256, version=version, to_tier=Tier.HOT)
        for sha256 in cold.order_by("pk").values_list("pk", flat=True)
        if sha256 not in restoring
    ]
    TierMove.objects.bulk_create(moves, batch_size=2000)
    return moves
