"""How much is known of where a version came from: which facts are recorded, and what is missing, in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lineage.models import Run, Supply


class Fact(StrEnum):
    """Something that can be known of a version's making. A gate may require any of them."""

    RUN = "run"
    COMMIT = "commit"
    CLEAN_TREE = "clean_tree"
    DATASETS = "datasets"
    PACKAGES = "packages"
    IMAGE_DIGEST = "image_digest"
    # Of a version that was bought, in place of the above.
    SUPPLIER = "supplier"
    ORIGIN = "origin"
    CONTRACT = "contract"
    SUPPLIER_DIGEST = "supplier_digest"
    SUPPLIER_DIGEST_MATCHES = "supplier_digest_matches"
    SUPPLIER_REPORT = "supplier_report"


class State(StrEnum):
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    UNKNOWN = "unknown"


# Noted, and missing only where a gate requires it: not every company trains in containers.
OPTIONAL = frozenset({Fact.IMAGE_DIGEST, Fact.SUPPLIER_REPORT})
OF_SUPPLY = frozenset(
    {
        Fact.SUPPLIER,
        Fact.ORIGIN,
        Fact.CONTRACT,
        Fact.SUPPLIER_DIGEST,
        Fact.SUPPLIER_DIGEST_MATCHES,
        Fact.SUPPLIER_REPORT,
    }
)
RUNNING_ON = "the run has not ended: what it used is not known yet"
_ENDS = {Run.Status.FAILED.value: "failed", Run.Status.KILLED.value: "was killed"}
NOT_REPORTED = {
    "state": State.UNKNOWN.value,
    "notes": ["the run has not said how much of what it used it could see"],
}


@dataclass(frozen=True)
class Bought:
    """A purchase: what was said of it, and what was found. `digest_of` is what the supplier's digest is the digest
    of in this version, in words; None when it is of nothing in it."""

    supply: Supply
    digest_of: str | None
    report: bool

    @property
    def sentence(self) -> str:
        """Where it came from, in a few words."""
        supply = self.supply
        under = f" under contract {supply.contract}" if supply.contract else ""
        got = f", got from {supply.origin}" if supply.origin else ""
        same = f"; the supplier's digest is that of {self.digest_of}" if self.digest_of else ""
        return f"Bought from {supply.supplier}{under}{got}{same}"

    def told(self) -> dict[str, Any]:
        """As answers show it."""
        return {
            "supplier": self.supply.supplier,
            "origin": self.supply.origin,
            "contract": self.supply.contract,
            "digest": self.supply.digest,
            "digest_of": self.digest_of,
            "report": self.report,
        }


def absent_of_purchase(bought: Bought) -> dict[Fact, str]:
    """The facts of a purchase that are not recorded, each in a few words. Empty: all are."""
    absent: dict[Fact, str] = {}
    if not bought.supply.origin:
        absent[Fact.ORIGIN] = "no origin: where it was got is not known"
    if not bought.supply.contract:
        absent[Fact.CONTRACT] = "no contract or licence"
    if not bought.supply.digest:
        absent[Fact.SUPPLIER_DIGEST] = "no digest by the supplier: these may be other bytes than were bought"
    elif not bought.digest_of:
        absent[Fact.SUPPLIER_DIGEST_MATCHES] = (
            f"the supplier's digest {bought.supply.digest} is that of none of its files, nor of all together"
        )
    if not bought.report:
        absent[Fact.SUPPLIER_REPORT] = "no report by the supplier"
    return absent


def completeness_of_purchase(bought: Bought, *, require: Collection[str] = ()) -> dict[str, Any]:
    """As `completeness`, with the purchase as `supply`. A fact of a run that is required is missing: it has no run."""
    absent = absent_of_purchase(bought)
    missing = [words for fact, words in absent.items() if fact not in OPTIONAL or fact in require]
    missing += [
        f"no {fact.replace('_', ' ')}: it was bought" for fact in Fact if fact in set(require) - OF_SUPPLY
    ]
    missing += [f"{name}, which is no fact that is recorded" for name in sorted(set(require) - set(Fact))]
    notes = [words for fact, words in absent.items() if fact in OPTIONAL and fact not in require]
    state = State.INCOMPLETE if missing else State.COMPLETE
    return {"state": state.value, "missing": missing, "notes": notes, "supply": bought.told()}


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

    `require` names further facts that count as missing; those of a purchase are asked of what was bought only. What
    could not be observed makes it unknown, whatever else is known. It is complete only when the run has finished:
    unknown while it goes on, incomplete when it failed or was killed.
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
