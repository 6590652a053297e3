"""From what was sent to what is served: hashed, copied, proven, then sealed in one transaction.

Runs in a worker, under a lease on the version's row. Everything before the last transaction can be repeated
at any point without harm; the last transaction happens once, because it asks for the status it changes.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from registry.artifacts import storage
from registry.artifacts.content import BytesDiffer, Source, settle
from registry.artifacts.hashing import RANGE, hash_object
from registry.artifacts.heartbeat import working_on
from registry.artifacts.manifests import Entry, manifest_digest, oms_digest
from registry.artifacts.uploads import forget_parts
from registry.journal import record
from registry.models import SYSTEM, Artifact, Blob, Manifest, ModelVersion, Tier, Upload, UploadFile

logger = logging.getLogger(__name__)
SIDE_BY_SIDE = 4
ATTEMPTS = 3


class FileUnfit(Exception):
    """A file is not what was announced; the sentence says how."""

    def __init__(self, file: UploadFile, sentence: str) -> None:
        super().__init__(sentence)
        self.file = file
        self.sentence = sentence


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
            unfit = _place(files)
            if unfit:
                _fail(version_id, unfit)
                return
            try:
                _seal(version_id, files)
            except _Unsettled:
                logger.info("bytes of %s moved while it was published (attempt %s)", version_id, attempt)
            else:
                return
        raise storage.StoreUnavailable(f"bytes of {version_id} keep moving")


def _place(files: list[UploadFile]) -> list[FileUnfit]:
    """Have the content object of every file. Small files side by side, large ones one after another."""
    small: queue.SimpleQueue[UploadFile] = queue.SimpleQueue()
    large: list[UploadFile] = []
    seen: set[str] = set()
    for file in files:
        if file.sha256 not in seen or file.status != UploadFile.Status.PRESENT:
            (large.append if file.size > RANGE else small.put)(file)
        seen.add(file.sha256)
    unfit: list[FileUnfit] = []

    def work() -> list[FileUnfit]:
        found = []
        try:
            while True:
                file = small.get_nowait()
                if problem := _place_one(file):
                    found.append(problem)
        except queue.Empty:
            return found
        finally:
            connection.close()

    if small.qsize() > 1:
        with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE, thread_name_prefix="publish") as pool:
            for job in [pool.submit(work) for _ in range(min(SIDE_BY_SIDE, small.qsize()))]:
                unfit += job.result()
    elif not small.empty():
        large.insert(0, small.get())
    unfit += [problem for file in large if (problem := _place_one(file))]
    return sorted(unfit, key=lambda problem: problem.file.index)


def _place_one(file: UploadFile) -> FileUnfit | None:
    """One file's content object. Returns what is wrong with what was sent."""
    for _ in range(ATTEMPTS):
        try:
            source = _hashed_source(file)
            if settle(file.sha256, file.size, source):
                return None
        except FileUnfit as unfit:
            return unfit
        except (storage.ObjectChanged, BytesDiffer):
            continue
        except storage.ObjectMissing:
            return FileUnfit(file, f"{file.path} is not in the staging area any more: send it again.")
        else:
            return FileUnfit(
                file,
                f"{file.path} was held by this namespace, but its bytes are damaged or gone: send it again.",
            )
    return FileUnfit(file, f"{file.path} changed while it was being verified: send it again.")


def _hashed_source(file: UploadFile) -> Source | None:
    """Where the sent bytes lie, hashed now; None for what was not sent. Raises FileUnfit, ObjectMissing."""
    if not file.staging_key:
        return None
    bucket = storage.hot()
    hashed = hash_object(bucket, file.staging_key)
    if hashed.size != file.size:
        raise FileUnfit(
            file, f"{file.path} has {hashed.size} bytes, but {file.size} were announced: send it again."
        )
    if hashed.sha256 != file.sha256:
        raise FileUnfit(
            file,
            f"The bytes of {file.path} have sha256 {hashed.sha256}, but {file.sha256} was announced: send it again.",
        )
    return Source(bucket, file.staging_key, hashed.etag)


def _seal(version_id: UUID, files: list[UploadFile]) -> None:
    """Blobs, artifacts, the seal, the version and its event: one transaction. Raises _Unsettled."""
    with transaction.atomic():
        version = (
            ModelVersion.objects.select_for_update(of=("self",))
            .select_related("model__namespace")
            .get(pk=version_id)
        )
        if version.status != ModelVersion.Status.VERIFYING:
            return
        manifest = Manifest.objects.select_for_update().get(pk=version.manifest_id)
        if manifest.state == Manifest.State.OPEN:
            _fill(manifest, files)
            upload = Upload.objects.select_for_update().get(manifest=manifest)
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


def _fail(version_id: UUID, unfit: list[FileUnfit]) -> None:
    """The version cannot be: say why, and let the upload take the files again."""
    more = f" {len(unfit) - 1} more files are not as announced either." if unfit[1:] else ""
    sentence = unfit[0].sentence + more
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
        row.staging_key = storage.staging_key(row.upload_id, row.index)
    UploadFile.objects.bulk_update(
        rows, ["status", "staging_key", "s3_upload_id", "part_digests"], batch_size=500
    )
