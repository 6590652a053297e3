"""The code of a run: the commit, fetched from where it was recorded or from a repository at hand, and the changes."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.reproduce.pieces import CHANGED, MISSING, PRESENT, Piece
from assay.tracking.redaction import REDACTED

_SECONDS = 900
# The address comes from a record: what Git would run as a command is no address.
_PROTOCOLS = "file:git:http:https:ssh"
_SHOWN = 5
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class CodeNotHere(Exception):
    """The commit could not be got; the text says from where, and what would help."""


@dataclass(frozen=True)
class Diff:
    """The changes that were kept with a version."""

    content: bytes


def fetch(commit: str, remote: str, repository: Path | None, folder: Path) -> Piece:
    """The files of a commit in `folder`. Raises CodeNotHere."""
    if not _COMMIT.fullmatch(commit):
        raise CodeNotHere(f"{commit[:60]!r} is no commit of Git's.")
    source = str(repository.resolve()) if repository is not None else remote
    if not source:
        raise CodeNotHere(
            "No remote was recorded with the code: give a clone that has the commit with --repo."
        )
    if REDACTED in source:
        raise CodeNotHere(
            "The address of the code held a secret: give a clone that has the commit with --repo."
        )
    try:
        _git(folder.parent, "clone", "--quiet", "--no-checkout", "--", source, str(folder))
        if not _has(folder, commit):  # on no branch any more
            _git(folder, "fetch", "--quiet", "origin", commit)
        _git(folder, "checkout", "--quiet", "--detach", commit)
        found = _git(folder, "rev-parse", "HEAD").decode().strip()
    except _Failed as error:
        hint = "" if repository is not None else " Give a clone that has the commit with --repo."
        raise CodeNotHere(f"Commit {commit[:10]} could not be got from {source}: {error}.{hint}") from error
    if found != commit:
        raise CodeNotHere(f"{source} gave commit {found[:10]} for {commit[:10]}.")
    return Piece("code", PRESENT, f"commit {commit[:10]} from {source}")


def apply(code: Mapping[str, Any], diff: Diff | None, folder: Path) -> Iterator[Piece]:
    """The changes that were in no commit, and what else ran that no commit holds."""
    if code.get("dirty"):
        yield _applied(str(code.get("diff_digest") or ""), diff, folder)
    untracked = [str(path) for path in code.get("untracked") or []]
    if untracked:
        named = ", ".join(untracked[:_SHOWN])
        more = f" and {len(untracked) - _SHOWN} more" if len(untracked) > _SHOWN else ""
        yield Piece("files not in Git", MISSING, f"were there and are not kept: {named}{more}")


def _applied(recorded: str, diff: Diff | None, folder: Path) -> Piece:
    if diff is None:
        return Piece(
            "changes", MISSING, "the work tree had changes, and their diff is not kept with the version"
        )
    try:
        _git(folder, "apply", "--whitespace=nowarn", "-", given=diff.content)
    except _Failed as error:
        return Piece("changes", MISSING, f"the diff that is kept does not apply: {error}")
    if f"sha256:{hashlib.sha256(diff.content).hexdigest()}" == recorded:
        return Piece("changes", PRESENT, "the diff is applied, as it was recorded")
    return Piece(
        "changes", CHANGED,
        "the diff is applied, but is not all of what was there: secrets and binary files were left out",
    )  # fmt: skip


class _Failed(Exception):
    """Git's own first line."""


def _has(folder: Path, commit: str) -> bool:
    try:
        _git(folder, "cat-file", "-e", f"{commit}^{{commit}}")
    except _Failed:
        return False
    return True


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    # Nothing of the caller's repository, if this runs in one of Git's own hooks.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {
        "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
    }  # fmt: skip
    settings = (
        "-c",
        "core.autocrlf=false",
        "-c",
        "advice.detachedHead=false",
        "-c",
        "protocol.ext.allow=never",
    )
    try:
        done = subprocess.run(
            ["git", *settings, "-C", str(folder), *arguments],
            input=given, capture_output=True, env=environment, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise _Failed(f"git could not be run: {error}") from error
    if done.returncode:
        said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise _Failed((said[0] if said else f"git ended with {done.returncode}").rstrip("."))
    return done.stdout
