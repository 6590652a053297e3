"""What is in production, or was at a time: read from the moves between stages, which are never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry.models import ModelVersion, RegisteredModel, Stage, StageChange

VERSIONS = ModelVersion.objects.select_related("model__namespace", "manifest")


@dataclass(frozen=True)
class Approved:
    """The version in production. Without one, `since` is when the last one left, or None where there never was one;
    `promotion_id` is what brought it there."""

    version: ModelVersion | None = None
    since: datetime | None = None
    promotion_id: Any = None

    @property
    def digest(self) -> str:
        """The sha256 of its manifest in hex; "" where nothing is in production."""
        return (self.version.manifest.digest or "") if self.version else ""


def approved_at(model: RegisteredModel, at: datetime) -> Approved:
    """What was in production at a time."""
    been = StageChange.objects.filter(version__model=model, at__lte=at).order_by("-pk")
    entered = been.filter(to_stage=Stage.PRODUCTION).first()
    if entered is None:
        return Approved()
    left = been.filter(version=entered.version_id, from_stage=Stage.PRODUCTION, pk__gt=entered.pk).first()
    if left:
        return Approved(since=left.at)
    return Approved(VERSIONS.get(pk=entered.version_id), entered.at, entered.promotion_id)


def approved_now(models: Any) -> dict[Any, Approved]:
    """model id -> what is in production, for these models (ids, or a sub-select of them). Two queries."""
    moves = StageChange.objects.filter(version__model__in=models)
    moves = moves.filter(from_stage=Stage.PRODUCTION) | moves.filter(to_stage=Stage.PRODUCTION)
    newest = moves.order_by("version__model", "-pk").distinct("version__model").select_related("version")
    # A replaced version leaves in the same moment as its successor enters, and is written first.
    changed = {move.version.model_id: move for move in newest}
    there = {row.model_id: row for row in VERSIONS.filter(model__in=models, stage=Stage.PRODUCTION)}
    return {
        pk: Approved(there.get(pk), move.at, move.promotion_id if pk in there else None)
        for pk, move in changed.items()
    }
