"""Uploads on their way: what need not be sent, addresses for parts, and what has arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from registry.artifacts import packs, storage
from registry.artifacts.manifests import Entry
from registry.artifacts.storage import MIB, Part
from registry.errors import DomainError, InvalidInput
from registry.models import (
    HASHED_FIRST,
    Artifact,
    Blob,
    Manifest,
    ModelVersion,
    Namespace,
    Tier,
    Upload,
    UploadFile,
    User,
)

SMALLEST_PART = 16 * MIB
MOST_PARTS = 10_000
LARGEST_FILE = 5 * 1024 * 1024 * MIB
STORE_CALLS = 8
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
Item = TypeVar("Item")
Result = TypeVar("Result")


class UploadClosed(DomainError):
    """The upload was registered, aborted or has expired."""

    code = "upload-closed"


class FileReceived(DomainError):
    """The file is here already: nothing more is taken for it."""

    code = "file-received"


class PartsLost(DomainError):
    """The store does not know the parts: the file has to be sent again."""

    code = "parts-lost"


class BytesRefused(DomainError):
    """What arrived is not what was announced."""

    code = "bytes-refused"
    status = 422


@dataclass(frozen=True)
class WantedPart:
    """A part that a client is about to send."""

    number: int
    size: int
    sha256: str


@dataclass(frozen=True)
class SignedPart:
    """Where to PUT a part, and the headers that must go with it."""

    index: int
    number: int
    url: str
    headers: dict[str, str] = field(default_factory=dict)


def part_size_for(sizes: Iterable[int]) -> int:
    """The part size in bytes: 16 MiB, more where the largest file would need over 10,000 parts."""
    largest = max(sizes, default=0)
    needed = -(-largest // MOST_PARTS)
    return max(SMALLEST_PART, -(-needed // MIB) * MIB)


def held_by(namespace: Namespace, entries: Sequence[Entry]) -> set[str]:
    """The digests of `entries` that the namespace holds, hot and sound. Others' bytes are never revealed."""
    sizes = {entry.sha256: entry.size for entry in entries if entry.sha256}
    held = Artifact.objects.filter(
        blob__in=list(sizes),
        manifest__namespace=namespace,
        manifest__state=Manifest.State.SEALED,
        manifest__released_at=None,
    )
    rows = Blob.objects.filter(
        pk__in=held.values("blob"), tier=Tier.HOT, state=Blob.State.LIVE, quarantined_at=None
    )
    return {sha256 for sha256, size in rows.values_list("pk", "size") if sizes[sha256] == size}


def held_sizes(upload: Upload) -> list[int]:
    """The indexes of files that were announced without a digest and may be here already: the namespace holds
    bytes of their size. They are worth hashing first."""
    sizes = dict(upload.files.filter(sha256="").exclude(path__startswith="/").values_list("index", "size"))
    if not sizes:
        return []
    # Two questions: in one the database goes through everything that the namespace holds.
    rows = Blob.objects.filter(size__in=set(sizes.values()), size__gt=HASHED_FIRST, state=Blob.State.LIVE)
    blobs = dict(rows.values_list("pk", "size"))
    held = Artifact.objects.filter(
        blob__in=list(blobs), manifest__namespace=upload.namespace_id, manifest__released_at=None
    )
    found = {blobs[pk] for pk in held.values_list("blob_id", flat=True).distinct()}
    return sorted(index for index, size in sizes.items() if size in found)


def going_on(namespace: Namespace, account: User, announced: str, now: datetime) -> Upload | None:
    """The newest upload in which the account announced the same and that can go on; locked.

    One whose version is being verified is not gone on with, one whose version failed is.
    """
    rows = Upload.objects.select_for_update(of=("self",)).filter(
        namespace=namespace,
        created_by=account,
        announced=announced,
        state=Upload.State.OPEN,
        expires_at__gt=now,
    )
    busy = ModelVersion.objects.filter(manifest=OuterRef("manifest")).exclude(
        status=ModelVersion.Status.FAILED
    )
    return rows.filter(~Exists(busy)).order_by("-created_at").first()


def check_open(upload: Upload) -> None:
    """Raises UploadClosed unless files can still be sent."""
    if upload.state != Upload.State.OPEN:
        raise UploadClosed(f"This upload is {upload.state}: begin another.")
    if upload.expires_at <= timezone.now():
        raise UploadClosed("This upload has expired: begin another.")


def file_of(upload: Upload, index: int) -> UploadFile:
    """The announced file of that index. Raises InvalidInput."""
    found = upload.files.filter(index=index).first() if index < 2**31 else None
    if found is None:
        raise InvalidInput(f"The upload has no file {index}.", field="index")
    packs.check_sent_alone([found])
    return found


def sign_parts(upload: Upload, wishes: dict[int, list[WantedPart]]) -> list[SignedPart]:
    """Addresses for the parts of each file, by its index. Raises InvalidInput, UploadClosed, FileReceived,
    PartsLost.

    A multipart upload is begun at the store for each file that has none yet; of two that begin one at the
    same time the first stays.
    """
    check_open(upload)
    files = _files(upload, wishes)
    packs.check_sent_alone(files)
    for file in files:
        _check_wanted(file)
        for part in wishes[file.index]:
            _check_part(upload, file, part)
    bucket = storage.hot()
    fresh = [file for file in files if not file.s3_upload_id]
    begun = _each(fresh, lambda file: bucket.begin(file.staging_key, checked=_checked()))
    proposed = {file.pk: upload_id for file, upload_id in zip(fresh, begun, strict=True)}
    surplus: list[tuple[str, str]] = []
    with transaction.atomic():
        locked = {
            row.pk: row for row in UploadFile.objects.select_for_update().filter(pk__in=[f.pk for f in files])
        }
        for file in files:
            row = locked[file.pk]
            # Another session may have completed it meanwhile, or been told that its parts are lost.
            _check_wanted(row)
            if not row.s3_upload_id and file.pk not in proposed:
                raise PartsLost(f"The parts of {file.path} are not known any more: send it again.")
            if row.s3_upload_id and file.pk in proposed:
                surplus.append((row.staging_key, proposed[file.pk]))
            row.s3_upload_id = row.s3_upload_id or proposed[file.pk]
            row.part_digests |= {str(part.number): part.sha256 for part in wishes[file.index]}
        UploadFile.objects.bulk_update(locked.values(), ["s3_upload_id", "part_digests"], batch_size=200)
    for key, upload_id in surplus:
        bucket.abort(key, upload_id)
    return [
        SignedPart(
            file.index,
            part.number,
            *bucket.sign_part(
                file.staging_key, locked[file.pk].s3_upload_id, part.number, part.size, part.sha256
            ),
        )
        for file in files
        for part in wishes[file.index]
    ]


def _check_wanted(file: UploadFile) -> None:
    """Raises FileReceived."""
    if file.status != UploadFile.Status.WANTED:
        raise FileReceived(f"{file.path} is {file.status}: nothing is to be sent.", field="index")


def _check_part(upload: Upload, file: UploadFile, part: WantedPart) -> None:
    count = -(-file.size // upload.part_size)
    if not 1 <= part.number <= count:
        raise InvalidInput(f"{file.path} has parts 1 to {count}, not {part.number}.", field="number")
    size = min(upload.part_size, file.size - (part.number - 1) * upload.part_size)
    if part.size != size:
        raise InvalidInput(
            f"Part {part.number} of {file.path} has {size} bytes, not {part.size}.", field="size"
        )


def complete_files(
    upload: Upload, given: dict[int, list[Part]], digests: Mapping[int, str] | None = None
) -> list[UploadFile]:
    """Join the parts of each file, by its index, and check its size. Done twice, it does nothing.

    Parts that an earlier session sent need not be given: the store lists them. `digests`: of files that were
    announced without. Raises InvalidInput, UploadClosed, FileReceived, PartsLost, BytesRefused.
    """
    check_open(upload)
    files = _files(upload, given)
    packs.check_sent_alone(files)
    wanted = [file for file in files if file.status == UploadFile.Status.WANTED]
    for file in files:
        _check_not_another(file, (digests or {}).get(file.index, ""))
    for file in wanted:
        file.sha256 = _digest_said(file, (digests or {}).get(file.index, ""))
    results = _each(wanted, lambda file: _join(upload, file, given[file.index]))
    problems = [problem for problem in results if problem]
    with transaction.atomic():
        locked = {
            row.pk: row
            for row in UploadFile.objects.select_for_update().filter(pk__in=[f.pk for f in wanted])
        }
        for file, problem in zip(wanted, results, strict=True):
            row = locked[file.pk]
            if row.status == UploadFile.Status.WANTED and row.s3_upload_id == file.s3_upload_id:
                forget_parts(row)
                row.status = UploadFile.Status.WANTED if problem else UploadFile.Status.RECEIVED
                row.sha256 = file.sha256
            _check_not_another(row, (digests or {}).get(file.index, ""))
            file.status = row.status
        UploadFile.objects.bulk_update(
            locked.values(), ["status", "sha256", "s3_upload_id", "part_digests"], batch_size=200
        )
        packs.set_received(row for row in locked.values() if row.status == UploadFile.Status.RECEIVED)
    if problems:
        first = problems[0]
        raise type(first)(first.sentence, reasons=[problem.sentence for problem in problems])
    return files


def _digest_said(file: UploadFile, said: str) -> str:
    """The digest of a file that was sent. Raises InvalidInput when none was said, or two."""
    if packs.is_pack(file) or said in ("", file.sha256):
        if not file.sha256 and not packs.is_pack(file):
            raise InvalidInput(f"{file.path} was announced without its sha256: say it now.", field="sha256")
        return file.sha256
    if file.sha256:
        raise InvalidInput(f"{file.path} was announced with sha256 {file.sha256}.", field="sha256")
    return said


def _check_not_another(file: UploadFile, said: str) -> None:
    """That what is here already is what the client sent, and not what another session sent of a file of the same
    path and size. Raises FileReceived."""
    if file.status != UploadFile.Status.WANTED and said not in ("", file.sha256):
        raise FileReceived(f"{file.path} has arrived with sha256 {file.sha256}, not {said}.", field="sha256")


def forget_parts(file: UploadFile) -> None:
    """The file has no multipart upload at the store any more. Saves nothing."""
    file.s3_upload_id, file.part_digests = "", {}


def _join(upload: Upload, file: UploadFile, given: list[Part]) -> PartsLost | BytesRefused | None:
    """Complete one file at the store. What the client has to mend is returned, not raised."""
    bucket = storage.hot()
    if not file.s3_upload_id:
        return PartsLost(f"No parts of {file.path} have been sent.")
    try:
        bucket.join(file.staging_key, file.s3_upload_id, _all_parts(upload, file, given))
    except storage.UploadMissing:
        # Joined already, and the answer was lost; or given up by the store.
        pass
    except (storage.StoreRefused, storage.ObjectMissing) as refusal:
        bucket.abort(file.staging_key, file.s3_upload_id)
        return PartsLost(f"The store could not join the parts of {file.path} ({refusal}): send it again.")
    except _MissingParts as missing:
        numbers = ", ".join(str(number) for number in missing.numbers[:20])
        raise InvalidInput(f"Parts {numbers} of {file.path} have not arrived.", field="parts") from None
    found = bucket.head(file.staging_key)
    if found is None:
        return PartsLost(f"The store does not know the parts of {file.path} any more: send it again.")
    if found.size != file.size:
        bucket.delete(file.staging_key)
        return BytesRefused(f"{file.path} arrived with {found.size} bytes; {file.size} were announced.")
    return None


class _MissingParts(Exception):
    def __init__(self, numbers: list[int]) -> None:
        super().__init__()
        self.numbers = numbers


def _all_parts(upload: Upload, file: UploadFile, given: list[Part]) -> list[Part]:
    """Every part in order: those given, the rest as the store lists them, with the digests they were signed for."""
    count = -(-file.size // upload.part_size)
    known = {part.number: part for part in given if 1 <= part.number <= count}
    if len(known) < count:
        for part in storage.hot().parts(file.staging_key, file.s3_upload_id):
            known.setdefault(part.number, part)
    missing = [number for number in range(1, count + 1) if number not in known]
    if missing:
        raise _MissingParts(missing)
    return [
        Part(
            number,
            known[number].etag,
            (known[number].sha256 or file.part_digests.get(str(number), "")) if _checked() else "",
        )
        for number in range(1, count + 1)
    ]


def received_parts(upload: Upload) -> dict[int, list[int]]:
    """index -> numbers of the parts that have arrived, for files that are being sent."""
    if upload.state != Upload.State.OPEN:
        return {}
    sending = list(upload.files.filter(status=UploadFile.Status.WANTED).exclude(s3_upload_id=""))

    def numbers(file: UploadFile) -> list[int]:
        try:
            return [part.number for part in storage.hot().parts(file.staging_key, file.s3_upload_id)]
        except (storage.UploadMissing, storage.ObjectMissing):
            return []

    return {file.index: arrived for file, arrived in zip(sending, _each(sending, numbers), strict=True)}


def remove_staging(upload: Upload) -> None:
    """Give up what the store holds for an upload: unfinished parts, then objects."""
    bucket, prefix = storage.hot(), storage.staging_prefix(upload.pk)
    for pending in list(bucket.pending(prefix)):
        bucket.abort(pending.key, pending.upload_id)
    _each([key for key, _ in bucket.keys(prefix)], bucket.delete)


def _checked() -> bool:
    return storage.parts_are_checked()


def _files(upload: Upload, by_index: Iterable[int]) -> list[UploadFile]:
    wanted = set(by_index)
    files = list(upload.files.filter(index__in=[index for index in wanted if 0 <= index < 2**31]))
    if unknown := wanted - {file.index for file in files}:
        raise InvalidInput(f"The upload has no file {min(unknown)}.", field="index")
    return files


def _each(items: Sequence[Item], act: Callable[[Item], Result]) -> list[Result]:
    """`act` on every item, store calls side by side, results in order. The first error is raised."""
    if len(items) <= 1:
        return [act(item) for item in items]
    with ThreadPoolExecutor(max_workers=STORE_CALLS, thread_name_prefix="store") as pool:
        return list(pool.map(act, items))
