"""The way out: by an address that is signed for a minute, or through the web process with bounded memory."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models.functions import Collate

from registry.artifacts import scan, storage
from registry.artifacts.manifests import Entry, canonical
from registry.artifacts.paths import PathRefused, check_path
from registry.errors import DomainError, NotVisible
from registry.models import Artifact, Blob, Manifest, ModelVersion, Safety, Tier
from registry.references import check_not_deleted

if TYPE_CHECKING:
    from botocore.response import StreamingBody

BLOCK = 256 * 1024
RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


class VersionQuarantined(DomainError):
    """Bytes of the version are damaged or gone: none of it is handed out."""

    code = "version-quarantined"


class VersionNotClean(DomainError):
    """A scan has not found every file clean, and the namespace hands out nothing else."""

    code = "version-not-clean"


class VersionNotScanned(VersionNotClean):
    """No scan has looked into the version yet, and the namespace hands out only what is known to be clean."""

    retry_after = 5


class InColdStorage(DomainError):
    """The bytes were put away; a restore brings them back."""

    code = "version-in-cold-storage"


class NotReady(DomainError):
    """The bytes are not published."""

    code = "version-not-ready"


class ManifestDamaged(DomainError):
    """The files that the database lists are not those that the manifest's digest was made of."""

    code = "manifest-damaged"


class RangeNotSatisfiable(DomainError):
    """The bytes asked for are not in the file."""

    code = "range-not-satisfiable"
    status = 416


@dataclass(frozen=True)
class Slice:
    """The bytes from `first` to `last`, inclusive, of a file of `size`; `partial` when a range was asked for."""

    first: int
    last: int
    size: int
    partial: bool

    @property
    def length(self) -> int:
        return self.last - self.first + 1


def check_published(version: ModelVersion) -> Manifest:
    """The sealed manifest of the version. Raises NotReady, VersionDeleted."""
    check_not_deleted(version)
    manifest = version.manifest
    if version.status != ModelVersion.Status.READY or manifest.state != Manifest.State.SEALED:
        why = f": {version.status_message}" if version.status_message else "."
        raise NotReady(f"{version.reference} is {version.status}{why}")
    return manifest


def entries_of(manifest: Manifest) -> list[Entry]:
    """The files of a manifest."""
    files = Artifact.objects.filter(manifest=manifest).values_list("path", "blob__size", "blob_id")
    return [Entry(path, size, sha256) for path, size, sha256 in files]


def manifest_text(version: ModelVersion) -> bytes:
    """The canonical manifest: the very bytes whose sha256 is the version's digest. Raises NotReady, ManifestDamaged."""
    manifest = check_published(version)
    text = canonical(entries_of(manifest))
    if hashlib.sha256(text).hexdigest() != manifest.digest:
        raise ManifestDamaged(f"The files listed for {version.reference} do not make its digest any more.")
    return text


def artifact_of(version: ModelVersion, path: str) -> Artifact:
    """The artifact at a path, if it may be handed out now.

    Raises NotReady, VersionDeleted, NotVisible, VersionQuarantined, VersionNotClean, InColdStorage.
    """
    manifest = check_published(version)
    missing = NotVisible(f"{version.reference} has no file {path!r}.")
    try:
        normal = check_path(path)
    except PathRefused:
        raise missing from None
    found = Artifact.objects.select_related("blob").filter(manifest=manifest, path=normal).first()
    if found is None:
        raise missing
    _check_sound(version, manifest)
    _check_clean(version)
    _check_at_hand(version, found)
    return found


def artifacts_from(version: ModelVersion, path: str, most: int) -> Sequence[Artifact]:
    """The artifacts at a path and after it, in the order of the bytes of paths, if they may be handed out now.

    Raises NotReady, VersionQuarantined, VersionNotClean, InColdStorage.
    """
    manifest = check_published(version)
    _check_sound(version, manifest)
    _check_clean(version)
    rows = Artifact.objects.filter(manifest=manifest).alias(place=Collate("path", "C"))
    found = list(rows.filter(place__gte=path).select_related("blob").order_by("place")[:most])
    for artifact in found:
        _check_at_hand(version, artifact)
    return found


def _check_sound(version: ModelVersion, manifest: Manifest) -> None:
    bad = Artifact.objects.filter(manifest=manifest, blob__quarantined_at__isnull=False).order_by("path")
    if reasons := [f"{a.path}: {a.blob.quarantine_reason}" for a in bad.select_related("blob")[:20]]:
        raise VersionQuarantined(
            f"{version.reference} is quarantined, because its stored bytes are not what was published.",
            reasons=reasons,
        )


def _check_clean(version: ModelVersion) -> None:
    """Where the namespace asks for it, nothing of a version is handed out that has one file which is not clean."""
    namespace = version.model.namespace
    if not namespace.clean_downloads_only or version.safety == Safety.CLEAN:
        return
    if not version.safety:
        raise VersionNotScanned(
            f"{version.reference} has not been scanned yet, and {namespace.name} hands out only what is clean: "
            "try again in a moment."
        )
    raise VersionNotClean(
        f"{version.reference} is {version.safety}, and {namespace.name} hands out only what a scan found clean.",
        reasons=scan.told(scan.reports_of(version, version.scanned_with)),
    )


def _check_at_hand(version: ModelVersion, found: Artifact) -> None:
    if found.blob.tier == Tier.COLD or found.blob.state != Blob.State.LIVE:
        raise InColdStorage(f"{version.reference} is in cold storage: restore it first.")


def signed_url(artifact: Artifact) -> str:
    """An address for one minute that gives the file as an attachment."""
    return storage.hot().sign_get(storage.content_key(artifact.blob_id), artifact.path.rpartition("/")[2])


def disposition(artifact: Artifact) -> str:
    """The Content-Disposition of a file that passes through this process."""
    return storage.attachment(artifact.path.rpartition("/")[2])


def slice_of(blob: Blob, header: str) -> Slice:
    """What a Range header asks for; the whole file when there is none that we serve. Raises RangeNotSatisfiable."""
    whole = Slice(0, blob.size - 1, blob.size, False)
    match = RANGE.fullmatch(header.strip())
    if not match or match.groups() == ("", ""):
        return whole
    first, last = match.groups()
    if not first:
        start, end = max(blob.size - int(last), 0), blob.size - 1
    else:
        start, end = int(first), min(int(last), blob.size - 1) if last else blob.size - 1
    if last and first and int(last) < int(first):
        return whole
    if start >= blob.size or (not first and int(last) == 0):
        raise RangeNotSatisfiable(f"The file has {blob.size} bytes.")
    return Slice(start, end, blob.size, True)


def opened(blob: Blob, part: Slice) -> Iterator[bytes]:
    """The bytes, block by block; the store is asked before this returns.

    A whole file is hashed on its way, and its last block held back until the digest is right: a reader that
    counts bytes never takes wrong ones for the file. Raises StoreUnavailable, VersionQuarantined.
    """
    if part.size == 0:
        return iter(())
    try:
        body, found = storage.hot().get(
            storage.content_key(blob.sha256),
            start=part.first if part.partial else None,
            end=part.last if part.partial else None,
        )
    except storage.ObjectMissing:
        raise VersionQuarantined("The store has no object for this file any more.") from None
    if found.size != part.length:
        body.close()
        raise VersionQuarantined("The stored object has another size than what was published.")
    return _blocks(body, part.length) if part.partial else _proven_blocks(body, blob.sha256)


def _blocks(body: StreamingBody, length: int) -> Iterator[bytes]:
    with body:
        while length > 0 and (block := body.read(min(BLOCK, length))):
            length -= len(block)
            yield block


def _proven_blocks(body: StreamingBody, sha256: str) -> Iterator[bytes]:
    digest, held = hashlib.sha256(), b""
    with body:
        while block := body.read(BLOCK):
            digest.update(block)
            if held:
                yield held
            held = block
    if digest.hexdigest() != sha256:
        raise storage.StoreRefused(f"the object of {sha256} holds other bytes: the answer is cut off")
    yield held


def digest_header(sha256: str) -> str:
    """The value of Repr-Digest (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
