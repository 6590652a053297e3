"""What the server answers to an announcement of files."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class UploadedPack(TypedDict):
    """Small files that are sent as one, in the order of their offsets."""

    index: int
    size: int
    status: str
    parts: list[int]


class UploadedFile(TypedDict):
    """One file of an upload: `status` present (needs no bytes), wanted or received.

    A small file may travel in a `pack`, named by its index, at an `offset` in bytes.
    """

    index: int
    path: str
    size: int
    sha256: str
    status: str
    parts: list[int]
    digests: NotRequired[dict[str, str]]
    pack: NotRequired[int]
    offset: NotRequired[int]


class Upload(TypedDict):
    """An upload in progress; `state` open, completed or aborted."""

    id: str
    state: str
    part_size: int
    expires_at: str
    files: list[UploadedFile]
    packs: NotRequired[list[UploadedPack]]
    same_size: NotRequired[list[int]]
