"""Scanning versions: each blob once by each release of the scanner, then what that says of the version.

Runs in a worker; the looking itself is done by a process that can do nothing else (`sandbox.py`). Bytes that
cannot be read now are left for another time: until then the version counts as not scanned by this release.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

from django.db import transaction

from registry.artifacts import sandbox, storage
from registry.artifacts.hashing import again
from registry.artifacts.heartbeat import working_on
from registry.artifacts.scanning import SCANNER
from registry.artifacts.scanning.report import WORSE, worst
from registry.journal import record
from registry.models import SYSTEM, Artifact, Blob, ModelVersion, Safety, ScanReport

logger = logging.getLogger(__name__)
MOST_TOLD = 50


class TurnOver(Exception):
    """The version's other files are looked into another time: others wait for the worker."""


class _CannotBeRead(Exception):
    """The bytes are gone or changing; who reads all of them says what they are."""


def unscanned(created_since: datetime | None = None) -> Iterator[UUID]:
    """The published versions that this release of the scanner has not judged, oldest first."""
    rows = ModelVersion.objects.filter(status=ModelVersion.Status.READY).exclude(scanned_with=SCANNER)
    if created_since is not None:
        rows = rows.filter(created_at__gte=created_since)
    return rows.order_by("created_at", "id").values_list("pk", flat=True).iterator()


def scan_version(version_id: UUID, *, seconds: float | None = None) -> bool:
    """Scan what of a version has not been, and say what came of it. Raises StoreUnavailable: try again.

    After `seconds` no other file is begun: TurnOver, unless all are done.
    False: somebody else works on the version now, or bytes of it cannot be read; it is still to be done.
    """
    mine = ModelVersion.objects.filter(pk=version_id, status=ModelVersion.Status.READY)
    mine = mine.exclude(scanned_with=SCANNER)
    with working_on(mine) as claimed:
        if claimed:
            return scan_files_of(version_id, seconds=seconds) and conclude(version_id)
    return not mine.exists()


def scan_files_of(version_id: UUID, *, seconds: float | None = None) -> bool:
    """Scan the version's blobs that this release has not; whether all are. Raises StoreUnavailable, TurnOver."""
    ends = None if seconds is None else time.monotonic() + seconds
    blobs = Blob.objects.filter(artifacts__manifest__versions=version_id)
    left = blobs.exclude(scans__scanner=SCANNER).distinct().order_by("pk")
    with sandbox.Several() as sandboxes:
        scanned = True
        for blob in left:
            if ends is not None and time.monotonic() > ends:
                raise TurnOver
            scanned = _scan_blob(blob, sandboxes) and scanned
        return scanned


def _scan_blob(blob: Blob, sandboxes: sandbox.Several) -> bool:
    if blob.quarantined_at is not None or blob.state != Blob.State.LIVE:
        return False
    try:
        found = sandboxes.judge(_reader(blob), blob.size)
    except _CannotBeRead as why:
        logger.warning("%s is not scanned now: %s", blob, why)
        return False
    # Somebody else may have scanned the same bytes meanwhile: the first report stands.
    report = ScanReport(
        blob=blob, scanner=SCANNER, format=found.format, verdict=found.verdict, findings=found.findings
    )
    ScanReport.objects.bulk_create([report], ignore_conflicts=True)
    return True


def _reader(blob: Blob) -> sandbox.Read:
    """Reads ranges of the blob's object, as it is now. Raises _CannotBeRead, StoreUnavailable."""
    bucket, key = storage.bucket(blob.tier), storage.content_key(blob.sha256)
    found = bucket.head(key)
    if found is None or found.size != blob.size:
        raise _CannotBeRead("the store has no object of its size")
    etag = found.etag

    def read(offset: int, length: int) -> bytes:
        def fetch() -> bytes:
            body, _ = bucket.get(key, start=offset, end=offset + length - 1, if_match=etag)
            with body, storage.told():
                content = body.read()
            if len(content) != length:
                raise storage.StoreUnavailable(f"the store sent {len(content)} of {length} bytes of {key}")
            return content

        try:
            return again(fetch)
        except (storage.ObjectMissing, storage.ObjectChanged) as error:
            raise _CannotBeRead("its object went away, or changed, while it was read") from error

    return read


def conclude(version_id: UUID) -> bool:
    """Write on the version what its files' reports say, with one event; False while one is missing."""
    with transaction.atomic():
        version = (
            ModelVersion.objects.select_for_update(of=("self",), no_key=True)
            .select_related("model__namespace")
            .get(pk=version_id)
        )
        if version.scanned_with == SCANNER or version.status != ModelVersion.Status.READY:
            return True
        files = reports_of(version)
        if any(report is None for _, report in files):
            return False
        before = {"safety": version.safety, "scanner": version.scanned_with}
        version.safety = worst(report.verdict for _, report in files if report)
        version.scanned_with = SCANNER
        version.save(update_fields=["safety", "scanned_with"])
        clean = version.safety == Safety.CLEAN
        found = [{"path": path, **each} for path, report in files if report for each in report.findings]
        record(
            "version.scanned" if clean else "version.flagged",
            subject=version,
            by=SYSTEM,
            namespace=version.model.namespace,
            reason="" if clean else sentence(version, files),
            before=before,
            after={
                "safety": version.safety,
                "scanner": SCANNER,
                "files": len(files),
                "findings": sorted(found, key=lambda each: -WORSE[each["verdict"]])[:MOST_TOLD],
            },
        )
    return True


def reports_of(version: ModelVersion, scanner: str = SCANNER) -> list[tuple[str, ScanReport | None]]:
    """Each path of the version with the report of that release on its bytes, in the order of paths."""
    rows = list(Artifact.objects.filter(manifest=version.manifest_id).order_by("path"))
    reports = ScanReport.objects.filter(scanner=scanner, blob__artifacts__manifest=version.manifest_id)
    by_blob = {report.blob_id: report for report in reports.distinct()}
    return [(row.path, by_blob.get(row.blob_id)) for row in rows]


def sentence(version: ModelVersion, files: Iterable[tuple[str, ScanReport | None]]) -> str:
    """Which files are not clean, the worst first, in one sentence; "" when all are."""
    return f"{version.reference} is {version.safety}: {reasons[0]}" if (reasons := told(files)) else ""


def told(files: Iterable[tuple[str, ScanReport | None]]) -> list[str]:
    """One sentence for each file that is not clean: its path, its verdict, and the worst that was found in it."""
    bad = [(path, report) for path, report in files if report and report.verdict != Safety.CLEAN]
    bad.sort(key=lambda each: (-WORSE[each[1].verdict], each[0]))
    return [f"{path} is {report.verdict}: {_first(report)}" for path, report in bad[:MOST_TOLD]]


def _first(report: ScanReport) -> str:
    worst_of = [found for found in report.findings if found["verdict"] == report.verdict]
    found = (worst_of or report.findings or [{"what": "nothing more is known", "where": ""}])[0]
    place = f" (in {found['where']})" if found["where"] else ""
    return f"{found['what'].rstrip('.')}{place}."
