"""What an evidence document proves by itself: no server is asked, and no access is needed.

A document is text that somebody hands over, so nothing about it is trusted. That it is whole and that its parts agree
is found here; that a server wrote it, and that its entries are in that server's journal, with the server's key. Without
it, an older document of the same version shows whether an entry was rewritten since.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

from assay import chain
from assay.digest import manifest_digest
from assay.errors import DigestMismatch, PathRefused
from assay.notes import Key

FORMAT = "assay-evidence/1"
_OUTSIDE = {"exported", "digest", "proof"}
_MARK = re.compile(r"\[redacted [0-9a-f]{12}\]")
# Stages that are entered by a promotion only.
_GUARDED = ("staging", "production")


class Finding(TypedDict):
    """One thing that was looked at: `about` the document, its journal or a version; `sentence` says what was found."""

    about: str
    ok: bool
    sentence: str


class Checked(TypedDict):
    """A document that was checked."""

    ok: bool
    title: str
    digest: str
    exported: dict[str, Any]
    findings: list[Finding]


def check(
    path: str | os.PathLike[str],
    against: str | os.PathLike[str] | None = None,
    *,
    keys: Sequence[str | os.PathLike[str]] = (),
) -> Checked:
    """Check the document in a file, `against` an older one if given, with the server's public keys: each as the server
    prints it, or the path of a file that holds some. Raises PathRefused for what cannot be read, DigestMismatch for
    what is no evidence document, or no key."""
    document, given = _read(path), [key for each in keys for key in _keys(each)]
    findings = [*_guarded(document, Path(path).name, given)]
    if against is not None:
        older = _read(against)
        findings.append(_rewritten(document, older, Path(against).name))
        findings += _continued(document, older, Path(against).name, given)
    about = document["about"] if isinstance(document.get("about"), dict) else {}
    return {
        "ok": all(finding["ok"] for finding in findings),
        "title": str(about.get("reference") or about.get("namespace") or ""),
        "digest": str(document.get("digest")),
        "exported": document["exported"] if isinstance(document.get("exported"), dict) else {},
        "findings": findings,
    }


def sha256_of(value: Any) -> str:
    """`sha256:<hex>` of compact UTF-8 JSON with sorted keys, as the server makes it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _digest(document: dict[str, Any]) -> str:
    return sha256_of({key: value for key, value in document.items() if key not in _OUTSIDE})


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        document = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise PathRefused(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DigestMismatch(f"{path} is not evidence as `assay evidence` saves it (its .json file).")
    return document


def _keys(given: str | os.PathLike[str]) -> list[Key]:
    if isinstance(given, str) and "+" in given and not Path(given).exists():
        lines = [given]
    else:
        try:
            lines = Path(given).read_text().split()
        except (OSError, UnicodeDecodeError) as error:
            raise PathRefused(f"{given} is no key, and cannot be read as a file of keys: {error}.") from None
    try:
        return [Key.parse(line) for line in lines]
    except ValueError:
        raise DigestMismatch(f"{given} is no public key as `manage.py journal key` prints it.") from None


def _guarded(document: dict[str, Any], name: str, keys: Sequence[Key]) -> Iterator[Finding]:
    """Every finding; where a part has not the shape that it should have, that is the finding."""
    try:
        yield _whole(document, name)
        yield from _journal(document["journal"])
        yield from (_finding("proof", *found) for found in chain.findings(document, _digest(document), keys))
        for told in document["versions"]:
            yield from _version(told, document["journal"]["events"])
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, PathRefused) as error:
        yield _finding(name, False, f"It has not the shape of evidence: {type(error).__name__} {error}.")


def _finding(about: str, ok: bool, sentence: str) -> Finding:
    return {"about": about, "ok": ok, "sentence": sentence}


def _whole(document: dict[str, Any], name: str) -> Finding:
    found = _digest(document)
    if found == document["digest"]:
        return _finding(name, True, "Nothing in it was changed since its digest was made.")
    return _finding(name, False, f"It was changed: its digest would be {found}.")


def _journal(journal: dict[str, Any]) -> Iterator[Finding]:
    events = journal["events"]
    wrong = [
        str(event["id"])
        for event in events
        if event["sha256"] != sha256_of({key: value for key, value in event.items() if key != "sha256"})
    ]
    if wrong:
        yield _finding("journal", False, f"Entries were changed: {', '.join(wrong[:10])}.")
    elif journal["sha256"] != sha256_of([event["sha256"] for event in events]):
        yield _finding("journal", False, "Entries were added, taken out or put in another order.")
    else:
        yield _finding("journal", True, f"Each of its {len(events)} entries has its digest, in their order.")


def _version(told: dict[str, Any], events: list[dict[str, Any]]) -> Iterator[Finding]:
    reference = told["version"]["reference"]
    yield from (_finding(reference, *found) for found in _files(told))
    applied = {each["id"]: each for each in told["promotions"] if each["state"] == "applied"}
    yield _finding(reference, *_stages(told, applied))
    for promotion in applied.values():
        yield _finding(reference, *_allowed(promotion, told["version"]["created_by"]))
    yield _finding(reference, *_recorded(told, events))


def _files(told: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    digest, files = told["version"]["digest"], told["files"]
    if digest is None:
        return
    found = manifest_digest([{key: file[key] for key in ("path", "size", "sha256")} for file in files])  # type: ignore[misc]
    if found == digest:
        yield True, f"Its {len(files)} file{'' if len(files) == 1 else 's'} make the digest {digest[:19]}…"
    else:
        yield False, f"Its files make {found[:19]}… and not {digest[:19]}…"


def _stages(told: dict[str, Any], applied: dict[str, Any]) -> tuple[bool, str]:
    stage = "development"
    for move in told["stages"]:
        if move["from"] != stage:
            return False, f"It left {move['from']} at {move['at']}, but stood in {stage}."
        stage = move["to"]
        asked = applied.get(move["promotion"])
        if stage in _GUARDED and (asked is None or asked["target"] != stage):
            return False, f"It entered {stage} at {move['at']} without a promotion that was applied."
    if stage != told["version"]["stage"]:
        return False, f"Its moves lead to {stage}, but it is said to be in {told['version']['stage']}."
    moves = len(told["stages"])
    return True, f"Its {moves} move{'' if moves == 1 else 's'} lead to {stage}, each into use by a promotion."


def _allowed(promotion: dict[str, Any], maker: str) -> tuple[bool, str]:
    """Whether the gates let it pass and enough people approved just this, none of whom asked for it or made it."""
    what = "The rollback" if promotion["kind"] == "rollback" else f"The promotion to {promotion['target']}"
    stood = [gate["gate"] for gate in promotion["gates"] if gate["verdict"] not in ("pass", "waived")]
    if stood:
        return False, f"{what} was applied although {', '.join(stood)} did not pass."
    given = [each for each in promotion["approvals"] if each["verdict"] == "approve"]
    own = [each["by"] for each in given if each["by"] in (promotion["requested_by"], maker)]
    if own:
        return False, f"{what} was approved by {own[0]}, who asked for it or made the version."
    other = [each["by"] for each in given if each["binding"] != promotion["binding"]]
    if other:
        return False, f"{what} was approved by {other[0]} as something else than what was applied."
    people, needed = sorted({each["by"] for each in given}), promotion["approvals_required"]
    glass = promotion.get("break_glass")
    if glass:
        # It stands for the approvals of others, never for that of the operator who broke it.
        if glass["by"] not in people:
            return False, f"{what} was applied by broken glass, without the approval of {glass['by']}."
        needed = 0
    if len(people) < needed:
        return False, f"{what} has {len(people)} of the {needed} approvals it needed."
    by = f"approved by {', '.join(people)}, not by who asked" if people else "no approval was asked for"
    broken = f"; {glass['by']} broke the glass: {glass['reason'].rstrip('.')}" if glass else ""
    return True, f"{what}: every gate passed or was waived; {by}{broken}."


def _recorded(told: dict[str, Any], events: list[dict[str, Any]]) -> tuple[bool, str]:
    """Whether the journal has an entry of each move and of each decision, by the same person at the same moment."""
    written = {(event["subject"]["id"], event["actor"], event["at"]) for event in events}
    acts = [
        (told["version"]["id"], move["by"], move["at"], f"move to {move['to']}") for move in told["stages"]
    ]
    acts += [
        (promotion["id"], each["by"], each["at"], f"decision of {each['by']}")
        for promotion in told["promotions"]
        for each in promotion["approvals"]
    ]
    for subject, by, at, what in acts:
        if (subject, by, at) not in written:
            return False, f"The journal has no entry of the {what} at {at}."
    return True, "The journal has an entry of each move and each decision."


def _rewritten(document: dict[str, Any], older: dict[str, Any], name: str) -> Finding:
    """Whether what the older document says of entries that both have is what this one says; a text that was taken out
    by a redaction since is no rewriting."""
    try:
        now = {event["id"]: event for event in document["journal"]["events"]}
        then = {event["id"]: event for event in older["journal"]["events"]}
        if older["digest"] != _digest(older):
            return _finding(name, False, "The older document was changed.")
        subjects = {told["version"]["id"] for told in document["versions"]}
        gone = [pk for pk, event in then.items() if pk not in now and event["subject"]["id"] in subjects]
        changed = [pk for pk in then.keys() & now.keys() if not _alike(then[pk], now[pk])]
    except (KeyError, TypeError, AttributeError) as error:
        return _finding(name, False, f"It has not the shape of evidence: {type(error).__name__} {error}.")
    if gone or changed:
        told = ", ".join(str(pk) for pk in sorted({*gone, *changed})[:10])
        return _finding(name, False, f"Journal entries were rewritten or taken out since: {told}.")
    both = len(then.keys() & now.keys())
    return _finding(name, True, f"The {both} journal entries that both documents have are the same.")


def _continued(
    document: dict[str, Any], older: dict[str, Any], name: str, keys: Sequence[Key]
) -> Iterator[Finding]:
    """Whether both are of one journal, of which the newer shows more."""
    try:
        found = chain.findings(older, _digest(older), keys)
        yield from (_finding(name, *each) for each in found if not each[0])
        why = chain.forked(document, older)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        why = f"It has not the shape of evidence: {type(error).__name__} {error}."
    yield _finding(
        name, not why, why or "The journal of the newer one goes on from it, as far as the two show."
    )


def _alike(then: dict[str, Any], now: dict[str, Any]) -> bool:
    return all(_same(then[key], now[key]) for key in then.keys() | now.keys() if key != "sha256")


def _same(then: Any, now: Any) -> bool:
    if isinstance(then, dict) and isinstance(now, dict):
        return then.keys() == now.keys() and all(_same(then[key], now[key]) for key in then)
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now) and all(map(_same, then, now))
    return bool(then == now) or (isinstance(now, str) and _MARK.fullmatch(now) is not None)
