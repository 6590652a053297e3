"""The data of a run: looked for, hashed, and laid where the code reads it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.digest import check_path, sha256_file
from assay.errors import PathRefused
from assay.reproduce.pieces import CHANGED, MISSING, PRESENT, UNKNOWN, Piece
from assay.tracking.dvc.contents import Contents
from assay.tracking.dvc.files import Item
from assay.tracking.redaction import REDACTED

_INPUT = "input"


@dataclass(frozen=True)
class Places:
    """Where data may lie: a folder that was named, and a repository at hand."""

    data: Path | None = None
    repository: Path | None = None


def gather(datasets: Iterable[Mapping[str, Any]], places: Places, code: Path | None) -> Iterator[Piece]:
    """A piece for each dataset that was read. What is found and as it was, is copied to its place under `code`."""
    for each in datasets:
        if each.get("role") == _INPUT:
            yield _piece(each, places, code)


def needed(pieces: Sequence[Piece]) -> list[str]:
    """What stands in the way of the same result: files that are not there as they were."""
    return [piece.name for piece in pieces if piece.state in (CHANGED, MISSING)]


def _piece(said: Mapping[str, Any], places: Places, code: Path | None) -> Piece:
    name, digest, source = str(said["name"]), str(said["digest"]), str(said.get("source") or said["name"])
    if not digest.startswith("sha256:"):
        return Piece(name, UNKNOWN, f"{digest.partition(':')[0]}: a table in memory, which the code makes")
    if REDACTED in source:
        return Piece(name, UNKNOWN, "its path held a secret and is not recorded")
    other: Path | None = None
    for path in _candidates(said, source, places, code):
        if path.is_dir():
            return Piece(name, UNKNOWN, f"a folder at {path}: which of its files were read is not checked")
        if not path.is_file():
            continue
        if _digest(path) == digest:
            return _placed(name, source, path, code)
        other = other or path
    if other is not None:
        return Piece(name, CHANGED, f"{other} is not what was read ({digest[:19]}…)")
    if not _is_file(said, source):
        return Piece(name, UNKNOWN, f"{source}: no file that could be looked for")
    hint = "; `dvc pull` may bring it" if said.get("foreign_digest") else "; name its folder with --data"
    return Piece(name, MISSING, f"{digest[:19]}… is in none of the places that are known{hint}")


def _is_file(said: Mapping[str, Any], source: str) -> bool:
    return said.get("rows") is None or "/" in source or "." in source


def _candidates(said: Mapping[str, Any], source: str, places: Places, code: Path | None) -> Iterator[Path]:
    """As the code has it, under what was named, in the repository, in its DVC cache."""
    relative = source.lstrip("/").removeprefix("~/")
    if os.path.isabs(source) or source.startswith("~"):
        yield Path(source).expanduser()
    elif code is not None:
        yield code / source
    if places.data is not None:
        yield places.data / relative
        # `--data DIR` may be the folder itself that the path begins with, or all files in one.
        yield places.data / relative.partition("/")[2] if "/" in relative else places.data / relative
        yield places.data / os.path.basename(relative)
    if places.repository is not None:
        yield places.repository / relative
        foreign = str(said.get("foreign_digest") or "")
        if foreign.startswith("md5:"):
            contents = Contents(places.repository, places.repository / ".dvc")
            yield from contents.objects(Item(relative, foreign))


def _digest(path: Path) -> str:
    try:
        return f"sha256:{sha256_file(path)}"
    except OSError:
        return ""


def _placed(name: str, source: str, found: Path, code: Path | None) -> Piece:
    if code is None or found == code / source or os.path.isabs(source):
        return Piece(name, PRESENT, f"as it was, at {found}")
    try:
        target = code / check_path(source)
    except PathRefused:
        return Piece(
            name, PRESENT, f"as it was, at {found}; the code read it at {source}, outside of its folder"
        )
    # A link in the code must not lead a copy out of the folder.
    if not target.parent.resolve().is_relative_to(code.resolve()) or target.is_symlink():
        return Piece(name, PRESENT, f"as it was, at {found}; not copied: {source} leads out of the folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found, target)
    return Piece(name, PRESENT, f"as it was, copied from {found}")
