"""Bytes that nobody needs: condemned, kept for a grace, then removed. What a dry run tells is what a run does.

A blob is needed while a manifest that is not released names it, and claimed while an upload that can still be
registered, or is being published, brings it, or while something above has it in its hands (`BLOB_CLAIMS`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from registry.artifacts import storage
from registry.artifacts.alone import alone
from registry.artifacts.quarantine import try_lock_contents
from registry.journal import record
from registry.journal.record import Place
from registry.models import SYSTEM, Artifact, Blob, ModelVersion, Tier, Upload, UploadFile

logger = logging.getLogger(__name__)
STORE = Place("store", "the object store")
# What is decided in one transaction, under as many locks.
AT_ONCE = 200
SIDE_BY_SIDE = 8
# What one run takes on of each kind; the next goes on.
MOST = 100_000
DIGEST = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Stray:
    """An object that is not where the registry keeps its bytes: of an attempt that was cut short."""

    tier: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Plan:
    """What a run does now: digests with their sizes in bytes, and objects."""

    collect: Mapping[str, int]
    strays: Sequence[Stray]
    condemn: Mapping[str, int]

    def told(self) -> dict[str, dict[str, int]]:
        """How much that is, as people are told."""
        return {
            "collect": {"blobs": len(self.collect), "bytes": sum(self.collect.values())},
            "strays": {"objects": len(self.strays), "bytes": sum(stray.size for stray in self.strays)},
            "condemn": {"blobs": len(self.condemn), "bytes": sum(self.condemn.values())},
        }


def grace() -> timedelta:
    """How long bytes are kept after they were condemned, and objects that nobody knows after they were written."""
    return timedelta(seconds=settings.GARBAGE_GRACE_SECONDS)


def plan(now: datetime | None = None) -> Plan:
    """What a run at this time would do. Raises StoreUnavailable."""
    now = now or timezone.now()
    return Plan(
        collect=dict(_due(now).order_by("condemned_at", "pk").values_list("pk", "size")[:MOST]),
        strays=[stray for _, stray in zip(range(MOST), _strays(now), strict=False)],
        condemn=dict(_unneeded(now).filter(state=Blob.State.LIVE).values_list("pk", "size")[:MOST]),
    )


def collect_garbage(now: datetime | None = None) -> Plan | None:
    """Do what the plan says, and tell what was done: less, where something is needed or worked on by now.

    Condemning comes last, so that every blob is looked at by two runs before it goes. None: somebody else is at
    it. Raises StoreUnavailable; what was done until then stays done.
    """
    now = now or timezone.now()
    with alone("garbage") as first:
        if not first:
            return None
        planned = plan(now)
        done = Plan(
            collect=_joined(_collect(some, now) for some in _batches(planned.collect)),
            strays=[stray for some in _batches(planned.strays) for stray in _remove(some, now)],
            condemn=_joined(_condemn(some, now) for some in _batches(planned.condemn)),
        )
    if any(map(len, (done.collect, done.strays, done.condemn))):
        logger.info("garbage: %s", done.told())
    return done


# ---- what is needed, and what is claimed


def _unneeded(now: datetime) -> QuerySet[Blob]:
    """Blobs that no manifest needs and nobody claims."""
    needed = Artifact.objects.filter(blob=OuterRef("pk"), manifest__released_at=None)
    rows = Blob.objects.filter(~Exists(needed))
    for claims in _claims(now):
        rows = rows.filter(~Exists(claims(OuterRef("pk"))))
    return rows


def _due(now: datetime) -> QuerySet[Blob]:
    return _unneeded(now).filter(state=Blob.State.CONDEMNED, condemned_at__lte=now - grace())


def _claims(now: datetime) -> list[Callable[[Any], QuerySet[Any]]]:
    """Each gives the rows that claim a digest."""
    above: list[Callable[[Any], QuerySet[Any]]] = [import_string(name) for name in settings.BLOB_CLAIMS]
    return [lambda sha256: _coming(now).filter(sha256=sha256), *above]


def _coming(now: datetime) -> QuerySet[UploadFile]:
    """Files that may still become a version's."""
    can_be_registered = Q(upload__state=Upload.State.OPEN, upload__expires_at__gt=now)
    being_published = Q(upload__manifest__versions__status=ModelVersion.Status.VERIFYING)
    return UploadFile.objects.filter(can_be_registered | being_published)


# ---- what is done


def _condemn(digests: Sequence[str], now: datetime) -> dict[str, int]:
    """Begin the grace. Publishing asks for live rows under the same locks: it takes them first, or sees this."""
    with transaction.atomic():
        rows = Blob.objects.select_for_update(skip_locked=True).filter(pk__in=digests, state=Blob.State.LIVE)
        locked = list(rows.order_by("pk").values_list("pk", flat=True))
        # Asked again when they are locked: what was sealed meanwhile is seen by this statement.
        still = dict(_unneeded(now).filter(pk__in=locked).values_list("pk", "size"))
        Blob.objects.filter(pk__in=still).update(state=Blob.State.CONDEMNED, condemned_at=now)
        _tell("garbage.condemned", still)
    return still


def _collect(digests: Sequence[str], now: datetime) -> dict[str, int]:
    """Remove objects, then say so. Killed in between, the blobs are condemned, which nobody is served from or
    builds upon, and the next run does it again; the other way round the objects would be nobody's."""
    with transaction.atomic():
        free = try_lock_contents(digests)
        rows = Blob.objects.select_for_update().filter(pk__in=free, state=Blob.State.CONDEMNED)
        locked = list(rows.order_by("pk").values_list("pk", flat=True))
        due = dict(_due(now).filter(pk__in=locked).values_list("pk", "size"))
        _delete((tier, sha256) for sha256 in due for tier in Tier.values)
        Blob.objects.filter(pk__in=due).update(state=Blob.State.GONE)
        _tell("garbage.collected", due)
    return due


def _remove(strays: Sequence[Stray], now: datetime) -> list[Stray]:
    with transaction.atomic():
        free = set(try_lock_contents({stray.sha256 for stray in strays}))
        astray = _dispensable(_astray([stray for stray in strays if stray.sha256 in free], now))
        _delete((stray.tier, stray.sha256) for stray in astray)
        _tell("garbage.swept", {stray.sha256: stray.size for stray in astray})
    return astray


def _delete(objects: Iterable[tuple[str, str]]) -> None:
    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE, thread_name_prefix="garbage") as pool:
        jobs = [
            pool.submit(storage.bucket(tier).delete, storage.content_key(sha256)) for tier, sha256 in objects
        ]
        for job in jobs:
            job.result()


def _tell(event: str, blobs: Mapping[str, int]) -> None:
    if blobs:
        after = {"blobs": len(blobs), "bytes": sum(blobs.values()), "sha256": sorted(blobs)}
        record(event, subject=STORE, by=SYSTEM, namespace=None, after=after)


# ---- objects that no row accounts for


def _strays(now: datetime) -> Iterator[Stray]:
    """Objects that were written before the grace began and that no row, or another place, stands for."""
    prefix = storage.content_prefix()
    for tier in Tier.values:
        for page in storage.bucket(tier).pages(prefix):
            old = [
                Stray(tier, match[1], size)
                for key, size, written in page
                if written <= now - grace() and (match := DIGEST.fullmatch(key.removeprefix(prefix)))
            ]
            yield from _astray(old, now)


def _astray(found: Sequence[Stray], now: datetime) -> list[Stray]:
    """Those that are nobody's: unknown, of a blob that is gone, or a second copy of one that is sound elsewhere."""
    digests = {stray.sha256 for stray in found}
    rows = Blob.objects.filter(pk__in=digests)
    known = dict(rows.values_list("pk", "state"))
    for claims in _claims(now)[1:]:
        rows = rows.filter(~Exists(claims(OuterRef("pk"))))
    settled = rows.filter(state=Blob.State.LIVE, quarantined_at=None)
    kept = dict(settled.values_list("pk", "tier"))
    claimed = set(_coming(now).filter(sha256__in=digests).values_list("sha256", flat=True))
    return [
        stray
        for stray in found
        if stray.sha256 not in claimed
        and (
            known.get(stray.sha256, Blob.State.GONE) == Blob.State.GONE
            or kept.get(stray.sha256, stray.tier) != stray.tier
        )
    ]


def _dispensable(astray: Sequence[Stray]) -> list[Stray]:
    """Without second copies of what is not in its own place as it should be."""
    digests = [stray.sha256 for stray in astray]
    kept = (
        Blob.objects.filter(pk__in=digests).exclude(state=Blob.State.GONE).values_list("pk", "tier", "size")
    )
    lost = {
        sha256
        for sha256, tier, size in kept
        if (there := storage.bucket(tier).head(storage.content_key(sha256))) is None or there.size != size
    }
    return [stray for stray in astray if stray.sha256 not in lost]


def _joined(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return {sha256: size for part in parts for sha256, size in part.items()}


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    listed = list(items)
    yield from (listed[start : start + AT_ONCE] for start in range(0, len(listed), AT_ONCE))
