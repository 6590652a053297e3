"""What speaks for a version: written down by pipelines, and taken out as one document for an auditor.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

from assay.answers import Evaluation
from assay.chain import goes_on
from assay.documents import Documents, read_document
from assay.errors import DigestMismatch
from assay.notes import Key, NoteIsWrong, checkpoint_in, opened
from assay.references import API, namespace_path

LARGEST_RESULTS = 32 * 2**20
# The results of every example: a CSV file, the numbers in the order of the dataset, or by the ids of the examples.
Examples = str | os.PathLike[str] | Sequence[float] | Mapping[str, float]


class Evidence(Documents):
    """The calls of a client about evidence."""

    def evaluate(  # noqa: PLR0913 - one keyword for each fact of an evaluation
        self,
        ref: str,
        dataset: tuple[str, str],
        *,
        metrics: Mapping[str, float | tuple[float, float, float]],
        examples: Mapping[str, Examples] | None = None,
        split: str = "test",
        slice: str = "",
        evaluator: str = "",
        run: str | None = None,
        idempotency_key: str | None = None,
    ) -> Evaluation:
        """Record how good a version is on a dataset, given as its name and digest.

        A metric is its value, or its value and the two bounds of its interval. `examples` are what it is the mean of,
        for each metric that has them: the results in the order of the dataset, or by the id of each example, or a CSV
        file of them (`value`, or `id,value`); with these, two versions are compared example by example. With an
        `idempotency_key`, as a webhook's id, a program that is run again records nothing twice; so too below.
        """
        values: list[dict[str, Any]] = []
        for name, value in metrics.items():
            point, *bounds = value if isinstance(value, tuple) else (value,)
            values.append({"name": name, "value": point, **dict(zip(("low", "high"), bounds, strict=False))})
        if unknown := sorted(set(examples or {}) - set(metrics)):
            raise ValueError(f"examples has {unknown[0]!r}, and metrics does not")
        for each in values:
            if each["name"] in (examples or {}):
                each["examples"] = self._send_examples(ref, (examples or {})[each["name"]])
        name, digest = dataset
        body: dict[str, Any] = {"dataset": {"name": name, "digest": digest}, "split": split, "slice": slice}
        body.update(evaluator=evaluator, metrics=values, run=run)
        answer: Evaluation = self._connection.call(
            "POST", f"{self._path(ref)}/evaluations", body=body, idempotency_key=idempotency_key
        )
        return answer

    def _send_examples(self, ref: str, given: Examples) -> dict[str, Any]:
        kept = self._send(f"{self._path(ref)}/example-results", examples_document(given))
        return {"digest": kept["digest"], "count": kept["count"]}

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

    def checkpoint(self, *, since: str | None = None, keys: Sequence[str] = ()) -> str:
        """The newest checkpoint that the server signed over its journal, as a note to be kept where its administrators
        cannot change it. With one that was kept (`since`), that the journal goes on from it.

        `keys` are the server's public ones; without any, those that it tells itself, which shows no more than that it
        agrees with itself. Raises DigestMismatch when history is not what it was, or the signature is another's.
        """
        try:
            # Its size is asked for; whether it is signed is looked at when the keys are known.
            kept = checkpoint_in(f"{since.rpartition(chr(10) * 2)[0]}\n") if since is not None else None
            answer = self._connection.call(
                "GET", f"{API}/journal/checkpoint", params={"since": kept.size if kept else None}
            )
            trusted = [Key.parse(key) for key in keys or answer["keys"]]
            newest = checkpoint_in(opened(answer["note"], trusted))
            if since is not None:
                opened(since, trusted)
        except NoteIsWrong as wrong:
            raise DigestMismatch(f"The checkpoint is not to be relied on: {wrong}.") from None
        except ValueError:
            raise DigestMismatch("A key is as `manage.py journal key` prints it.") from None
        if kept and not goes_on(kept, newest, [bytes.fromhex(each) for each in answer["consistency"]]):
            raise DigestMismatch(
                f"The journal does not go on from checkpoint {kept.number}, which was kept: history was written anew."
            )
        note: str = answer["note"]
        return note


def examples_document(given: Examples) -> bytes:
    """The CSV in which per-example results are sent. Raises PathRefused for a file that cannot be read."""
    if isinstance(given, str | os.PathLike):
        return read_document(given, LARGEST_RESULTS)
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    if isinstance(given, Mapping):
        rows.writerow(("id", "value"))
        rows.writerows((key, float(value)) for key, value in given.items())
    else:
        rows.writerow(("value",))
        rows.writerows((float(value),) for value in given)
    return text.getvalue().encode()
