"""Evaluations with per-example results, sent as a pipeline sends them."""

from __future__ import annotations

import io
from collections.abc import Sequence

from registry.actions.attachments import add_example_results
from registry.actions.evaluations import Measured, MeasuredOn, PerExample, record_evaluation
from registry.models import Evaluation, ModelVersion
from tests.cast import Cast
from tests.factories import HELD_OUT


def csv_of(values: Sequence[float], ids: Sequence[str] | None = None) -> bytes:
    """The document in which results are sent."""
    if ids is None:
        return "\n".join(["value", *map(repr, values)]).encode()
    return "\n".join(["id,value", *(f"{i},{v!r}" for i, v in zip(ids, values, strict=True))]).encode()


def evaluate_each(
    cast: Cast,
    version: ModelVersion,
    values: Sequence[float],
    ids: Sequence[str] | None = None,
    *,
    by: str = "ci",
    digest: str = HELD_OUT,
    metric: str = "accuracy",
) -> Evaluation:
    """Somebody measured it on the held-out data, and says what came of every example."""
    content, who = csv_of(values, ids), cast.principal(by)
    kept, column = add_example_results(version=version, body=io.BytesIO(content), length=len(content), by=who)
    results = PerExample(f"sha256:{kept.sha256}", len(values))
    return record_evaluation(
        version=version,
        on=MeasuredOn(dataset="held-out.csv", digest=digest, split="test"),
        metrics=[Measured(metric, column.mean, examples=results)],
        by=who,
    )
