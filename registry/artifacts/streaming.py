"""Taking a file through the web process: one part in memory at a time, hashed on the way."""

from __future__ import annotations

import hashlib
import logging
from typing import Protocol

from django.db import transaction

from registry.artifacts import packs, storage
from registry.artifacts.storage import MIB, Part
from registry.artifacts.uploads import MOST_PARTS, BytesRefused, check_open, forget_parts
from registry.errors import InvalidInput
from registry.models import Upload, UploadFile

logger = logging.getLogger(__name__)
PART = 8 * MIB
# Beyond it, parts would have to be larger than what this process may hold.
LARGEST = MOST_PARTS * 2 * PART
BLOCK = 256 * 1024


class Readable(Protocol):
    """A request's body."""

    def read(self, size: int, /) -> bytes: ...


def receive(upload: Upload, file: UploadFile, body: Readable, length: int | None) -> UploadFile:
    """Send the body on to the staging area and compare its digest with the announced one.

    A file that is here already takes no bytes. Raises UploadClosed, InvalidInput, BytesRefused.
    """
    if file.status != UploadFile.Status.WANTED:
        _drain(body)
        return file
    check_open(upload)
    if length is None:
        raise InvalidInput("Send the body's Content-Length.", field="Content-Length")
    if file.size > LARGEST:
        raise InvalidInput(
            f"{file.path} has more than {LARGEST // 1024**3} GiB: send its parts straight to the store.",
            field="Content-Length",
        )
    if length != file.size:
        raise BytesRefused(f"{file.path} was announced with {file.size} bytes; the body has {length}.")
    bucket = storage.hot()
    # An upload of its own: parts that a client sends directly have other sizes.
    own = bucket.begin(file.staging_key, checked=storage.parts_are_checked())
    try:
        _join(file, own, _send(file, own, body))
    except BaseException:
        _give_up(file.staging_key, own)
        raise
    with transaction.atomic():
        row = UploadFile.objects.select_for_update().get(pk=file.pk)
        other = row.s3_upload_id
        if row.status == UploadFile.Status.WANTED:
            forget_parts(row)
            row.status = UploadFile.Status.RECEIVED
            row.sha256 = file.sha256
            row.save(update_fields=["status", "sha256", "s3_upload_id", "part_digests"])
            packs.set_received([row])
    if other:
        _give_up(file.staging_key, other)
    return row


def _send(file: UploadFile, own: str, body: Readable) -> list[Part]:
    bucket, whole, parts, total = storage.hot(), hashlib.sha256(), list[Part](), 0
    size = max(PART, -(-file.size // MOST_PARTS))
    while total < file.size:
        chunk = _fill(body, min(size, file.size - total))
        if not chunk:
            raise BytesRefused(f"The body of {file.path} ended after {total} of {file.size} bytes.")
        whole.update(chunk)
        total += len(chunk)
        parts.append(bucket.put_part(file.staging_key, own, len(parts) + 1, chunk, _sha256(chunk)))
    # A pack has no digest; each file in it is hashed when it is published. A large file gets its digest here
    # when it was announced without.
    if not file.sha256 and not packs.is_pack(file):
        file.sha256 = whole.hexdigest()
    if not packs.is_pack(file) and whole.hexdigest() != file.sha256:
        raise BytesRefused(
            f"{file.path} arrived with sha256 {whole.hexdigest()}; {file.sha256} was announced."
        )
    return parts


def _join(file: UploadFile, own: str, parts: list[Part]) -> None:
    bucket = storage.hot()
    try:
        bucket.join(file.staging_key, own, parts)
    except storage.UploadMissing as error:
        # Joined, and the answer was lost.
        found = bucket.head(file.staging_key)
        if found is None or found.size != file.size:
            raise storage.StoreUnavailable(f"what was sent of {file.path} is gone") from error
    except (storage.StoreRefused, storage.ObjectMissing) as error:
        raise storage.StoreUnavailable(f"the store does not join what it was sent: {error}") from error


def _fill(body: Readable, size: int) -> bytes:
    """`size` bytes of the body, fewer at its end."""
    chunk = bytearray()
    while len(chunk) < size:
        block = body.read(min(BLOCK, size - len(chunk)))
        if not block:
            break
        chunk += block
    return bytes(chunk)


def _sha256(chunk: bytes) -> str:
    return hashlib.sha256(chunk).hexdigest()


def _drain(body: Readable) -> None:
    """Read what is sent for nothing, so that the connection can be used again."""
    while body.read(BLOCK):
        pass


def _give_up(key: str, upload_id: str) -> None:
    """Abort; what stays behind when the store does not answer is found by the reaper."""
    try:
        storage.hot().abort(key, upload_id)
    except storage.StoreUnavailable:
        logger.warning("could not abort %s; the reaper will", key)
