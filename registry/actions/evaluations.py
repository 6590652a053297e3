"""Writing down how good a version was measured to be."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from registry.artifacts import attachments
from registry.artifacts.examples import read_column
from registry.errors import DomainError, InvalidInput
from registry.journal import record
from registry.models import (
    Attachment,
    Evaluation,
    EvaluationMetric,
    ExampleResults,
    ModelVersion,
    Principal,
)
from registry.permissions import check_can
from registry.roles import Permission

DIGEST = re.compile(r"(sha256|frame-v1):[0-9a-f]{64}")
METRIC = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./ @:%+-]{0,249}")
MOST_METRICS = 1000
MOST_WITH_EXAMPLES = 10
# How far a value may be from the mean of its results: what is left when floats are added up.
AGREES = 1e-6


class ResultsDisagree(InvalidInput):
    """Per-example results are not those of the metric that names them."""

    code = "results-disagree"


class VersionIsGone(DomainError):
    """The version failed or was deleted: nothing is measured of it any more."""

    code = "version-gone"


@dataclass(frozen=True)
class PerExample:
    """Per-example results that were sent before: their digest (`sha256:<hex>`), and how many there are."""

    digest: str
    count: int


@dataclass(frozen=True)
class Measured:
    """One metric: its value and, when known, the interval around it, and the results that it is the mean of."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    examples: PerExample | None = None


@dataclass(frozen=True)
class MeasuredOn:
    """The data: a dataset's name and digest (`sha256:<hex>` or `frame-v1:<hex>`), which part of it."""

    dataset: str
    digest: str
    split: str = ""
    slice: str = ""


@transaction.atomic
def record_evaluation(
    *,
    version: ModelVersion,
    on: MeasuredOn,
    metrics: Sequence[Measured],
    by: Principal,
    evaluator: str = "",
    run_id: uuid.UUID | None = None,
) -> Evaluation:
    """One evaluation of a version on a dataset, which its digest names. Nothing of it changes afterwards.

    Raises Forbidden, InvalidInput, ResultsDisagree, VersionIsGone.
    """
    check_can(by, Permission.EVALUATION_CREATE, version.model.namespace)
    if version.status in {ModelVersion.Status.FAILED, ModelVersion.Status.DELETED}:
        raise VersionIsGone(f"{version.reference} is {version.status}: it takes no evaluations.")
    check_digest(on.digest, field="dataset.digest")
    _check_metrics(metrics)
    results = {m.name: _results(version, m, m.examples) for m in metrics if m.examples}
    evaluation = Evaluation.objects.create(
        version=version,
        dataset=on.dataset,
        dataset_digest=on.digest,
        split=on.split,
        slice=on.slice,
        evaluator=evaluator,
        run_id=run_id,
        by=by.account,
    )
    rows = EvaluationMetric.objects.bulk_create(
        EvaluationMetric(evaluation=evaluation, name=m.name, value=m.value, low=m.low, high=m.high)
        for m in metrics
    )
    for row in rows:
        if found := results.get(row.name):
            found.metric = row
    ExampleResults.objects.bulk_create(results.values())
    record(
        "evaluation.recorded",
        subject=version,
        by=by,
        namespace=version.model.namespace,
        after={
            "evaluation": str(evaluation.pk),
            "dataset": on.dataset,
            "dataset_digest": on.digest,
            "split": on.split,
            "slice": on.slice,
            "metrics": {m.name: m.value for m in metrics},
            **({"examples": {m.name: m.examples.digest for m in metrics if m.examples}} if results else {}),
        },
    )
    return evaluation


def _results(version: ModelVersion, metric: Measured, named: PerExample) -> ExampleResults:
    """What a metric names as its per-example results, read and compared with it."""
    kept = Attachment.objects.filter(
        version=version, kind=Attachment.Kind.EXAMPLE_RESULTS, sha256=named.digest.removeprefix("sha256:")
    ).first()
    if kept is None or not named.digest.startswith("sha256:"):
        raise InvalidInput(
            f"{metric.name}: no results with the digest {named.digest[:100]!r} were sent for {version.reference}; "
            "send them first, to its example-results.",
            field="metrics",
        )
    column = read_column(attachments.content_of(kept))
    found = len(column.values)
    if found != named.count:
        raise ResultsDisagree(
            f"{metric.name}: {named.count:,} results are announced, and there are {found:,}.", field="metrics"
        )
    if not math.isclose(column.mean, metric.value, rel_tol=AGREES, abs_tol=AGREES):
        raise ResultsDisagree(
            f"{metric.name} is given as {metric.value:.10g}, and the mean of its {found:,} results is "
            f"{column.mean:.10g}. Results belong to a metric that is their mean: give that, not rounded.",
            field="metrics",
        )
    return ExampleResults(attachment=kept, count=found, ids_digest=column.ids_digest)


def check_digest(digest: str, *, field: str) -> str:
    """The digest, when it is well formed. Raises InvalidInput."""
    if not DIGEST.fullmatch(digest):
        raise InvalidInput(
            f"{digest[:100]!r} is not a digest: write `sha256:` (a file) or `frame-v1:` (a table in memory) "
            "and 64 lower-case hex digits.",
            field=field,
        )
    return digest


def _check_metrics(metrics: Sequence[Measured]) -> None:
    if not 1 <= len(metrics) <= MOST_METRICS:
        raise InvalidInput(f"An evaluation has 1 to {MOST_METRICS} metrics.", field="metrics")
    if sum(metric.examples is not None for metric in metrics) > MOST_WITH_EXAMPLES:
        raise InvalidInput(
            f"At most {MOST_WITH_EXAMPLES} metrics of an evaluation have per-example results.",
            field="metrics",
        )
    seen = set()
    for metric in metrics:
        if not METRIC.fullmatch(metric.name):
            raise InvalidInput(
                f"{metric.name[:100]!r} is no metric's name: 1 to 250 letters, digits and `_ . / - @ : % +`.",
                field="metrics",
            )
        if metric.name in seen:
            raise InvalidInput(f"{metric.name} is given twice.", field="metrics")
        seen.add(metric.name)
        _check_interval(metric)


def _check_interval(metric: Measured) -> None:
    given = [n for n in (metric.low, metric.value, metric.high) if n is not None]
    if not all(math.isfinite(n) for n in given):
        raise InvalidInput(f"{metric.name} is not finite: NaN and infinity are refused.", field="metrics")
    if given != sorted(given):
        raise InvalidInput(
            f"{metric.name}: low is at most the value, and the value at most high.", field="metrics"
        )
