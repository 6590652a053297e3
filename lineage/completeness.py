"""How much is known of where a version came from: which facts are recorded, and what is missing, in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from lineage.models import Run


class Fact(StrEnum):
    """Something that can be known of a version's making. A gate may require any of them."""

    RUN = "run"
    COMMIT = "commit"
    CLEAN_TREE = "clean_tree"
    DATASETS = "datasets"
    PACKAGES = "packages"
    IMAGE_DIGEST = "image_digest"


class State(StrEnum):
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    UNKNOWN = "unknown"


# Noted, and missing only where a gate requires it: not every company trains in containers.
OPTIONAL = frozenset({Fact.IMAGE_DIGEST})
RUNNING_ON = "the run has not ended: what it used is not known yet"
_ENDS = {Run.Status.FAILED.value: "failed", Run.Status.KILLED.value: "was killed"}
NOT_REPORTED = {
    "state": State.UNKNOWN.value,
    "notes": ["the run has not said how much of what it used it could see"],
}


def absent_facts(run: Run | None, datasets_read: int) -> dict[Fact, str]:
    """The facts that are not recorded, each in a few words. Empty: all are."""
    if run is None:
        return {Fact.RUN: "no run: nothing is known of the code, the data or the environment"}
    absent: dict[Fact, str] = {}
    code, environment = run.code or {}, run.environment or {}
    if not code.get("commit"):
        absent[Fact.COMMIT] = "no Git commit: the code cannot be found again"
    elif code.get("dirty"):
        absent[Fact.CLEAN_TREE] = "the code had changes that are in no commit"
    if not datasets_read:
        absent[Fact.DATASETS] = "no dataset that was read"
    if not environment.get("packages"):
        absent[Fact.PACKAGES] = "no package versions"
    if not environment.get("image_digest"):
        absent[Fact.IMAGE_DIGEST] = "no container image digest"
    return absent


def completeness(run: Run | None, datasets_read: int, *, require: Collection[str] = ()) -> dict[str, Any]:
    """`{"state": complete|incomplete|unknown, "missing": [words], "notes": [words]}`.

    `require` names further facts that count as missing. What could not be observed makes it unknown, whatever
    else is known. It is complete only when the run has finished: unknown while it goes on, incomplete when it
    failed or was killed.
    """
    absent = absent_facts(run, datasets_read)
    missing = [words for fact, words in absent.items() if fact not in OPTIONAL or fact in require]
    missing += [f"{name}, which is no fact that is recorded" for name in sorted(set(require) - set(Fact))]
    notes = [words for fact, words in absent.items() if fact in OPTIONAL and fact not in require]
    state = State.INCOMPLETE if missing else State.COMPLETE
    if run is not None:
        capture = capture_of(run)
        told = [str(note).rstrip(".") for note in capture.get("notes", [])]
        match capture.get("state"):
            case State.COMPLETE:
                notes += told
            case State.INCOMPLETE:
                state = State.INCOMPLETE
                missing += told or ["part of what the run used"]
            case _:
                state = State.UNKNOWN
                notes += told
        match run.status:
            case Run.Status.FINISHED:
                pass
            case Run.Status.FAILED | Run.Status.KILLED:
                state = State.INCOMPLETE
                missing.append(f"the run did not finish: it {_ENDS[run.status]}")
            case _:
                state = State.UNKNOWN
                notes = [RUNNING_ON, *(note for note in notes if note not in NOT_REPORTED["notes"])]
    return {"state": state.value, "missing": missing, "notes": notes}


def capture_of(run: Run) -> Mapping[str, Any]:
    """What the run said of its own capture; unknown until it has spoken."""
    return run.capture or NOT_REPORTED
