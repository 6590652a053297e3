"""What speaks for a version: written down by pipelines, and taken out as one document for an auditor.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.answers import Evaluation
from assay.documents import Documents
from assay.references import namespace_path


class Evidence(Documents):
    """The calls of a client about evidence."""

    def evaluate(
        self,
        ref: str,
        dataset: tuple[str, str],
        *,
        metrics: Mapping[str, float | tuple[float, float, float]],
        split: str = "test",
        slice: str = "",
        evaluator: str = "",
        run: str | None = None,
        idempotency_key: str | None = None,
    ) -> Evaluation:
        """Record how good a version is on a dataset, given as its name and digest.

        A metric is its value, or its value and the two bounds of its interval. With an `idempotency_key`, as a
        webhook's id, a program that is run again records nothing twice; so too below.
        """
        values: list[dict[str, Any]] = []
        for name, value in metrics.items():
            point, *bounds = value if isinstance(value, tuple) else (value,)
            values.append({"name": name, "value": point, **dict(zip(("low", "high"), bounds, strict=False))})
        name, digest = dataset
        body: dict[str, Any] = {"dataset": {"name": name, "digest": digest}, "split": split, "slice": slice}
        body.update(evaluator=evaluator, metrics=values, run=run)
        answer: Evaluation = self._connection.call(
            "POST", f"{self._path(ref)}/evaluations", body=body, idempotency_key=idempotency_key
        )
        return answer

    def check(
        self,
        ref: str,
        name: str,
        verdict: str,
        *,
        sentence: str = "",
        url: str = "",
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Report an outside check, such as an integration test: `verdict` is pass or fail."""
        body = {"name": name, "verdict": verdict, "sentence": sentence, **({"url": url} if url else {})}
        answer: dict[str, Any] = self._connection.call(
            "POST", f"{self._path(ref)}/checks", body=body, idempotency_key=idempotency_key
        )
        return answer

    def evidence(
        self, about: str, *, since: str | None = None, until: str | None = None, form: str = "json"
    ) -> bytes:
        """All that speaks for and against a version, or with a namespace and `since`, against all versions that
        something happened to in a period; `form` json or html. Times are in UTC, as 2026-01-31T12:00:00Z.

        `assay.proof.check` finds what the JSON proves without a server. That it was taken is in the journal.
        """
        period = "/" not in about
        path = f"{namespace_path(about) if period else self._path(about)}/evidence"
        asked = {"as": form, "since": since, "until": until}
        given = {name: value for name, value in asked.items() if value is not None}
        with self._connection.stream(path, given) as response:
            return response.read()
