"""Documents kept with a version: in a bucket of their own, under their digest, small enough for memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from django.db.models import QuerySet

from registry.artifacts import storage
from registry.artifacts.paths import PathRefused, check_path
from registry.artifacts.storage import MIB
from registry.artifacts.streaming import BLOCK, Readable
from registry.artifacts.uploads import BytesRefused
from registry.errors import DomainError, InvalidInput
from registry.models import Attachment, Redaction, RedactionPlace

LARGEST = 16 * MIB
LARGEST_SIGNATURE = 4 * MIB
LARGEST_RESULTS = 32 * MIB
LONGEST_NAME = 255


class AttachmentTooLarge(DomainError):
    """More bytes than a document may have."""

    code = "attachment-too-large"
    status = 413


class AttachmentDamaged(DomainError):
    """The stored bytes are gone, or are not what was attached: they are not handed out."""

    code = "attachment-damaged"


class AttachmentRedacted(DomainError):
    """The document was taken out by two people; its digest and its place stay."""

    code = "attachment-redacted"
    status = 410


@dataclass(frozen=True)
class Kept:
    """Bytes that are in the store: their hex sha256 and size."""

    sha256: str
    size: int


def largest(kind: str) -> int:
    """The most bytes that a document of this kind has."""
    of = {Attachment.Kind.SIGNATURE: LARGEST_SIGNATURE, Attachment.Kind.EXAMPLE_RESULTS: LARGEST_RESULTS}
    return of.get(Attachment.Kind(kind), LARGEST)


def check_name(name: str) -> str:
    """The name in NFC: one part of a path. Raises PathRefused."""
    if "/" in name or len(name) > LONGEST_NAME:
        raise PathRefused(
            f"{name[:200]!r}: an attachment's name is one part of a path, of at most 255 bytes.", field="name"
        )
    return check_path(name, field="name")


def receive(kind: str, body: Readable, length: int | None) -> bytes:
    """A request's body, no longer than the kind allows. Raises InvalidInput, AttachmentTooLarge, BytesRefused."""
    if length is None:
        raise InvalidInput("Send the body's Content-Length.", field="Content-Length")
    if length < 1:
        raise InvalidInput("Send the document as the body; this one is empty.", field="Content-Length")
    if length > largest(kind):
        raise AttachmentTooLarge(
            f"As {kind.replace('_', ' ')}, at most {largest(kind)} bytes are kept; these are {length}."
        )
    content = bytearray()
    while len(content) < length:
        block = body.read(min(BLOCK, length - len(content)))
        if not block:
            raise BytesRefused(f"The body ended after {len(content)} of {length} bytes.")
        content += block
    return bytes(content)


def keep(content: bytes) -> Kept:
    """Put bytes under their digest. The store compares them; the same bytes again replace a damaged copy.

    Before any row names them: what is written and then not named takes room, and does no harm. Raises
    StoreUnavailable.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    storage.attachments().put(storage.attachment_key(sha256), content, sha256)
    return Kept(sha256, len(content))


def content_of(attachment: Attachment) -> bytes:
    """The bytes, compared with their digest. Raises AttachmentRedacted, AttachmentDamaged, StoreUnavailable."""
    if redacted(attachment):
        raise AttachmentRedacted(
            f"The content of {attachment.name} was redacted; the journal says by whom and why."
        )
    try:
        body, found = storage.attachments().get(storage.attachment_key(attachment.sha256))
    except storage.ObjectMissing:
        raise AttachmentDamaged(f"The store has no object for {attachment.name} any more.") from None
    with body, storage.told():
        content = body.read(attachment.size + 1) if found.size == attachment.size else b""
    if hashlib.sha256(content).hexdigest() != attachment.sha256:
        raise AttachmentDamaged(f"The stored bytes of {attachment.name} are not those that were attached.")
    return content


def redacted_places() -> QuerySet[RedactionPlace]:
    """The documents that were taken out: their row's id is `row_id`."""
    return RedactionPlace.objects.filter(
        table_name=Attachment._meta.db_table,
        part=RedactionPlace.Part.FILE,
        redaction__state=Redaction.State.APPLIED,
    )


def redacted(attachment: Attachment) -> bool:
    """Whether the document was taken out."""
    return redacted_places().filter(row_id=str(attachment.pk)).exists()


def remove_redacted() -> int:
    """Delete the objects of redacted documents that no other attachment names; how many were there.

    What was deleted before, and put there again by somebody who sent the same, is deleted again.
    """
    rows = set(redacted_places().values_list("row_id", flat=True))
    digests = set(Attachment.objects.filter(pk__in=rows).values_list("sha256", flat=True))
    needed = set(
        Attachment.objects.filter(sha256__in=digests).exclude(pk__in=rows).values_list("sha256", flat=True)
    )
    removed = 0
    for sha256 in sorted(digests - needed):
        key = storage.attachment_key(sha256)
        if storage.attachments().head(key) is not None:
            storage.attachments().delete(key)
            removed += 1
    return removed
