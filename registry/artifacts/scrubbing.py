"""The scrub: every blob is read again within a period, the least recently read first, no faster than is allowed."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from registry.artifacts import storage
from registry.artifacts.alone import alone
from registry.artifacts.garbage import STORE
from registry.artifacts.hashing import read_small
from registry.artifacts.scrub import Reading, Verdict, read_again
from registry.artifacts.storage import MIB
from registry.journal import record
from registry.models import SYSTEM, Blob

logger = logging.getLogger(__name__)
# Beat starts a run every hour; it ends in time for the next.
EVERY = timedelta(hours=1)
MOST_SECONDS = 50 * 60
# Of a period's share the blobs older than half of it are read, a share a run; what is nearly due is read in any case.
FROM, DUE = 0.5, 0.85
SMALL, SIDE_BY_SIDE = MIB, 8
# How many are read before it is written down that they were.
AT_ONCE = 200


@dataclass
class Told:
    """What a run did: blobs and bytes read, and what was found of them; `new` is what was not known before."""

    read: int = 0
    bytes: int = 0
    missing: int = 0
    corrupt: int = 0
    healed: int = 0
    new: int = 0

    @property
    def bad(self) -> int:
        return self.missing + self.corrupt

    def add(self, reading: Reading, size: int) -> None:
        self.read += 1
        self.bytes += size
        self.missing += reading.verdict == Verdict.MISSING
        self.corrupt += reading.verdict == Verdict.CORRUPT
        self.healed += reading.verdict == Verdict.HEALED
        self.new += reading.new

    def counts(self) -> dict[str, int]:
        names = ("read", "bytes", "missing", "corrupt", "healed", "new")
        return {name: getattr(self, name) for name in names}


@dataclass
class Pace:
    """Lets bytes pass at a rate, in bytes a second; at 0, at any. Several threads may share one."""

    rate: float
    _free_at: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, count: int) -> None:
        """Wait as long as `count` bytes take."""
        if not self.rate:
            return
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + count / self.rate
            wait = self._free_at - time.monotonic()
        if wait > 0:
            time.sleep(wait)


def period() -> timedelta:
    """Within which every blob is read."""
    return timedelta(seconds=settings.SCRUB_PERIOD_SECONDS)


def scrub(*, most: int | None = None) -> Told | None:
    """Read again what was not read for longest: this run's share of all, and what is nearly due.

    None: somebody else is at it. Raises StoreUnavailable; what was read until then stays read.
    """
    with alone("scrub") as first:
        if not first:
            return None
        told, ends = Told(), time.monotonic() + MOST_SECONDS
        pace = Pace(settings.SCRUB_MIB_PER_SECOND * MIB)
        try:
            for batch in _batches(_due(timezone.now(), most)):
                _read(batch, pace, told)
                if time.monotonic() > ends:
                    logger.warning(
                        "scrub: not all that is due was read; ASSAY_SCRUB_MIB_PER_SECOND allows no more"
                    )
                    break
        finally:
            _tell(told)
    return told


def _due(now: datetime, most: int | None) -> list[tuple[str, str, int]]:
    """(digest, tier, size) of what this run reads, oldest first."""
    live = Blob.objects.filter(state=Blob.State.LIVE)
    never = Q(verified_at=None)
    overdue = live.filter(never | Q(verified_at__lte=now - period() * DUE)).count()
    old = live.filter(never | Q(verified_at__lte=now - period() * FROM))
    whole = live.aggregate(blobs=Count("pk"), bytes=Sum("size", default=0))
    share = EVERY / (period() * DUE)
    blobs, size = max(overdue, whole["blobs"] * share), whole["bytes"] * share
    due: list[tuple[str, str, int]] = []
    ordered = old.order_by(F("verified_at").asc(nulls_first=True), "pk").values_list("pk", "tier", "size")
    for sha256, tier, bytes_ in ordered[: most if most is not None else None].iterator():
        if len(due) >= overdue and (len(due) >= blobs or size <= 0):
            break
        due.append((sha256, tier, bytes_))
        size -= bytes_
    return due


def _batches(due: Sequence[tuple[str, str, int]]) -> Iterator[list[tuple[str, str, int]]]:
    yield from (list(due[start : start + AT_ONCE]) for start in range(0, len(due), AT_ONCE))


def _read(batch: Sequence[tuple[str, str, int]], pace: Pace, told: Told) -> None:
    """Small ones side by side, large ones one after another. What is sound is written down in one statement, for
    it changes nothing else; everything else is read once more, under its lock."""
    began = timezone.now()
    small = [each for each in batch if each[2] <= SMALL]
    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE, thread_name_prefix="scrub") as pool:
        found = list(pool.map(lambda each: _is_sound(each, pace), small))
    sizes = {sha256: size for sha256, _, size in batch}
    sound = {sha256: tier for (sha256, tier, _), right in zip(small, found, strict=True) if right}
    with transaction.atomic():
        marked = [
            sha256
            for sha256, tier in Blob.objects.select_for_update(no_key=True)
            .filter(pk__in=sound, state=Blob.State.LIVE, quarantined_at=None)
            .order_by("pk")
            .values_list("pk", "tier")
            if sound[sha256] == tier
        ]
        Blob.objects.filter(pk__in=marked).update(verified_at=began)
    for sha256 in marked:
        told.add(Reading(Verdict.SOUND), sizes[sha256])
    for sha256 in sorted(set(sizes) - set(marked)):
        reading = read_again(sha256, pace)
        if reading.verdict != Verdict.UNKEPT:
            told.add(reading, sizes[sha256])


def _is_sound(blob: tuple[str, str, int], pace: Pace) -> bool:
    """Whether a small object is what its digest says. Raises StoreUnavailable."""
    sha256, tier, size = blob
    try:
        content = read_small(storage.bucket(tier), storage.content_key(sha256), size)
    except storage.ObjectMissing:
        return False
    pace(len(content))
    return hashlib.sha256(content).hexdigest() == sha256


def _tell(told: Told) -> None:
    """One event for a run that found something; a line in the log for one that read something."""
    if told.bad:
        logger.error("scrub: %s", told.counts())
    elif told.read:
        logger.info("scrub: %s", told.counts())
    if told.new:
        with transaction.atomic():
            record("scrub.found", subject=STORE, by=SYSTEM, namespace=None, after=told.counts())
