"""Small files travel in packs, one after another in one object, so that none of them costs a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from registry.artifacts import storage
from registry.artifacts.storage import MIB
from registry.errors import InvalidInput
from registry.models import Upload, UploadFile

SMALL = MIB
LARGEST_PACK = 64 * MIB


def pack(upload: Upload, files: Sequence[UploadFile]) -> list[UploadFile]:
    """The packs for the small ones of an upload's files, each of which is given its place. Saves nothing."""
    small = [file for file in files if file.status == UploadFile.Status.WANTED and file.size <= SMALL]
    if len(small) < 2:
        return []
    packs: list[UploadFile] = []
    for file in small:
        if not packs or packs[-1].size + file.size > LARGEST_PACK:
            packs.append(_empty(upload, len(files) + len(packs), len(packs) + 1))
        file.pack, file.offset, file.staging_key = packs[-1], packs[-1].size, ""
        packs[-1].size += file.size
    return packs


def _empty(upload: Upload, index: int, number: int) -> UploadFile:
    return UploadFile(
        upload=upload,
        index=index,
        path=f"/pack/{number}",
        size=0,
        sha256="",
        staging_key=storage.staging_key(upload.pk, index),
    )


def is_pack(file: UploadFile) -> bool:
    """Whether it is a pack, and no file that anybody announced."""
    return file.path.startswith("/")


def check_sent_alone(files: Iterable[UploadFile]) -> None:
    """Raises InvalidInput for a file that travels in a pack."""
    for file in files:
        if file.pack_id is not None:
            raise InvalidInput(f"{file.path} travels in a pack: send that instead.", field="index")


def set_received(packs: Iterable[UploadFile]) -> None:
    """With a pack, all that travels in it has arrived. Within the caller's transaction."""
    rows = UploadFile.objects.filter(pack__in=[file.pk for file in packs], status=UploadFile.Status.WANTED)
    rows.update(status=UploadFile.Status.RECEIVED)


def carve(files: Iterable[UploadFile], chunks: Iterator[bytes]) -> Iterator[tuple[UploadFile, bytes]]:
    """Each file of a pack with its bytes; `files` by offset, `chunks` the pack from its beginning.

    Holds no more than a chunk and a file. A pack that ends early gives the rest of its files fewer bytes.
    """
    held, start = bytearray(), 0
    for file in files:
        end = (file.offset or 0) + file.size
        while start + len(held) < end and (chunk := next(chunks, b"")):
            held += chunk
        begin = (file.offset or 0) - start
        yield file, bytes(held[begin : begin + file.size])
        del held[: begin + file.size]
        start += begin + file.size
