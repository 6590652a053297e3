"""Running it again, and comparing what comes of it with what was recorded."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.errors import PathRefused
from assay.reproduce import environment
from assay.reproduce.folder import Prepared
from assay.reproduce.pieces import Compared, Outcome
from assay.tracking import rehearsal, results

# Relative: sums over the same numbers in another order differ by less.
TOLERANCE = 1e-9
_NAMED = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def rerun(made: Prepared, tolerance: float = TOLERANCE) -> Outcome:
    """Run the command in the folder, with nothing registered, and compare metrics and the model's digest.

    Its output goes to standard error. What it needs of this machine's environment it has; the registry's address
    and token it has not.
    """
    if made.obstacles or made.directory is None:
        return Outcome(problem="; ".join(made.obstacles))
    told = made.folder / "result"
    told.mkdir()
    given = {
        **{name: value for name, value in os.environ.items() if name != "ASSAY_TOKEN"},
        **environment.variables(made.run.get("environment") or {}),
        rehearsal.VARIABLE: str(told),
        # What the code asks of a registry by itself finds none, also where somebody is logged in.
        "ASSAY_URL": "http://assay.invalid",
    }  # fmt: skip
    began = time.time()
    try:
        done = subprocess.run(
            made.command,
            cwd=made.directory,
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            check=False,
        )
    except OSError as error:
        return Outcome(problem=f"{made.command[0]} could not be started: {error.strerror or error}")
    if done.returncode:
        return Outcome(
            exit_status=done.returncode, problem=f"the command ended with status {done.returncode}"
        )
    outcome = Outcome(exit_status=0)
    found = _registered(made, told, outcome) or _left(made, made.directory, began, outcome)
    if found is not None:
        metrics, digest = found
        outcome.compared = compare(made, metrics, digest, tolerance)
        if not outcome.compared:
            outcome.problem = "neither metrics nor a model were recorded to compare with"
    elif not outcome.problem:
        outcome.problem = "where it leaves its model and metrics was not recorded, so nothing can be compared"
    return outcome


def compare(
    made: Prepared, metrics: Mapping[str, float], digest: str | None, tolerance: float
) -> list[Compared]:
    """Every metric of the original, and the model's digest."""
    compared = []
    for name, value in made.run["metrics"].items():
        was, now = _value(value), metrics.get(name)
        compared.append(Compared(name, value, now, now is not None and _same(was, now, tolerance)))
    original = made.version["digest"]
    if original:
        compared.append(Compared("model", original, digest, digest == original))
    return compared


def _same(was: float, now: float, tolerance: float) -> bool:
    if math.isnan(was) or math.isnan(now):
        return math.isnan(was) and math.isnan(now)
    return math.isclose(was, now, rel_tol=tolerance, abs_tol=0.0)


def _value(value: object) -> float:
    return _NAMED[value] if isinstance(value, str) and value in _NAMED else float(str(value))


def _registered(made: Prepared, told: Path, outcome: Outcome) -> tuple[dict[str, float], str | None] | None:
    """What the code told the registry by itself: the run that registered this model, or none."""
    records: list[dict[str, Any]] = [
        json.loads(file.read_text(encoding="utf-8")) for file in sorted(told.glob(f"*/{rehearsal.RECORD}"))
    ]
    if not records:
        return None
    model = f"{made.version['namespace']}/{made.version['model']}"
    fitting = [r for r in records if any(each["name"] == model for each in r["models"])] or records
    if len(fitting) > 1:
        fitting = [r for r in fitting if r["parameters"] == made.run["parameters"]] or fitting
    if len(fitting) > 1:
        outcome.problem = f"{len(fitting)} runs came of it, and which of them is this one cannot be told"
        return None
    (record,) = fitting
    if record["parameters"] != made.run["parameters"]:
        outcome.notes.append("its parameters are not those that were recorded")
    digests = [each["digest"] for each in record["models"] if each["name"] == model]
    if len(digests) > 1 and made.version["digest"] in digests:
        digests = [str(made.version["digest"])]
    return {key: _value(value[2]) for key, value in record["metrics"].items()}, digests[
        -1
    ] if digests else None


def _left(
    made: Prepared, directory: Path, began: float, outcome: Outcome
) -> tuple[dict[str, float], str | None] | None:
    """What it left in the files that were named when it was recorded."""
    named: Mapping[str, str] = (made.run.get("code") or {}).get("results") or {}
    if not named or outcome.problem:
        return None
    metrics: dict[str, float] = {}
    digest = None
    try:
        if "metrics" in named:
            found, _ = results.metrics(directory / named["metrics"], began)
            metrics = {each.name: each.value for each in found}
        if "model" in named:
            results.check_made(directory / named["model"], began)
            digest = rehearsal.digest_of(directory / named["model"])
    except (results.NoResult, PathRefused, OSError) as error:
        outcome.notes.append(str(error))
    return metrics, digest
