"""How much is known of where a version came from: which facts are recorded, what is missing, in words, and a score.

The score is 100 times the facts that are recorded, divided by the facts that apply, rounded down. One more counts: that
the run could see all that it used. Some apply only where there is something to ask: a clean tree where there is a
commit, digests of the whole content where datasets were read, the digest of a configuration where one was named; and
whether the supplier's digest fits where there is one.
"""

from __future__ import annotations

import re
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
    ENTRY_POINT = "entry_point"
    DATASETS = "datasets"
    DATASET_DIGESTS = "dataset_digests"
    CONFIG = "config"
    SEEDS = "seeds"
    PACKAGES = "packages"
    LOCK_FILE = "lock_file"
    IMAGE_DIGEST = "image_digest"
    HARDWARE = "hardware"
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


# Missing only where a gate requires them: not every company trains in containers, not every training has a seed.
OPTIONAL = frozenset(
    {
        Fact.ENTRY_POINT,
        Fact.DATASET_DIGESTS,
        Fact.CONFIG,
        Fact.SEEDS,
        Fact.LOCK_FILE,
        Fact.IMAGE_DIGEST,
        Fact.HARDWARE,
        Fact.SUPPLIER_REPORT,
    }
)
# Of content that was read whole; what another tool calls a content is none of them.
WHOLE = ("sha256:", "frame-v1:")
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
# The name of a parameter that is a seed, for Python and for Postgres, whatever the case.
SEED = r"(^|[._-])(seed|random_state|random_seed|rng_seed)($|[._-])"
RUNNING_ON = "the run has not ended: what it used is not known yet"
_ENDS = {Run.Status.FAILED.value: "failed", Run.Status.KILLED.value: "was killed"}
NOT_REPORTED = {
    "state": State.UNKNOWN.value,
    "notes": ["the run has not said how much of what it used it could see"],
}


@dataclass(frozen=True)
class Used:
    """What the rows beside a run tell of it: how many datasets it read, of how many no digest of the whole content is
    known, and whether a parameter is a seed."""

    datasets: int = 0
    undigested: int = 0
    seeded: bool = False


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
    applies = OF_SUPPLY - (set() if bought.supply.digest else {Fact.SUPPLIER_DIGEST_MATCHES})
    missing = [words for fact, words in absent.items() if fact not in OPTIONAL or fact in require]
    missing += [f"no {named(fact)}: it was bought" for fact in Fact if fact in set(require) - OF_SUPPLY]
    missing += _unknown(require)
    return {
        "state": (State.INCOMPLETE if missing else State.COMPLETE).value,
        "score": _score(applies, absent),
        "missing": missing,
        "absent": {fact.value: words for fact, words in absent.items()},
        "notes": [],
        "supply": bought.told(),
    }


def absent_facts(run: Run | None, used: Used) -> dict[Fact, str]:
    """The facts that are not recorded, each in a few words. Empty: all are."""
    if run is None:
        return {Fact.RUN: "no run: nothing is known of the code, the data or the environment"}
    return {**_absent_of_code(run), **_absent_of_data(run, used), **_absent_of_environment(run)}


def _absent_of_code(run: Run) -> dict[Fact, str]:
    absent: dict[Fact, str] = {}
    code = _shaped(run.code)
    if not code.get("commit"):
        absent[Fact.COMMIT] = "no Git commit: the code cannot be found again"
    elif code.get("dirty"):
        absent[Fact.CLEAN_TREE] = "the code had changes that are in no commit"
    if not run.entry_point:
        absent[Fact.ENTRY_POINT] = "no entry point: what was started is not known"
    return absent


def _absent_of_data(run: Run, used: Used) -> dict[Fact, str]:
    absent: dict[Fact, str] = {}
    if not used.datasets:
        absent[Fact.DATASETS] = "no dataset that was read"
    elif used.undigested:
        absent[Fact.DATASET_DIGESTS] = (
            f"no digest of the whole content of {used.undigested} of the {used.datasets} datasets that were read"
        )
    if not _shaped(run.config).get("digest"):
        absent[Fact.CONFIG] = "no configuration file"
    if not run.seeds and not used.seeded:
        absent[Fact.SEEDS] = "no seed"
    return absent


def _absent_of_environment(run: Run) -> dict[Fact, str]:
    absent: dict[Fact, str] = {}
    environment = _shaped(run.environment)
    if not environment.get("packages"):
        absent[Fact.PACKAGES] = "no package versions"
    if not _shaped(environment.get("lock_file")).get("digest"):
        absent[Fact.LOCK_FILE] = "no lock file: the packages cannot be installed again as they were"
    if not environment.get("image_digest"):
        absent[Fact.IMAGE_DIGEST] = "no container image digest"
    if not _shaped(environment.get("hardware")):
        absent[Fact.HARDWARE] = "no hardware"
    return absent


def completeness(run: Run | None, used: Used, *, require: Collection[str] = ()) -> dict[str, Any]:
    """`{"state": complete|incomplete|unknown, "score", "missing": [words], "absent": {fact: words}, "notes": [words]}`.

    `missing` is what keeps it from being complete, `absent` every fact that is not recorded, whether or not it is
    asked for; `notes` are what the run said. `require` names further facts that count as missing; those of a purchase
    are asked of what was bought only. What could not be observed makes it unknown, whatever else is known. It is
    complete only when the run has finished: unknown while it goes on, incomplete when it failed or was killed.
    """
    absent = absent_facts(run, used)
    missing = [words for fact, words in absent.items() if fact not in OPTIONAL or fact in require]
    missing += _unknown(require)
    notes: list[str] = []
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
    return {
        "state": state.value,
        "score": _score_of_run(run, used, absent),
        "missing": missing,
        "absent": {fact.value: words for fact, words in absent.items()},
        "notes": notes,
    }


def capture_of(run: Run) -> Mapping[str, Any]:
    """What the run said of its own capture; unknown until it has spoken."""
    return run.capture or NOT_REPORTED


def is_seed(name: str) -> bool:
    """Whether a parameter of this name is a seed."""
    return re.search(SEED, name, re.IGNORECASE) is not None


def named(fact: str) -> str:
    """A fact as people call it: `image digest`."""
    return fact.replace("_", " ")


def _unknown(require: Collection[str]) -> list[str]:
    return [f"{name}, which is no fact that is recorded" for name in sorted(set(require) - set(Fact))]


def _score_of_run(run: Run | None, used: Used, absent: Mapping[Fact, str]) -> int:
    if run is None:
        return 0
    applies = set(Fact) - OF_SUPPLY
    applies -= {Fact.CLEAN_TREE} if Fact.COMMIT in absent else set()
    applies -= set() if used.datasets else {Fact.DATASET_DIGESTS}
    applies -= set() if run.config else {Fact.CONFIG}
    return _score(applies, absent, seen=capture_of(run).get("state") == State.COMPLETE)


def _score(applies: Collection[Fact], absent: Mapping[Fact, str], *, seen: bool | None = None) -> int:
    """See above; `seen` is the one more, None where it does not apply."""
    recorded = len(set(applies) - set(absent)) + (seen is True)
    return 100 * recorded // (len(applies) + (seen is not None))


def _shaped(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
