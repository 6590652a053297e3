"""Announcing files, sending them, and giving them up."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from registry.artifacts import packs, paths, storage, streaming, uploads
from registry.artifacts.manifests import Entry, manifest_digest
from registry.artifacts.streaming import Readable
from registry.artifacts.uploads import EMPTY, LARGEST_FILE, SignedPart, WantedPart
from registry.errors import Forbidden, InvalidInput
from registry.journal.enqueue import enqueue
from registry.models import HASHED_FIRST, Namespace, Principal, Upload, UploadFile
from registry.permissions import check_can
from registry.roles import Permission
from registry.tasks.artifacts import reap_upload

MOST_FILES = 10_000
OPEN_FOR = timedelta(days=1)
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Begun:
    """An upload that takes files, and whether it is one that was begun before."""

    upload: Upload
    resumed: bool


@transaction.atomic
def begin_upload(
    *, namespace: Namespace, files: Sequence[Entry], by: Principal, packed: bool = False, resume: bool = False
) -> Begun:
    """`create_upload`; with `resume`, the upload in which the account announced the same before goes on instead.

    Raises InvalidInput, PathRefused, Forbidden.
    """
    check_can(by, Permission.VERSION_CREATE, namespace)
    now = timezone.now()
    entries = _checked_all(files)
    announced = _digest_of(entries, packed)
    if resume and (found := uploads.going_on(namespace, by.account, announced, now)):
        found.expires_at = now + OPEN_FOR
        found.save(update_fields=["expires_at"])
        # What was announced without a digest is so again, whatever an attempt that failed had said.
        unsaid = [entry.path for entry in entries if not entry.sha256]
        found.files.filter(path__in=unsaid, status=UploadFile.Status.WANTED).update(sha256="")
        return Begun(found, resumed=True)
    return Begun(_new(namespace, entries, announced, by, packed), resumed=False)


@transaction.atomic
def create_upload(
    *, namespace: Namespace, files: Sequence[Entry], by: Principal, packed: bool = False
) -> Upload:
    """Announce files. Those whose bytes the namespace holds are `present`, the rest is to be sent.

    `packed`: small files are sent in packs. Raises InvalidInput, PathRefused, Forbidden.
    """
    check_can(by, Permission.VERSION_CREATE, namespace)
    entries = _checked_all(files)
    return _new(namespace, entries, _digest_of(entries, packed), by, packed)


def _new(
    namespace: Namespace, entries: Sequence[Entry], announced: str, by: Principal, packed: bool
) -> Upload:
    held = uploads.held_by(namespace, entries)
    upload = Upload.objects.create(
        namespace=namespace,
        created_by=by.account,
        part_size=uploads.part_size_for(entry.size for entry in entries),
        announced=announced,
        expires_at=timezone.now() + OPEN_FOR,
    )
    rows = [_announced(upload, index, entry, entry.sha256 in held) for index, entry in enumerate(entries)]
    UploadFile.objects.bulk_create(packs.pack(upload, rows) if packed else [])
    UploadFile.objects.bulk_create(rows, batch_size=2000)
    return upload


def _checked_all(files: Sequence[Entry]) -> list[Entry]:
    if not 1 <= len(files) <= MOST_FILES:
        raise InvalidInput(f"An upload has 1 to {MOST_FILES} files.", field="files")
    entries = [_checked(entry, position) for position, entry in enumerate(files)]
    paths.check_collisions(entry.path for entry in entries)
    _check_sizes(entries)
    return entries


def _check_sizes(entries: Sequence[Entry]) -> None:
    """Raises InvalidInput when one digest is announced with two sizes: what is held is told by the digest."""
    sizes: dict[str, int] = {}
    for position, entry in enumerate(entries):
        if entry.sha256 and sizes.setdefault(entry.sha256, entry.size) != entry.size:
            raise InvalidInput(
                "Files with the same sha256 have the same size.", field=f"files[{position}].size"
            )


def _digest_of(entries: Sequence[Entry], packed: bool) -> str:
    """Equal when the same files are announced to be sent in the same way."""
    way = "packed" if packed else "alone"
    return hashlib.sha256(f"{way}:{manifest_digest(entries)}".encode()).hexdigest()


def _checked(entry: Entry, position: int) -> Entry:
    field = f"files[{position}]"
    if not entry.sha256 and entry.size > HASHED_FIRST:
        return Entry(paths.check_path(entry.path, field=f"{field}.path"), _size(entry, field), "")
    if not SHA256.fullmatch(entry.sha256):
        raise InvalidInput(
            "sha256 is 64 lower-case hexadecimal digits; only a file of more than 64 MiB may be announced without.",
            field=f"{field}.sha256",
        )
    if (_size(entry, field) == 0) != (entry.sha256 == EMPTY):
        raise InvalidInput("Only an empty file has the digest of nothing.", field=f"{field}.sha256")
    return Entry(paths.check_path(entry.path, field=f"{field}.path"), entry.size, entry.sha256)


def _size(entry: Entry, field: str) -> int:
    if not 0 <= entry.size <= LARGEST_FILE:
        raise InvalidInput(f"A file has 0 to {LARGEST_FILE} bytes.", field=f"{field}.size")
    return entry.size


def _announced(upload: Upload, index: int, entry: Entry, held: bool) -> UploadFile:
    status = UploadFile.Status.WANTED
    if held:
        status = UploadFile.Status.PRESENT
    elif entry.size == 0:
        status = UploadFile.Status.RECEIVED
    sent = status == UploadFile.Status.WANTED
    return UploadFile(
        upload=upload,
        index=index,
        path=entry.path,
        size=entry.size,
        sha256=entry.sha256,
        status=status,
        staging_key=storage.staging_key(upload.pk, index) if sent else "",
    )


def check_own(upload: Upload, by: Principal) -> None:
    """Raises Forbidden unless the principal began the upload and may still register versions there."""
    check_can(by, Permission.VERSION_CREATE, upload.namespace)
    if by.user is None or upload.created_by_id != by.user.pk:
        raise Forbidden("Only who began an upload goes on with it.")


def sign_parts(*, upload: Upload, wishes: dict[int, list[WantedPart]], by: Principal) -> list[SignedPart]:
    """Addresses, good for 15 minutes, to PUT parts to; `wishes` by the index of the file.

    Raises Forbidden, InvalidInput, UploadClosed, FileReceived.
    """
    check_own(upload, by)
    return uploads.sign_parts(upload, wishes)


def complete_files(
    *,
    upload: Upload,
    given: dict[int, list[storage.Part]],
    digests: dict[int, str] | None = None,
    by: Principal,
) -> list[UploadFile]:
    """Join the parts of files, by their index; `digests` of those that were announced without.

    Raises Forbidden, InvalidInput, UploadClosed, PartsLost, BytesRefused.
    """
    check_own(upload, by)
    return uploads.complete_files(upload, given, digests)


def receive_content(
    *, upload: Upload, index: int, body: Readable, length: int | None, by: Principal
) -> UploadFile:
    """Take the bytes of one file through this process. Raises Forbidden, InvalidInput, UploadClosed, BytesRefused."""
    check_own(upload, by)
    return streaming.receive(upload, uploads.file_of(upload, index), body, length)


@transaction.atomic
def abort_upload(*, upload: Upload, by: Principal) -> Upload:
    """Give an upload up; what was sent is removed. Doing it twice changes nothing. Raises UploadClosed."""
    check_own(upload, by)
    row = Upload.objects.select_for_update().get(pk=upload.pk)
    if row.state == Upload.State.COMPLETED or row.manifest_id is not None:
        raise uploads.UploadClosed("A version was registered from this upload: it cannot be aborted.")
    if row.state == Upload.State.OPEN:
        row.state = Upload.State.ABORTED
        row.save(update_fields=["state"])
        enqueue(reap_upload.name, upload_id=str(row.pk))
    return row
