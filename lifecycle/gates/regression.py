"""The gate on a step back from what is in production, by values alone or example by example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lifecycle.gates import paired
from lifecycle.gates.kinds import Context, Finding, Gate, Parameter, Verdict, Wanted
from lifecycle.gates.measured import (
    DIRECTION,
    METRIC,
    SLICE,
    TOLERANCE,
    WHERE,
    allowance,
    measurements,
    none_counts,
    told,
    where_of,
    worse_by,
)
from lifecycle.models import PairedComparison
from registry.models import EvaluationMetric

INTERVAL = Parameter(
    "interval",
    str,
    default="when_given",
    choices=("when_given", "required", "ignored"),
    help="whether the worse end of the paired interval counts, when both have per-example results",
)


@dataclass(frozen=True)
class _Pair:
    """Two measurements on the same data. `compared` is None where their values are all that is compared: `why`."""

    new: EvaluationMetric
    old: EvaluationMetric
    compared: PairedComparison | None
    why: str

    def excess(self, given: dict[str, Any]) -> float:
        """How much worse than is accepted the new one may be; zero or less: it is accepted."""
        if self.compared is None:
            return worse_by(self.new.value, self.old.value, given)
        return worse_by(self.old.value + self._worse_end(given), self.old.value, given)

    def may_be_worse(self, given: dict[str, Any]) -> float:
        """How much worse the new one is at the worse end of the interval."""
        return abs(self._worse_end(given))

    def _worse_end(self, given: dict[str, Any]) -> float:
        if self.compared is None:
            return self.new.value - self.old.value
        return self.compared.low if given["direction"] == "higher" else self.compared.high


class NoRegression(Gate):
    """Not worse than what is in production, on the same dataset digest.

    Where both have per-example results for the same examples, the worse end of the 95% interval of their paired
    difference has to be accepted; else their values are compared. Where production was not measured on that data, an
    evaluation of it is asked for, and the gate waits.
    """

    name = "no_regression"
    parameters = (METRIC, *WHERE, SLICE, DIRECTION, *TOLERANCE, INTERVAL)

    def claim(self, given: dict[str, Any]) -> str:
        part = f" ({given['slice']})" if given["slice"] else ""
        how = ", example by example" if given["interval"] == "required" else ""
        return (
            f"{given['metric']} on {given['split']}{part}, beside production's on the same data{how}, "
            f"{allowance(given)}"
        )

    def prepare(self, context: Context) -> None:
        """Compare, example by example, what has not been yet: it takes about a second for each pair."""
        for listed in context.promotion.policy_snapshot["gates"]:
            if listed["gate"] != self.name or context.incumbent is None:
                continue
            given = self.checked(listed["parameters"], listed["key"])
            if given["interval"] == "ignored":
                continue
            mine = measurements(context, context.version, given, metric=given["metric"])
            for new, old in _both(context, mine, given):
                if not paired.why_not_paired(new, old):
                    paired.compare(new, old, context.now)

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        if context.incumbent is None:
            return Finding(Verdict.PASS, "Nothing is in production yet: there is nothing to compare with.")
        mine = measurements(context, context.version, given, metric=given["metric"])
        if not mine:
            return Finding(Verdict.FAIL, none_counts(context, given, f"measurement of {given['metric']}"))
        both = _both(context, mine, given)
        production = context.incumbent.reference
        if not both:
            return Finding(
                Verdict.PENDING,
                f"Not comparable yet: {context.version.reference} was measured on {where_of(mine[0])}, and "
                f"{production} in production has no {given['metric']} on that data that counts; "
                "an evaluation of it is asked for.",
                {"mine": told(mine[0]), "production": str(context.incumbent.pk)},
                wanted=(Wanted.of(mine[0], context.incumbent),),
            )
        pairs = [_pair(new, old, given) for new, old in both]
        worst = max(pairs, key=lambda pair: pair.excess(given))
        if waits := next((pair for pair in pairs if not pair.why and pair.compared is None), None):
            return Finding(
                Verdict.PENDING,
                f"The per-example results of {context.version.reference} and {production} for {given['metric']} on "
                f"{where_of(waits.new)} have not been compared yet, or cannot be read.",
                _evidence(waits, context),
            )
        if given["interval"] == "required" and (lacking := next((p for p in pairs if p.why), None)):
            return Finding(
                Verdict.FAIL,
                f"{given['metric']} on {where_of(lacking.new)} has to be compared with that of {production} in "
                f"production example by example, but {lacking.why}.",
                _evidence(lacking, context),
            )
        said, evidence = _said(worst, production), _evidence(worst, context)
        if worst.excess(given) <= 0:
            return Finding(Verdict.PASS, f"{said}.", evidence)
        if worse_by(worst.new.value, worst.old.value, given) > 0:
            return Finding(Verdict.FAIL, f"{said}, but {allowance(given)}.", evidence)
        return Finding(
            Verdict.FAIL,
            f"{said}. So it may in truth be {worst.may_be_worse(given):.3g} worse, but {allowance(given)}: more "
            "examples would tell, or the policy accepts more.",
            evidence,
        )


def _both(
    context: Context, mine: list[EvaluationMetric], given: dict[str, Any]
) -> list[tuple[EvaluationMetric, EvaluationMetric]]:
    """The measurements of the version, each with that of production on the same data, where there is one."""
    if context.incumbent is None:
        return []
    theirs = {
        row.evaluation.dataset_digest: row
        for row in measurements(context, context.incumbent, given, metric=given["metric"])
    }
    return [
        (row, theirs[row.evaluation.dataset_digest])
        for row in mine
        if row.evaluation.dataset_digest in theirs
    ]


def _pair(new: EvaluationMetric, old: EvaluationMetric, given: dict[str, Any]) -> _Pair:
    why = (
        "the policy goes by the values alone"
        if given["interval"] == "ignored"
        else paired.why_not_paired(new, old)
    )
    return _Pair(new, old, None if why else paired.comparison_of(new, old), why)


def _evidence(pair: _Pair, context: Context) -> dict[str, Any]:
    how: dict[str, Any] = {"paired": paired.told(pair.compared)} if pair.compared else {}
    if pair.why and (paired.results_of(pair.new) or paired.results_of(pair.old)):
        how = {"not_paired": pair.why}
    version = str(context.incumbent.pk) if context.incumbent else ""
    return {"mine": told(pair.new), "production": {**told(pair.old), "version": version}, **how}


def _said(pair: _Pair, production: str) -> str:
    """What was measured, beside what production was."""
    new, old, found = pair.new, pair.old, pair.compared
    values = f"{new.value:.4g} against {old.value:.4g} of {production} in production"
    if found is None:
        return (
            f"{new.name} is {values} ({new.value - old.value:+.4g}; by their values alone, as {pair.why}) on "
            f"{where_of(new)}"
        )
    fell = found.difference < 0
    # Of the step, as a fall or a rise: both ends turned round when it fell.
    low, high = (-found.high, -found.low) if fell else (found.low, found.high)
    went = (
        f"{'fell' if fell else 'rose'} by {abs(found.difference):.3g}" if found.difference else "is the same"
    )
    return (
        f"{new.name} {went} (95% interval {low:.3g} to {high:.3g}, paired over {found.count:,} examples): {values}, on "
        f"{where_of(new)}"
    )
