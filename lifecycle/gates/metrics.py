"""Gates on measured quality: a bound, and a held-out dataset."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from typing import Any, ClassVar

from lifecycle.gates.kinds import Context, Finding, Gate, Parameter, Verdict
from lifecycle.gates.measured import METRIC, SLICE, WHERE, measurements, none_counts, told
from lineage.provenance import training_inputs
from registry.models import EvaluationMetric


class _Bound(Gate):
    """A metric beside a bound. Where several datasets were measured, the worst of them counts; where an interval
    was reported, its end that is nearer to failing."""

    parameters = (
        METRIC,
        *WHERE,
        SLICE,
        Parameter("bound", float, required=True, help="the number it must reach"),
        Parameter(
            "interval",
            str,
            default="when_given",
            choices=("when_given", "required", "ignored"),
            help="whether the confidence interval's end has to reach the bound, when there is one",
        ),
    )
    words: ClassVar[str]
    end: ClassVar[str]

    def claim(self, given: dict[str, Any]) -> str:
        part = f" ({given['slice']})" if given["slice"] else ""
        end = f", as is the {self.end} end of its interval" if given["interval"] == "required" else ""
        return f"{given['metric']} on {given['split']}{part} is {self.words} {given['bound']:g}{end}"

    @abstractmethod
    def margin(self, value: float, bound: float) -> float:
        """How far the value is on the right side of the bound; below zero it is on the wrong one."""

    @abstractmethod
    def end_of(self, row: EvaluationMetric) -> float | None:
        """The end of the interval that is nearer to failing."""

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        found = measurements(context, context.version, given, metric=given["metric"])
        if not found:
            return Finding(Verdict.FAIL, none_counts(context, given, f"measurement of {given['metric']}"))
        row = min(found, key=lambda each: self.margin(self._counts(each, given), given["bound"]))
        end = None if given["interval"] == "ignored" else self.end_of(row)
        said = (
            f"{row.name} is {row.value:.4g}{_interval(row)} on {row.evaluation.dataset} "
            f"({row.evaluation.split}, {row.evaluation.dataset_digest[:15]}…, measured by "
            f"{row.evaluation.by.get_username()})"
        )
        evidence = {**told(row), "bound": given["bound"]}
        if given["interval"] == "required" and end is None:
            return Finding(
                Verdict.FAIL,
                f"{said} without the {self.end} end of an interval, which is required.",
                evidence,
            )
        required = f"{self.words} {given['bound']:g}"
        if self.margin(self._counts(row, given), given["bound"]) >= 0:
            return Finding(Verdict.PASS, f"{said}; required: {required}.", evidence)
        whose = f"the {self.end} end of its interval " if end is not None else ""
        return Finding(Verdict.FAIL, f"{said}, but {whose}must be {required}.", evidence)

    def _counts(self, row: EvaluationMetric, given: dict[str, Any]) -> float:
        end = None if given["interval"] == "ignored" else self.end_of(row)
        return row.value if end is None else end


def _interval(row: EvaluationMetric) -> str:
    if row.low is not None and row.high is not None:
        return f" ({row.low:.4g} to {row.high:.4g})"
    if row.low is not None:
        return f" (from {row.low:.4g})"
    return f" (up to {row.high:.4g})" if row.high is not None else ""


class MetricAtLeast(_Bound):
    """The metric reaches a lower bound."""

    name = "metric_at_least"
    words = "at least"
    end = "lower"

    def margin(self, value: float, bound: float) -> float:
        return value - bound

    def end_of(self, row: EvaluationMetric) -> float | None:
        return row.low


class MetricAtMost(_Bound):
    """The metric stays under an upper bound."""

    name = "metric_at_most"
    words = "at most"
    end = "upper"

    def margin(self, value: float, bound: float) -> float:
        return bound - value

    def end_of(self, row: EvaluationMetric) -> float | None:
        return row.high


class EvaluatedOn(Gate):
    """There is an evaluation on data that the version was not trained on, told by digest."""

    name = "evaluated_on"
    parameters = (*WHERE, SLICE)

    def claim(self, given: dict[str, Any]) -> str:
        which = f"{given['dataset'] or 'a held-out dataset'}" + (
            f" ({given['digest'][:15]}…)" if given["digest"] else ""
        )
        return f"evaluated on {which}, {given['split']} split, not among its training inputs"

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        found = measurements(context, context.version, given)
        if not found:
            return Finding(Verdict.FAIL, none_counts(context, given, "evaluation"))
        # Read only to test it is not trained on; read without saying for what, it is.
        inputs = training_inputs(context.version)
        trained_on = {digest for digest, contexts in inputs.items() if contexts - {"test"}}
        held_out = [row for row in found if row.evaluation.dataset_digest not in trained_on]
        if not held_out:
            row = found[0]
            return Finding(
                Verdict.FAIL,
                f"It was evaluated only on {row.evaluation.dataset} ({row.evaluation.dataset_digest[:15]}…), "
                "which it was trained on; a held-out dataset is required.",
                {"evaluations": sorted({str(row.evaluation_id) for row in found})},
            )
        first = held_out[0].evaluation
        return Finding(
            Verdict.PASS,
            f"Evaluated on {first.dataset} ({first.dataset_digest[:15]}…, {first.split}), which is not among "
            f"its {len(trained_on)} training inputs.",
            {
                "dataset_digest": first.dataset_digest,
                "evaluation": str(first.pk),
                # By their digest alone: the inputs may be another namespace's.
                "trained_on": hashlib.sha256("".join(sorted(trained_on)).encode()).hexdigest(),
            },
        )
