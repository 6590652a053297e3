"""The machine for ten thousand steps, the race for 1,600 calls, and the bugs that both have to find."""

from __future__ import annotations

import json
import os
import secrets
import sys

from hypothesis import seed

from tests.figures import print_campaign
from tests.lifecycle.kills.racing import race
from tests.lifecycle.kills.round import CALLS
from tests.lifecycle.machine.planted import PLANTED, found
from tests.lifecycle.machine.running import by_chance, machine, tour

STEPS = 10_000
RACES = 1_600


def steps(least: int) -> tuple[int, list[str]]:
    """The tour, then chance until so many steps are made; what was wrong. ASSAY_SEED repeats what chance did."""
    run = machine()
    begun = int(os.environ.get("ASSAY_SEED") or secrets.randbelow(10**9))
    wrong: list[str] = []
    batch = 0
    try:
        tour(run)
        while run.tally.steps < least:
            batch += 1
            by_chance(seed(begun + batch)(run), examples=20, rules=30, derandomize=False)
            print(f"{run.tally.steps:,} steps", file=sys.stderr, flush=True)
    except Exception as broken:
        wrong.append(f"{type(broken).__name__}: {broken}")
        wrong += getattr(broken, "__notes__", [])
    print("\n".join(run.tally.lines()))
    wrong += [f"{' '.join(edge)} was never taken" for edge in run.tally.untaken()]
    wrong += [f"{' '.join(edge)} was never tried" for edge in run.tally.untried()]
    told = {
        "campaign": "lifecycle", "part": "machine", "seed": begun, "steps": run.tally.steps,
        "refusals": run.tally.codes.total(), "refused_as": dict(run.tally.codes.most_common()),
        "forced": run.tally.forced.total(), "wrong": wrong,
    }  # fmt: skip
    print(json.dumps(told), flush=True)
    return run.tally.steps, wrong


def races(calls: int) -> tuple[int, list[str]]:
    """So many calls under kills; what was wrong."""
    raced = race(calls // CALLS)
    told = {
        "campaign": "lifecycle", "part": "races", "calls": raced.calls, "kills": raced.kills, "looks": raced.looks,
        "outcomes": dict(sorted(raced.outcomes.items())), "answers_lost": dict(raced.lost.most_common()),
        "wrong": raced.wrong,
    }  # fmt: skip
    print(json.dumps(told), flush=True)
    return raced.calls, raced.wrong


def campaign(least: int = STEPS, calls: int = RACES) -> bool:
    """Green when nothing was wrong, every edge was taken or refused, and every planted bug was found."""
    controls = {name: found(name) for name in PLANTED}
    unlocked = race(20, pause=0, without_lock=True).wrong
    controls["no lock on the model"] = unlocked[0] if unlocked else ""
    print(json.dumps({"campaign": "lifecycle", "part": "planted", "found": controls}), flush=True)
    made, wrong = steps(least)
    raced, more = races(calls)
    return print_campaign(
        "lifecycle",
        cases=made + raced,
        bad=len(wrong) + len(more),
        control_caught=all(controls.values()),
    )
