"""From what was sent to what is served: hashed, copied, proven, then sealed in one transaction.

Runs in a worker, under a lease on the version's row. Everything before the last transaction can be repeated
at any point without harm; the last transaction happens once, because it asks for the status it changes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from registry.artifacts import placing, signature_checks, storage
from registry.artifacts.heartbeat import working_on
from registry.artifacts.manifests import Entry, manifest_digest, oms_digest
from registry.artifacts.packs import is_pack
from registry.artifacts.placing import FileUnfit
from registry.artifacts.uploads import forget_parts
from registry.journal import record
from registry.journal.enqueue import enqueue
from registry.models import SYSTEM, Artifact, Blob, Manifest, ModelVersion, Tier, Upload, UploadFile

logger = logging.getLogger(__name__)
ATTEMPTS = 3
SCAN = "registry.scan_version"


class _Overtaken(Exception):
    """The upload was sent again and registered anew: what this version was to be made of is that version's now."""


class _Unsettled(Exception):
    """Bytes that were in place have been moved or quarantined since: place them again."""


def publish(version_id: UUID) -> None:
    """Prove and seal a version that is `verifying`; fail it when its bytes are not what was announced.

    Does nothing when somebody else is at it or it is done. Raises StoreUnavailable: to be tried again.
    """
    mine = ModelVersion.objects.filter(pk=version_id, status=ModelVersion.Status.VERIFYING)
    with working_on(mine) as claimed:
        if not claimed:
            return
        manifest = Manifest.objects.get(versions=version_id)
        if manifest.state == Manifest.State.SEALED:
            _seal(version_id, [])
            return
        files = list(UploadFile.objects.filter(upload__manifest=manifest).order_by("index"))
        for attempt in range(1, ATTEMPTS + 1):
            unfit = placing.place(files)
            if unfit:
                more = f" {len(unfit) - 1} more files are not as announced either." if unfit[1:] else ""
                _fail(version_id, unfit[0].sentence + more, unfit)
                return
            try:
                _seal(version_id, [file for file in files if not is_pack(file)])
            except _Unsettled:
                logger.info("bytes of %s moved while it was published (attempt %s)", version_id, attempt)
            except _Overtaken:
                _fail(version_id, "Its upload was sent again, and another version was registered from it.")
                return
            else:
                return
        raise storage.StoreUnavailable(f"bytes of {version_id} keep moving")


def _seal(version_id: UUID, files: list[UploadFile]) -> None:
    """Blobs, artifacts, the seal, the version and its event: one transaction. Raises _Unsettled, _Overtaken."""
    with transaction.atomic():
        version = (
            ModelVersion.objects.select_for_update(of=("self",))
            .select_related("model__namespace")
            .get(pk=version_id)
        )
        if version.status != ModelVersion.Status.VERIFYING:
            return
        # In the order in which who registers another version of it takes them.
        upload = Upload.objects.select_for_update().filter(manifest=version.manifest_id).first()
        manifest = Manifest.objects.select_for_update().get(pk=version.manifest_id)
        if manifest.state == Manifest.State.OPEN:
            # Of two versions of one upload the first has failed, and a third took the upload over.
            if upload is None:
                raise _Overtaken
            _fill(manifest, files)
            upload.state = Upload.State.COMPLETED
            upload.save(update_fields=["state"])
        version.status = ModelVersion.Status.READY
        version.status_message = ""
        version.ready_at = timezone.now()
        version.save(update_fields=["status", "status_message", "ready_at"])
        record(
            "version.ready",
            subject=version,
            by=SYSTEM,
            namespace=version.model.namespace,
            before={"status": ModelVersion.Status.VERIFYING.value},
            after={
                "status": version.status,
                "digest": f"sha256:{manifest.digest}",
                "oms_digest": f"sha256:{manifest.oms_digest}",
                "size": manifest.size,
                "files": manifest.files,
            },
        )
        signature_checks.ask(version)
        enqueue(SCAN, version_id=str(version_id))


def _fill(manifest: Manifest, files: list[UploadFile]) -> None:
    sizes = {file.sha256: file.size for file in files}
    now = timezone.now()
    Blob.objects.bulk_create(
        (Blob(sha256=sha256, size=sizes[sha256], verified_at=now) for sha256 in sorted(sizes)),
        ignore_conflicts=True,
        batch_size=2000,
    )
    sound = (
        Blob.objects.select_for_update()
        .filter(pk__in=list(sizes), tier=Tier.HOT, state=Blob.State.LIVE, quarantined_at=None)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    if len(sound) != len(sizes):
        raise _Unsettled
    Artifact.objects.bulk_create(
        (Artifact(manifest=manifest, path=file.path, blob_id=file.sha256) for file in files), batch_size=2000
    )
    entries = [Entry(file.path, file.size, file.sha256) for file in files]
    manifest.digest = manifest_digest(entries)
    manifest.oms_digest = oms_digest(entries)
    manifest.size = sum(file.size for file in files)
    manifest.files = len(files)
    manifest.state = Manifest.State.SEALED
    manifest.sealed_at = now
    manifest.save(update_fields=["digest", "oms_digest", "size", "files", "state", "sealed_at"])


def _fail(version_id: UUID, sentence: str, unfit: Sequence[FileUnfit] = ()) -> None:
    """The version cannot be: say why, and let the upload take the files again."""
    with transaction.atomic():
        version = (
            ModelVersion.objects.select_for_update(of=("self",))
            .select_related("model__namespace")
            .get(pk=version_id)
        )
        if version.status != ModelVersion.Status.VERIFYING:
            return
        _want_again(problem.file for problem in unfit)
        version.status = ModelVersion.Status.FAILED
        version.status_message = sentence
        version.save(update_fields=["status", "status_message"])
        record(
            "version.failed",
            subject=version,
            by=SYSTEM,
            namespace=version.model.namespace,
            reason=sentence,
            before={"status": ModelVersion.Status.VERIFYING.value},
            after={"status": version.status, "files": [problem.sentence for problem in unfit[:100]]},
        )


def _want_again(files: Iterable[UploadFile]) -> None:
    rows = list(UploadFile.objects.select_for_update().filter(pk__in=[file.pk for file in files]))
    for row in rows:
        forget_parts(row)
        row.status = UploadFile.Status.WANTED
        # What came in a pack is sent by itself the next time.
        row.pack, row.offset = None, None
        row.staging_key = storage.staging_key(row.upload_id, row.index)
    UploadFile.objects.bulk_update(
        rows,
        ["status", "pack", "offset", "staging_key", "s3_upload_id", "part_digests"],
        batch_size=500,
    )
