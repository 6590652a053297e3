"""The code that ran: the Git repository of the entry point, and what was changed in it since the last commit."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from assay.tracking.redaction import Redactor

MAX_UNTRACKED = 200
# Bytes of a diff that is kept; of a larger one only the digest is.
MAX_DIFF = 1 << 20
_SECONDS = 30


class GitFailed(Exception):
    """Git is not installed, refused or took too long; the text is its own first line."""


@dataclass(frozen=True)
class Repository:
    """A work tree as it was when a run began. `commit` is None before the first commit."""

    root: Path
    commit: str | None
    branch: str | None
    remote: str | None
    dirty: bool
    diff_digest: str | None
    untracked: list[str] = field(default_factory=list)
    # the diff itself; None when there is none, or one above MAX_DIFF
    changes: bytes | None = field(default=None, repr=False)

    @cached_property
    def tracked(self) -> frozenset[str]:
        """Paths that Git tracks, relative to the root."""
        return frozenset(_paths(ask(self.root, "ls-files", "-z")))

    def rest_digest(self, recorded: Collection[str]) -> str:
        """`sha256:<hex>` of everything that Git tracks but for these paths, which are recorded by themselves: so that a
        commit that changed nothing else is known for one. Raises GitFailed."""
        lines = ask(self.root, "ls-files", "-s", "-z").split(b"\0")
        left_out = {os.fsencode(path) for path in recorded}
        kept = [line for line in lines if line.partition(b"\t")[2] not in left_out]
        digest = hashlib.sha256(b"\0".join(kept))
        return f"sha256:{digest.hexdigest()}"

    def facts(self, redactor: Redactor) -> dict[str, Any]:
        """The `code` of a run, as it is sent."""
        return {
            "commit": self.commit or "",
            "remote": redactor.text(self.remote or ""),
            "branch": redactor.text(self.branch or ""),
            "dirty": self.dirty,
            "diff_digest": self.diff_digest or "",
            "untracked": [redactor.text(path) for path in self.untracked[:MAX_UNTRACKED]],
        }


def inspect(folder: Path) -> Repository | None:
    """The repository that holds a folder, None when there is none. Raises GitFailed."""
    try:
        root = ask(folder, "rev-parse", "--show-toplevel").decode(errors="surrogateescape").rstrip("\n")
    except GitFailed as error:
        if "not a git repository" in str(error):
            return None
        raise
    if not root:  # a bare repository has no work tree
        return None
    top = Path(root)
    status = _paths(ask(top, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=normal"))
    untracked = [line[3:] for line in status if line.startswith("?? ")]
    dirty = len(untracked) < len(status)
    commit = _line(top, "rev-parse", "--verify", "--quiet", "HEAD")
    diff, changes = None, b""
    if dirty:
        against = ("HEAD",) if commit else ("--cached",)
        changes = ask(top, "diff", "--no-ext-diff", "--no-color", "--no-textconv", "--binary", *against)
        diff = f"sha256:{hashlib.sha256(changes).hexdigest()}"
        if b"\nGIT binary patch\n" in changes:  # in which no secret would be found
            changes = ask(top, "diff", "--no-ext-diff", "--no-color", "--no-textconv", *against)
    return Repository(
        root=top,
        commit=commit,
        branch=_line(top, "symbolic-ref", "--quiet", "--short", "HEAD"),
        remote=remote(top),
        dirty=dirty,
        diff_digest=diff,
        untracked=untracked,
        changes=changes if 0 < len(changes) <= MAX_DIFF else None,
    )


def commits_of(folder: Path, name: str) -> list[str]:
    """The commits of a range (`v1..HEAD`), or the one of a name (`HEAD~3`), in full. Raises GitFailed."""
    one = () if ".." in name else ("--max-count=1",)
    return ask(folder, "rev-list", *one, "--end-of-options", name, "--").decode().split()


def remote(root: Path) -> str | None:
    """Where `origin` is fetched from; without one, the first remote."""
    lines = (_line(root, "config", "--get-regexp", r"^remote\..*\.url$", lines=True) or "").splitlines()
    urls = {name: url for name, _, url in (line.partition(" ") for line in lines)}
    return urls.get("remote.origin.url") or next(iter(urls.values()), None)


def _line(root: Path, *arguments: str, lines: bool = False) -> str | None:
    """What Git answers, None when it says that there is nothing."""
    try:
        answer = ask(root, *arguments).decode(errors="replace")
    except GitFailed:
        return None
    return (answer if lines else answer.strip()) or None


def _paths(answer: bytes) -> list[str]:
    return [os.fsdecode(path) for path in answer.split(b"\0") if path]


def ask(folder: Path, *arguments: str) -> bytes:
    """What Git answers. Raises GitFailed."""
    # no optional locks: a run must not be in the way of somebody's commit
    environment = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True, stdin=subprocess.DEVNULL, env=environment, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise GitFailed(f"git could not be run: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise GitFailed(said[0] if said else f"git ended with {done.returncode}")
    return done.stdout
