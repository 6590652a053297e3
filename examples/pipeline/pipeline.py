"""Judges a new version of a model: `python pipeline.py [REFERENCE] [STEP ...]`, by default every step in order.

    evaluate     measure it on the held-out data, and write the result back
    staging      ask for staging; its gates decide
    integration  ask it as its users will, and report the check that the production policy waits for
    production   ask for production; from there on a person decides

It ends with 0 when the steps are done, with 1 when gates refused, naming which and why, and with 2 when it could not
do its work, as when the server is away: to be run again. Running it again with the same ASSAY_EVENT changes nothing:
every call carries a key that is made of it, so what was written down once stands.

Environment: ASSAY_URL; ASSAY_TOKEN, which measures and reports; ASSAY_REQUEST_TOKEN, which asks, of an account that
somebody else answers for, as a production policy does not count the results of who asks; PIPELINE_HELD_OUT, a CSV
file with a `label` column; ASSAY_EVENT and ASSAY_VERSION, as the receiver gives them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import skops.io

import assay

DONE, REFUSED, FAILED = 0, 1, 2
# The name of the check in the gate `external_check` of the production policy.
CHECK = "integration"
SLOWEST_ROW_MS = 5.0
# A model file names the types it is made of. Those of other libraries are not loaded: they run code of their own.
KNOWN_LIBRARIES = ("sklearn.", "numpy.", "scipy.")


class NotRun(Exception):
    """A step could not be taken, in a sentence."""


class Pipeline:
    """The steps. `measures` and `asks` are two accounts; `event` is what they are done for, and done once for."""

    def __init__(self, measures: assay.Client, asks: assay.Client, held_out: Path, event: str) -> None:
        self.measures, self.asks = measures, asks
        self.held_out, self.event = held_out, event
        self._loaded: tuple[str, Any, pd.DataFrame] | None = None

    def run(self, reference: str, steps: list[str]) -> int:
        """Take the steps in their order until one is refused. Raises NotRun, assay.AssayError."""
        for step in steps:
            if (ended := STEPS[step](self, reference)) != DONE:
                return ended
        return DONE

    def evaluate(self, reference: str) -> int:
        """Measure on the held-out data, which no training script ever sees."""
        model, rows = self.load(reference)
        accuracy = float(model.score(rows.drop(columns="label"), rows["label"]))
        digest = f"sha256:{hashlib.sha256(self.held_out.read_bytes()).hexdigest()}"
        self._once(
            lambda key: self.measures.evaluate(
                reference,
                (self.held_out.name, digest),
                metrics={"accuracy": accuracy},
                split="test",
                evaluator="pipeline.py",
                idempotency_key=key,
            ),
            "evaluate",
        )
        say(f"{reference}: accuracy {accuracy:.4f} on {self.held_out.name}, written back")
        return DONE

    def staging(self, reference: str) -> int:
        """Ask for staging. Its policy asks no person: the gates decide."""
        return self._ask(reference, "staging")

    def integration(self, reference: str) -> int:
        """Ask the model as its users will: rows as they come, answers in time, and only labels that exist."""
        model, rows = self.load(reference)
        sample = rows.drop(columns="label").head(200)
        began = time.perf_counter()
        answers = model.predict(sample)
        milliseconds = (time.perf_counter() - began) * 1000 / len(sample)
        known = set(rows["label"])
        unknown = sorted({str(answer) for answer in answers if answer not in known})
        passed = milliseconds < SLOWEST_ROW_MS and not unknown
        said = f"{len(sample)} rows answered in {milliseconds:.3f} ms each"
        said += f", with labels that do not exist: {', '.join(unknown[:5])}" if unknown else ""
        verdict = "pass" if passed else "fail"
        self._once(
            lambda key: self.measures.check(reference, CHECK, verdict, sentence=said, idempotency_key=key),
            "integration",
        )
        say(f"{reference}: {CHECK} {'passed' if passed else 'FAILED'}: {said}")
        return DONE if passed else REFUSED

    def production(self, reference: str) -> int:
        """Ask for production, and stop: the request waits for a person."""
        return self._ask(reference, "production")

    def load(self, reference: str) -> tuple[Any, pd.DataFrame]:
        """The version's model, pulled and verified, and the held-out rows. Raises NotRun."""
        if self._loaded is None or self._loaded[0] != reference:
            with tempfile.TemporaryDirectory() as folder:
                pulled = self.measures.pull(reference, Path(folder) / "model")
                file = next(pulled.glob("*.skops"), None)
                if file is None:
                    raise NotRun(f"{reference} holds no .skops file: load what it holds in `load`.")
                unknown = skops.io.get_untrusted_types(file=file)
                foreign = [name for name in unknown if not name.startswith(KNOWN_LIBRARIES)]
                if foreign:
                    raise NotRun(f"{reference} is not loaded: it brings {', '.join(foreign)}.")
                model = skops.io.load(file, trusted=unknown)
            self._loaded = (reference, model, pd.read_csv(self.held_out))
        return self._loaded[1], self._loaded[2]

    def _ask(self, reference: str, target: str) -> int:
        asked = self._once(
            lambda key: self.asks.promote(
                reference, target, reason=f"pipeline.py, {self.event}", wait=False, idempotency_key=key
            ),
            target,
        )
        try:
            decided = self.asks.wait_until_decided(asked)
        except assay.TimedOut as late:
            decided = late.answer
        return tell(decided)

    def _once(self, call: Callable[[str], Any], step: str) -> Any:
        """Make a call that is made once for this event. What an earlier run wrote down stands, even where this one
        would say it in other words, as with another time in milliseconds."""
        try:
            return call(f"{self.event}/{step}")
        except assay.Refusal as refusal:
            if refusal.code != "key-reused":
                raise
            say(f"{step}: reported by an earlier run for {self.event}; that stands")
            return None


def tell(promotion: Any) -> int:
    """Print what came of a request, one line for each gate that does not let it pass."""
    version, target = promotion["version"], promotion["target"]
    match promotion["state"]:
        case "applied":
            say(f"{version}: entered {target}")
            return DONE
        case "awaiting_approval":
            say(f"{version}: every gate of {target} passed; a person decides now: {promotion['url']}")
            return DONE
        case "evaluating":
            pending = [gate for gate in promotion["gates"] if gate["verdict"] == "pending"]
            raise NotRun(f"{target} is not decided yet: {' '.join(gate['sentence'] for gate in pending)}")
    say(f"{version}: {target} refused: {promotion['outcome'] or promotion['state']}")
    for gate in promotion["gates"]:
        if gate["verdict"] in ("fail", "error"):
            say(f"  {gate['verdict']}  {gate['gate']}: {gate['sentence']}")
    return REFUSED


STEPS: dict[str, Callable[[Pipeline, str], int]] = {
    "evaluate": Pipeline.evaluate,
    "staging": Pipeline.staging,
    "integration": Pipeline.integration,
    "production": Pipeline.production,
}


def say(text: str) -> None:
    """One line to whoever reads the job's log."""
    print(text, flush=True)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description="Judge a new version of a model.")
    parser.add_argument("--version", default=os.environ.get("ASSAY_VERSION"), help="namespace/model:3")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=", ".join(STEPS))
    given = parser.parse_args()
    if not given.version:
        parser.error("name a version: --version namespace/model:3, or ASSAY_VERSION.")
    if unknown := [step for step in given.steps if step not in STEPS]:
        parser.error(f"there is no step {unknown[0]!r}; there are {', '.join(STEPS)}.")
    event = os.environ.get("ASSAY_EVENT") or f"by-hand/{given.version}"
    try:
        with (
            assay.Client() as measures,
            assay.Client(token=os.environ.get("ASSAY_REQUEST_TOKEN")) as asks,
        ):
            pipeline = Pipeline(measures, asks, Path(os.environ.get("PIPELINE_HELD_OUT", "")), event)
            return pipeline.run(given.version, given.steps or list(STEPS))
    except (assay.AssayError, NotRun, OSError) as problem:
        say(f"{given.version}: {problem}")
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
