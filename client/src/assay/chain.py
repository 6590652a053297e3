"""Whether the entries of an evidence document stand in the journal that a server signed: their content, their numbers,
their order. No server is asked."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from assay.notes import Checkpoint, Key, NoteIsWrong, checkpoint_in, opened

# Whether it is right, and the sentence.
Found = tuple[bool, str]
_MARK = re.compile(r"\[redacted [0-9a-f]{12}\]")
_MOST = 10


def findings(document: dict[str, Any], digest: str, given: Sequence[Key]) -> Iterator[Found]:
    """What the proof of the document, whose digest was computed anew, shows with the keys that were given; without any,
    with those in the document itself."""
    proof = document.get("proof")
    if not isinstance(proof, dict):
        yield False, "It carries no proof: nothing shows that a server wrote it."
        return
    keys = list(given) or [Key.parse(text) for text in proof["keys"]]
    if not given:
        yield (
            True,
            (
                "It is checked with the key that it carries itself, which shows that its parts agree, and not whose "
                "they are: get the server's key another way (manage.py journal key) and give it with --key."
            ),
        )
    yield _document(digest, proof, keys)
    if proof["checkpoint"] is None:
        yield True, "The journal has no checkpoint yet: nothing shows that its entries are in it."
        return
    try:
        checkpoint = checkpoint_in(opened(proof["checkpoint"], keys))
    except NoteIsWrong as wrong:
        yield False, f"It carries a checkpoint, but {wrong}."
        return
    yield (
        True,
        (
            f"Checkpoint {checkpoint.number} of {checkpoint.name} is signed: {checkpoint.size} entries at "
            f"{checkpoint.at}."
        ),
    )
    yield from _entries(document["journal"]["events"], proof, checkpoint)


def goes_on(older: Checkpoint, newer: Checkpoint, hashes: Sequence[bytes]) -> bool:
    """Whether the journal of the newer one begins with all that the older one was signed over, by the hashes between
    (RFC 9162, section 2.1.4.2)."""
    if older.size == newer.size:
        return not hashes and older.root == newer.root
    if not 0 < older.size < newer.size or any(len(each) != 32 for each in hashes):
        return False
    path = list(hashes)
    if older.size & (older.size - 1) == 0:
        path.insert(0, older.root)
    if not path:
        return False
    at, last = older.size - 1, newer.size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    then = now = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            then, now = _above(each, then), _above(each, now)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            now = _above(now, each)
        at, last = at >> 1, last >> 1
    return last == 0 and (then, now) == (older.root, newer.root)


def forked(document: dict[str, Any], older: dict[str, Any]) -> str:
    """Why the journal of the one document does not go on from the other's, as far as the two show; or nothing."""
    now, then = (each["proof"] for each in (document, older))
    moved = [
        event
        for event, entry in then["entries"].items()
        if event in now["entries"] and now["entries"][event]["number"] != entry["number"]
    ]
    if moved:
        return f"Entries have another number than before: event {', '.join(sorted(moved)[:_MOST])}."
    if then["checkpoint"] is None:
        return ""
    if now["checkpoint"] is None:
        return "The older document carries a checkpoint, and this one none."
    # Whether they are signed is another finding, of each of the two.
    new, old = (checkpoint_in(f"{each['checkpoint'].rpartition(chr(10) * 2)[0]}\n") for each in (now, then))
    if new.size < old.size:
        return f"The journal had {old.size} entries then, and has {new.size} now."
    if new.size == old.size and new.root != old.root:
        return f"Two checkpoints over {new.size} entries are signed over different ones."
    return ""


def _document(digest: str, proof: dict[str, Any], keys: Sequence[Key]) -> Found:
    try:
        text = opened(proof["signed"], keys)
    except NoteIsWrong as wrong:
        return False, f"The document carries a signature, but {wrong}."
    if text.split("\n", 1)[1] != f"evidence {digest}\n":
        return False, "The signature is of another document."
    return True, "The server signed this document, whole as it is."


def _entries(
    events: Sequence[dict[str, Any]], proof: dict[str, Any], checkpoint: Checkpoint
) -> Iterator[Found]:
    entries, size = proof["entries"], checkpoint.size
    hashes = {name: bytes.fromhex(value) for name, value in proof["hashes"].items()}
    wrong, new, redacted, last = [], [], [], 0
    for event in events:
        entry = entries.get(str(event["id"]))
        if entry is None:
            new.append(event)
            continue
        number = entry["number"]
        called = f"Entry {number} (event {event['id']}, {event['type']})"
        if not 1 <= number <= size or _climbed(_leaf(event, entry), number, size, hashes) != checkpoint.root:
            wrong.append(f"{called} is not what checkpoint {checkpoint.number} was signed over.")
        elif bare := [name for name in entry.get("redacted", {}) if not _has_mark(_content(event)[name])]:
            wrong.append(f"{called}: its {bare[0]} is said to be redacted, and has no mark of it.")
        elif number <= last:
            wrong.append(
                f"{called} stands behind entry {last}: they are in another order than in the journal."
            )
        elif new:
            wrong.append(f"{called} stands behind event {new[-1]['id']}, which has no number yet.")
        else:
            last = number
        if entry.get("redacted"):
            redacted.append(event)
    yield from ((False, sentence) for sentence in wrong[:_MOST])
    if wrong[_MOST:]:
        yield False, f"So it is with {len(wrong) - _MOST} more."
    proven = len(events) - len(new)
    if proven and not wrong:
        yield (
            True,
            (
                f"{proven} of its {len(events)} entries are in it as they stand here, at their numbers, in their order."
            ),
        )
    if redacted:
        yield (
            True,
            (
                f"Out of {len(redacted)} of them a text was redacted since (event {_ids(redacted)}): what is left of "
                "that field is not proven, everything else is."
            ),
        )
    if new:
        yield True, f"{len(new)} entries are in no checkpoint yet, and not proven (event {_ids(new)})."


def _ids(events: Sequence[dict[str, Any]]) -> str:
    named = ", ".join(str(event["id"]) for event in events[:_MOST])
    return f"{named}, ..." if events[_MOST:] else named


def _content(event: dict[str, Any]) -> dict[str, Any]:
    """What the chain holds salted digests of."""
    told = {name: event[name] for name in ("reason", "before", "after")}
    return {"reference": event["subject"]["reference"], **told}


def _has_mark(content: Any) -> bool:
    return _MARK.search(json.dumps(content, ensure_ascii=False)) is not None


def _leaf(event: dict[str, Any], entry: dict[str, Any]) -> bytes:
    """The hash of the leaf that the event has, were it entry `number`."""
    salted: dict[str, str | None] = {}
    for name, content in _content(event).items():
        salt = entry["salts"].get(name)
        salted[name] = entry.get("redacted", {}).get(name)
        if salt is not None:
            salted[name] = hashlib.sha256(_canonical([salt, name, content])).hexdigest()
        elif salted[name] is None and content not in (None, ""):
            return b""  # something is said that the chain knows nothing of
    subject = {key: event["subject"][key] for key in ("kind", "id")}
    plain = {key: event[key] for key in ("id", "type", "namespace", "actor", "token_prefix", "at")}
    told = {"v": 1, "number": entry["number"], "subject": subject, "salted": salted, **plain}
    return hashlib.sha256(b"\x00" + _canonical(told)).digest()


def _canonical(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8", "surrogatepass")


def _climbed(leaf: bytes, number: int, size: int, hashes: dict[str, bytes]) -> bytes:
    """The root to which a leaf leads (RFC 6962, section 2.1.1); nothing when a hash on the way is missing."""
    steps = []
    low, high = 1, size
    while low < high:
        half = 1 << (high - low).bit_length() - 1
        if number < low + half:
            steps.append((hashes.get(f"{low + half}:{high}"), False))
            high = low + half - 1
        else:
            steps.append((hashes.get(f"{low}:{low + half - 1}"), True))
            low += half
    for other, is_left in reversed(steps):
        if other is None or len(other) != 32:
            return b""
        leaf = _above(other, leaf) if is_left else _above(leaf, other)
    return leaf


def _above(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
