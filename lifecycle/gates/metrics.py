"""Gates on measured quality: a bound, a held-out dataset, and no step back from what is in production."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from typing import Any

from lifecycle.gates.kinds import Context, Finding, Gate, Parameter, Verdict
from lineage.provenance import training_inputs
from registry.models import EvaluationMetric, ModelVersion, Stage

WHERE = (
    Parameter("metric", str, required=True, help="the name of the metric, such as accuracy"),
    Parameter("dataset", str, default="", help="the dataset's name; empty: any"),
    Parameter("split", str, default="test", help="the split it was measured on"),
    Parameter("slice", str, default="", help="the slice; empty: all rows"),
    Parameter(
        "evaluated_by",
        str,
        default="",
        choices=("", "others", "anyone"),
        help="whose results count; by default for production not those of who asked, made or trained it",
    ),
)


def measurements(
    context: Context, version: ModelVersion, given: dict[str, Any], *, metric: str | None = None
) -> list[EvaluationMetric]:
    """The version's measurements that count, newest first: the newest per dataset digest and metric."""
    rows = EvaluationMetric.objects.filter(
        evaluation__version=version, evaluation__split=given["split"], evaluation__slice=given["slice"]
    ).select_related("evaluation__by")
    if metric is not None:
        rows = rows.filter(name=metric)
    if given["dataset"]:
        rows = rows.filter(evaluation__dataset=given["dataset"])
    whose = given["evaluated_by"] or ("others" if context.promotion.target == Stage.PRODUCTION else "anyone")
    # Of the version in production too: nobody lowers the bar for their own.
    if whose == "others":
        rows = rows.exclude(evaluation__by__in=context.interested())
    newest: dict[tuple[str, str], EvaluationMetric] = {}
    for row in rows.order_by("-evaluation__at", "-pk"):
        newest.setdefault((row.evaluation.dataset_digest, row.name), row)
    return list(newest.values())


def _told(row: EvaluationMetric) -> dict[str, Any]:
    return {
        "metric": row.name,
        "value": row.value,
        "dataset": row.evaluation.dataset,
        "dataset_digest": row.evaluation.dataset_digest,
        "split": row.evaluation.split,
        "evaluation": str(row.evaluation_id),
        "by": row.evaluation.by.get_username(),
    }


def _none(context: Context, given: dict[str, Any], what: str) -> str:
    own = context.promotion.target == Stage.PRODUCTION and given["evaluated_by"] != "anyone"
    excluded = " (those by who asked, made or trained it do not count)" if own else ""
    of = f" of {given['dataset']}" if given["dataset"] else ""
    return f"{context.version.reference} has no {what} on the {given['split']} split{of}{excluded}."


class _Bound(Gate):
    """A metric beside a bound."""

    parameters = (*WHERE, Parameter("bound", float, required=True, help="the number it must reach"))
    words: str

    def claim(self, given: dict[str, Any]) -> str:
        return f"{given['metric']} on {given['split']} is {self.words} {given['bound']:g}"

    @abstractmethod
    def holds(self, value: float, bound: float) -> bool:
        """Whether the value is on the right side of the bound."""

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        found = measurements(context, context.version, given, metric=given["metric"])
        if not found:
            return Finding(Verdict.FAIL, _none(context, given, f"measurement of {given['metric']}"))
        row = found[0]
        said = (
            f"{row.name} is {row.value:.4g} on {row.evaluation.dataset} "
            f"({row.evaluation.split}, {row.evaluation.dataset_digest[:15]}…, measured by "
            f"{row.evaluation.by.get_username()})"
        )
        evidence = {**_told(row), "bound": given["bound"]}
        if self.holds(row.value, given["bound"]):
            return Finding(Verdict.PASS, f"{said}; required: {self.words} {given['bound']:g}.", evidence)
        return Finding(Verdict.FAIL, f"{said}, but must be {self.words} {given['bound']:g}.", evidence)


class MetricAtLeast(_Bound):
    """The metric reaches a lower bound."""

    name = "metric_at_least"
    words = "at least"

    def holds(self, value: float, bound: float) -> bool:
        return value >= bound


class MetricAtMost(_Bound):
    """The metric stays under an upper bound."""

    name = "metric_at_most"
    words = "at most"

    def holds(self, value: float, bound: float) -> bool:
        return value <= bound


class EvaluatedOn(Gate):
    """There is an evaluation on data that the version was not trained on, told by digest."""

    name = "evaluated_on"
    parameters = (
        *[p for p in WHERE if p.name != "metric"],
        Parameter("digest", str, default="", help="the dataset's digest; empty: any held-out one"),
    )

    def claim(self, given: dict[str, Any]) -> str:
        which = f"{given['dataset'] or 'a held-out dataset'}" + (
            f" ({given['digest'][:15]}…)" if given["digest"] else ""
        )
        return f"evaluated on {which}, {given['split']} split, not among its training inputs"

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        found = measurements(context, context.version, given)
        if given["digest"]:
            found = [row for row in found if row.evaluation.dataset_digest == given["digest"]]
        if not found:
            what = f"evaluation on {given['digest'][:15]}…" if given["digest"] else "evaluation"
            return Finding(Verdict.FAIL, _none(context, given, what))
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


class NoRegression(Gate):
    """Not worse than what is in production, on the same dataset digest."""

    name = "no_regression"
    parameters = (
        *WHERE,
        Parameter(
            "direction", str, default="higher", choices=("higher", "lower"), help="which way is better"
        ),
        Parameter("tolerance", float, default=0.0, help="how much worse is still accepted, absolute"),
    )

    def claim(self, given: dict[str, Any]) -> str:
        slack = f" by more than {given['tolerance']:g}" if given["tolerance"] else ""
        return f"{given['metric']} on {given['split']} is not worse{slack} than production's on the same data"

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        if context.incumbent is None:
            return Finding(Verdict.PASS, "Nothing is in production yet: there is nothing to compare with.")
        mine = measurements(context, context.version, given, metric=given["metric"])
        if not mine:
            return Finding(Verdict.FAIL, _none(context, given, f"measurement of {given['metric']}"))
        theirs = {
            row.evaluation.dataset_digest: row
            for row in measurements(context, context.incumbent, given, metric=given["metric"])
        }
        both = [
            (row, theirs[row.evaluation.dataset_digest])
            for row in mine
            if row.evaluation.dataset_digest in theirs
        ]
        if not both:
            return Finding(
                Verdict.FAIL,
                f"Not comparable: {context.version.reference} was measured on "
                f"{mine[0].evaluation.dataset_digest[:15]}…, and {context.incumbent.reference} in production has "
                f"no {given['metric']} on that data.",
                {"mine": _told(mine[0]), "production": str(context.incumbent.pk)},
            )
        sign = 1 if given["direction"] == "higher" else -1
        worst = min(both, key=lambda pair: sign * (pair[0].value - pair[1].value))
        new, old = worst
        difference = new.value - old.value
        evidence = {"mine": _told(new), "production": {**_told(old), "version": str(context.incumbent.pk)}}
        said = (
            f"{new.name} is {new.value:.4g} against {old.value:.4g} of {context.incumbent.reference} in production "
            f"({difference:+.4g}) on {new.evaluation.dataset} ({new.evaluation.dataset_digest[:15]}…)"
        )
        if sign * difference >= -given["tolerance"]:
            return Finding(Verdict.PASS, f"{said}.", evidence)
        allowed = (
            f"may be at most {given['tolerance']:g} worse" if given["tolerance"] else "must not be worse"
        )
        return Finding(Verdict.FAIL, f"{said}, but {allowed}.", evidence)
