"""The code that made two versions: commits, what was changed beside them, what was started."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lineage.differences.kinds import Difference, changed, mapping, short_digest
from lineage.making import Making

Sides = tuple[Making, Making]
COMMIT = re.compile(r"[0-9a-f]{7,64}")
# git@host:path, ssh://git@host:22/path, https://user@host/path.git
_REMOTE = re.compile(
    r"(?:(?:https?|ssh|git)://)?(?:[^@/\s]+@)?(?P<host>[A-Za-z0-9.-]{1,253})(?::\d{1,5}/|[:/])"
    r"(?P<path>[A-Za-z0-9_.~-]+(?:/[A-Za-z0-9_.~-]+){1,6})/?"
)
# How a forge shows what lies between two commits, by its name: that of the host, or the first word of a company's own.
_FORGES = {
    "github": "https://{host}/{path}/compare/{a}...{b}",
    "gitlab": "https://{host}/{path}/-/compare/{a}...{b}",
    "bitbucket": "https://{host}/{path}/branches/compare/{b}..{a}",
    "codeberg": "https://{host}/{path}/compare/{a}...{b}",
    "gitea": "https://{host}/{path}/compare/{a}...{b}",
    "forgejo": "https://{host}/{path}/compare/{a}...{b}",
}
_PUBLIC = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucket",
    "codeberg.org": "codeberg",
}
# Hosts that would be taken for one of these.
_ALIKE = tuple(f"{host}." for host in _PUBLIC)


@dataclass(frozen=True)
class _Code:
    """The code of a run as it was recorded. `edits` is the digest of changes that are in no commit: None without
    any, "" where it is not known."""

    commit: str
    remote: str
    edits: str | None
    rest: str
    source: str

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> _Code:
        return cls(
            commit=str(facts.get("commit") or ""),
            remote=str(facts.get("remote") or ""),
            edits=str(facts.get("diff_digest") or "") if facts.get("dirty") else None,
            rest=str(facts.get("rest_digest") or ""),
            source=str(facts.get("source_digest") or ""),
        )


def code(sides: Sides) -> Iterator[Difference]:
    """What both recorded and what differs. The commit range reads as Git takes it: `a..b`."""
    runs = [side.run for side in sides]
    if runs[0] is None or runs[1] is None:
        return
    mine, theirs = (_Code.of(mapping(run.code)) for run in (runs[0], runs[1]))
    in_git = bool(mine.commit and theirs.commit)
    if in_git and mine.commit != theirs.commit:
        yield _commits(mine, theirs, sides)
    if in_git and mine.edits != theirs.edits:
        yield _edits(mine, theirs, sides)
    covered = in_git and (mine.commit, mine.edits) != (theirs.commit, theirs.edits)
    entries = runs[0].entry_point, runs[1].entry_point
    if all(entries) and entries[0] != entries[1]:
        yield changed("code", "the entry point", entries, sides, entries)
    elif not covered and mine.source and theirs.source and mine.source != theirs.source:
        digests = mine.source, theirs.source
        told = short_digest(digests[0]), short_digest(digests[1])
        yield changed("code", f"the content of {entries[0] or 'what was started'}", told, sides, digests)


def _commits(mine: _Code, theirs: _Code, sides: Sides) -> Difference:
    told = f"commit {mine.commit[:10]}", f"commit {theirs.commit[:10]}"
    values = mine.commit, theirs.commit
    ours, others = _place(mine.remote), _place(theirs.remote)
    if ours and others and ours != others:
        return changed("code", "the code", told, sides, values, more="these are of two repositories")
    same = same_rest(mine, theirs)
    more = f"{mine.commit[:7]}..{theirs.commit[:7]}"
    more += ", in which only files changed that are recorded by themselves" if same else ""
    link = compare_link(mine.remote or theirs.remote, *values)
    found = changed("code", "the code", told, sides, values, more=more)
    return replace(found, follows="recorded" if same else "", link=link)


def _edits(mine: _Code, theirs: _Code, sides: Sides) -> Difference:
    told = [
        "none" if edits is None else short_digest(edits) if edits else "some"
        for edits in (mine.edits, theirs.edits)
    ]
    return changed("code", "the uncommitted changes", (told[0], told[1]), sides, (mine.edits, theirs.edits))


def same_rest(mine: _Code, theirs: _Code) -> bool:
    """Whether both commits hold the same, but for the files whose digests are recorded apart."""
    return bool(mine.rest) and mine.rest == theirs.rest and mine.edits is None and theirs.edits is None


def compare_link(remote: str, a: str, b: str) -> str:
    """The page of a known forge that shows what lies between two commits; empty where none is known."""
    place = _place(remote)
    if place is None or not COMMIT.fullmatch(a) or not COMMIT.fullmatch(b):
        return ""
    host, path = place
    if host.startswith(_ALIKE):
        return ""
    known = _PUBLIC.get(host) or host.partition(".")[0]
    return _FORGES[known].format(host=host, path=path, a=a[:12], b=b[:12]) if known in _FORGES else ""


def _place(remote: str) -> tuple[str, str] | None:
    """The host and path of a repository, whichever way it is fetched; None for a folder or what is no address."""
    found = _REMOTE.fullmatch(remote.strip())
    if found is None or "." not in found["host"] or ".." in found["path"]:
        return None
    return found["host"].lower(), found["path"].removesuffix(".git")
