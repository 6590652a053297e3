"""Whether a version may be deleted, and what its deletion frees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Sum

from lifecycle.models import OPEN, Deployment, LegalHold, Promotion, TierMove
from lineage.models import Edge, LoggedModel, Run
from registry.models import Alias, Artifact, Blob, ModelVersion, Principal, Stage

LIVING = (ModelVersion.Status.PENDING, ModelVersion.Status.VERIFYING, ModelVersion.Status.READY)


@dataclass(frozen=True)
class Freed:
    """Stored bytes that nobody needs once the version is deleted."""

    blobs: int
    bytes: int


def referrers(version: ModelVersion, by: Principal) -> list[str]:
    """A sentence for everything that stands against deleting the version; versions that `by` may not see are
    counted, not named."""
    return [
        *_its_own_state(version),
        *(
            f"The alias {name} points at it: move the alias, or take it away."
            for name in Alias.objects.filter(version=version, protected=False)
            .order_by("name")
            .values_list("name", flat=True)
        ),
        *(
            f"It is under a legal hold since {hold.placed_at:%Y-%m-%d} ({hold.placed_by.get_username()}): "
            f"{hold.reason.rstrip('.')}. Two people can lift that (assay hold lift {hold.pk})."
            for hold in LegalHold.objects.filter(version=version, lifted_at=None)
            .select_related("placed_by")
            .order_by("placed_at", "pk")
        ),
        *(
            f"A promotion of it to {promotion.target} is open ({promotion.get_state_display().lower()}): "
            "withdraw it, or let it end."
            for promotion in Promotion.objects.filter(version=version, state__in=OPEN).order_by("pk")
        ),
        *(
            f"It is reported to run at {target}: take it away there, and say so (assay undeployed)."
            for target in Deployment.objects.filter(version=version, removed_at=None)
            .order_by("target")
            .values_list("target", flat=True)
        ),
        *_based_on_it(version, by),
    ]


def _its_own_state(version: ModelVersion) -> Iterator[str]:
    if version.status in (ModelVersion.Status.PENDING, ModelVersion.Status.VERIFYING):
        yield f"It is {version.status}: wait until it is ready, or has failed."
    if version.stage == Stage.PRODUCTION:
        yield "It is in production: promote another version, or suspend it."
    if version.stage == Stage.STAGING:
        yield "It is in staging: demote or deprecate it."
    moving = TierMove.objects.filter(
        blob__artifacts__manifest=version.manifest_id, state=TierMove.State.COPYING
    )
    if count := moving.values("blob").distinct().count():
        yield f"Bytes of it are being moved between the hot and the cold location ({count} of its blobs): wait."


def _based_on_it(version: ModelVersion, by: Principal) -> Iterator[str]:
    edges = Edge.objects.filter(from_node=version.pk, role=Edge.Role.BASE)
    based = ModelVersion.objects.filter(pk__in=edges.values("to_node"), status__in=LIVING)
    seen = based.visible_to(by).select_related("model__namespace")
    named = [row.reference for row in seen.order_by("model__name", "number")]
    for reference in named:
        yield f"{reference} is based on it."
    if hidden := based.count() - len(named):
        what = (
            "1 version that you cannot see is"
            if hidden == 1
            else f"{hidden} versions that you cannot see are"
        )
        yield f"{what} based on it."


def is_needed_otherwise(version: ModelVersion) -> bool:
    """Whether the version's manifest is also another version's, a run's or a logged model's."""
    manifest = version.manifest_id
    others = ModelVersion.objects.filter(manifest=manifest, status__in=LIVING).exclude(pk=version.pk)
    return (
        others.exists()
        or Run.objects.filter(manifest=manifest).exists()
        or LoggedModel.objects.filter(manifest=manifest).exists()
    )


def freed_by(version: ModelVersion) -> Freed:
    """What the store need not keep any more when this version is deleted now."""
    if version.status == ModelVersion.Status.DELETED or is_needed_otherwise(version):
        return Freed(0, 0)
    elsewhere = Artifact.objects.filter(blob=OuterRef("pk"), manifest__released_at=None).exclude(
        manifest=version.manifest_id
    )
    own = Artifact.objects.filter(blob=OuterRef("pk"), manifest=version.manifest_id)
    told = Blob.objects.filter(Exists(own), ~Exists(elsewhere)).aggregate(
        blobs=Count("pk"), bytes=Sum("size", default=0)
    )
    return Freed(**told)
