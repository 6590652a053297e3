"""The gate on parts of the data: a version that is better as a whole may be worse where it matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lifecycle.gates.kinds import Context, Finding, Gate, Parameter, Verdict, Wanted
from lifecycle.gates.measured import (
    DIRECTION,
    METRIC,
    TOLERANCE,
    WHERE,
    allowance,
    measurements,
    none_counts,
    told,
    where_of,
    worse_by,
)
from registry.models import EvaluationMetric, ModelVersion

# In a sentence; the evidence holds more, the worst of them.
MOST_TOLD = 5
MOST_KEPT = 100


@dataclass(frozen=True)
class _Pair:
    """A slice as both were measured on it. `excess`: how much worse than is accepted."""

    slice: str
    new: EvaluationMetric
    old: EvaluationMetric
    excess: float

    def __str__(self) -> str:
        return (
            f"{self.slice} {self.new.value:.4g} against {self.old.value:.4g} "
            f"({self.new.value - self.old.value:+.4g})"
        )

    def kept(self) -> dict[str, Any]:
        return {"slice": self.slice, "mine": told(self.new), "production": told(self.old)}


class SlicesNotWorse(Gate):
    """No slice is worse than what is in production was on it, on the same dataset digest.

    A slice on which only production was measured fails it, unless the policy only wants to be told: what is left
    out cannot be seen to have become worse. Where production was measured on no slice of that data, an evaluation
    of it is asked for, and the gate waits.
    """

    name = "slices_not_worse"
    parameters = (
        METRIC,
        *WHERE,
        DIRECTION,
        *TOLERANCE,
        Parameter(
            "slices", list, default=[], help="slices that must be measured; empty: those of production"
        ),
        Parameter(
            "missing",
            str,
            default="refused",
            choices=("refused", "told"),
            help="what becomes of slices on which production was measured and this version was not",
        ),
    )

    def claim(self, given: dict[str, Any]) -> str:
        named = f" ({', '.join(given['slices'])} among them)" if given["slices"] else ""
        return (
            f"every slice of {given['metric']} on {given['split']}{named}, beside production's on the same data, "
            f"{allowance(given)}"
        )

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        metric = given["metric"]
        mine = measurements(context, context.version, given, metric=metric, by_slice=True)
        have = {row.evaluation.slice for row in mine}
        if unmeasured := [part for part in given["slices"] if part not in have]:
            what = f"measurement of {metric} for the slice {unmeasured[0]}"
            more = f" Nor for {', '.join(unmeasured[1:])}." if unmeasured[1:] else ""
            return Finding(Verdict.FAIL, none_counts(context, given, what) + more, {"missing": unmeasured})
        if context.incumbent is None:
            return Finding(Verdict.PASS, "Nothing is in production yet: there is nothing to compare with.")
        theirs = measurements(context, context.incumbent, given, metric=metric, by_slice=True)
        if not mine:
            said = none_counts(context, given, f"measurement of {metric} by slice")
            parts = sorted({row.evaluation.slice for row in theirs})
            there = f" {context.incumbent.reference} in production has: {_listed(parts)}." if parts else ""
            return Finding(Verdict.FAIL, said + there, {"production": str(context.incumbent.pk)})
        return self._compared(given, context.incumbent, mine, theirs)

    def _compared(
        self,
        given: dict[str, Any],
        incumbent: ModelVersion,
        mine: list[EvaluationMetric],
        theirs: list[EvaluationMetric],
    ) -> Finding:
        ours = {(row.evaluation.dataset_digest, row.evaluation.slice): row for row in mine}
        digests = {digest for digest, _ in ours}
        # On other data production's slices say nothing of this version.
        others = {
            (row.evaluation.dataset_digest, row.evaluation.slice): row
            for row in theirs
            if row.evaluation.dataset_digest in digests
        }
        pairs = sorted(
            (
                _Pair(key[1], ours[key], others[key], worse_by(ours[key].value, others[key].value, given))
                for key in ours.keys() & others.keys()
            ),
            key=lambda pair: (-pair.excess, pair.slice),
        )
        left_out = sorted({key[1] for key in others.keys() - ours.keys()})
        new = sorted({key[1] for key in ours.keys() - others.keys()})
        evidence: dict[str, Any] = {
            "production": str(incumbent.pk),
            "compared": [pair.kept() for pair in pairs[:MOST_KEPT]],
            "only_production": left_out[:MOST_KEPT],
            "only_this": new[:MOST_KEPT],
        }
        if not pairs and not left_out:
            return Finding(
                Verdict.PENDING,
                f"Not comparable yet: {incumbent.reference} in production was measured on no slice of "
                f"{where_of(mine[0])} that counts; an evaluation of it is asked for.",
                evidence,
                wanted=tuple(Wanted.of(row, incumbent) for row in mine[:MOST_KEPT]),
            )
        one_sided = _one_sided(left_out, new)
        if worse := [pair for pair in pairs if pair.excess > 0]:
            more = f" and {len(worse) - MOST_TOLD} more" if worse[MOST_TOLD:] else ""
            said = (
                f"{given['metric']} is worse than that of {incumbent.reference} in production on {len(worse)} of "
                f"{_slices(len(pairs))}: {'; '.join(str(pair) for pair in worse[:MOST_TOLD])}{more}; "
                f"each {allowance(given)}.{one_sided}"
            )
            return Finding(Verdict.FAIL, said, evidence)
        if left_out and given["missing"] == "refused":
            kept = f"No slice that both were measured on ({len(pairs)}) is worse. " if pairs else ""
            return Finding(
                Verdict.FAIL, f"{kept}{one_sided.strip()} It has to be measured there too.", evidence
            )
        if not pairs:
            return Finding(
                Verdict.FAIL,
                f"No slice was measured of both this version and {incumbent.reference} in production."
                f"{one_sided}",
                evidence,
            )
        said = (
            f"{given['metric']} is not worse than that of {incumbent.reference} in production on any of "
            f"{_slices(len(pairs))}; nearest to it: {pairs[0]}.{one_sided}"
        )
        return Finding(Verdict.PASS, said, evidence)


def _slices(count: int) -> str:
    return "1 slice" if count == 1 else f"{count} slices"


def _listed(parts: list[str]) -> str:
    more = f" and {len(parts) - MOST_TOLD} more" if parts[MOST_TOLD:] else ""
    return f"{', '.join(parts[:MOST_TOLD])}{more}"


def _one_sided(left_out: list[str], new: list[str]) -> str:
    """The slices that only one of the two was measured on, told."""
    said = ""
    if left_out:
        said += f" Measured in production only: {_listed(left_out)}."
    if new:
        said += f" Measured of this version only: {_listed(new)}."
    return said
