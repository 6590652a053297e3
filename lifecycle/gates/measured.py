"""Which measurements count for a gate on measured quality, and how they are told."""

from __future__ import annotations

from typing import Any

from lifecycle.gates.kinds import Context, Parameter
from registry.models import EvaluationMetric, ModelVersion, Stage

METRIC = Parameter("metric", str, required=True, help="the name of the metric, such as accuracy")
SLICE = Parameter("slice", str, default="", help="the slice; empty: all rows")
WHERE = (
    Parameter("dataset", str, default="", help="the dataset's name; empty: any"),
    Parameter("digest", str, default="", help="the dataset's digest; empty: any"),
    Parameter("split", str, default="test", help="the split it was measured on"),
    Parameter(
        "evaluated_by",
        str,
        default="",
        choices=("", "others", "anyone"),
        help="whose results count; by default for production not those of who asked, made or trained it",
    ),
)
DIRECTION = Parameter(
    "direction", str, default="higher", choices=("higher", "lower"), help="which way is better"
)
TOLERANCE = (
    Parameter("tolerance", float, default=0.0, least=0.0, help="how much worse is still accepted"),
    Parameter(
        "relative",
        bool,
        default=False,
        help="the tolerance is a part of production's value, as 0.01 for a hundredth of it",
    ),
)


def measurements(
    context: Context,
    version: ModelVersion,
    given: dict[str, Any],
    *,
    metric: str | None = None,
    by_slice: bool = False,
) -> list[EvaluationMetric]:
    """The version's measurements that count, newest first: the newest per dataset digest, slice and metric.

    `by_slice`: those of every slice, and none of all rows.
    """
    rows = EvaluationMetric.objects.filter(
        evaluation__version=version, evaluation__split=given["split"]
    ).select_related("evaluation__by", "examples__attachment")
    rows = rows.exclude(evaluation__slice="") if by_slice else rows.filter(evaluation__slice=given["slice"])
    if metric is not None:
        rows = rows.filter(name=metric)
    if given["dataset"]:
        rows = rows.filter(evaluation__dataset=given["dataset"])
    if given["digest"]:
        rows = rows.filter(evaluation__dataset_digest=given["digest"])
    # Of the version in production too: nobody lowers the bar for their own.
    if not _own_counts(context, given):
        rows = rows.exclude(evaluation__by__in=context.interested())
    newest: dict[tuple[str, str, str], EvaluationMetric] = {}
    for row in rows.order_by("-evaluation__at", "-pk"):
        newest.setdefault((row.evaluation.dataset_digest, row.evaluation.slice, row.name), row)
    return list(newest.values())


def _own_counts(context: Context, given: dict[str, Any]) -> bool:
    whose = given["evaluated_by"] or ("others" if context.promotion.target == Stage.PRODUCTION else "anyone")
    return whose == "anyone"


def told(row: EvaluationMetric) -> dict[str, Any]:
    """A measurement as evidence. The interval is there when there is one."""
    interval = {"low": row.low, "high": row.high} if row.low is not None or row.high is not None else {}
    return {
        "metric": row.name,
        "value": row.value,
        **interval,
        "dataset": row.evaluation.dataset,
        "dataset_digest": row.evaluation.dataset_digest,
        "split": row.evaluation.split,
        "evaluation": str(row.evaluation_id),
        "by": row.evaluation.by.get_username(),
    }


def none_counts(context: Context, given: dict[str, Any], what: str) -> str:
    """That the version has no `what` where it is asked for, in a sentence."""
    excluded = "" if _own_counts(context, given) else " (those by who asked, made or trained it do not count)"
    of = f" of {given['dataset']}" if given["dataset"] else ""
    on = f" ({given['digest'][:15]}…)" if given["digest"] else ""
    return f"{context.version.reference} has no {what} on the {given['split']} split{of}{on}{excluded}."


def where_of(row: EvaluationMetric) -> str:
    """`held-out.csv (sha256:1a2b3c4d…)`."""
    return f"{row.evaluation.dataset} ({row.evaluation.dataset_digest[:15]}…)"


def allowance(given: dict[str, Any]) -> str:
    """How much worse it may be, in words."""
    if not given["tolerance"]:
        return "must not be worse"
    if given["relative"]:
        return f"may be at most {given['tolerance']:.4g} of production's value worse"
    return f"may be at most {given['tolerance']:g} worse"


def worse_by(new: float, old: float, given: dict[str, Any]) -> float:
    """How much worse than is accepted; zero or less: it is accepted."""
    allowed = float(given["tolerance"]) * (abs(old) if given["relative"] else 1.0)
    return (old - new if given["direction"] == "higher" else new - old) - allowed
