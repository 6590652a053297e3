"""Validation reports: with documents, and on versions that are in production.

Part of `assay.Client`, which is where these calls are found.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from assay.answers import Attachment
from assay.documents import LARGEST_ATTACHMENT, Documents, read_document
from assay.references import model_path


class Review(TypedDict):
    """When a model in production has to be validated again: `state` is current, overdue (it is told) or blocked
    (nothing of the model is promoted until it is)."""

    state: str
    version: str
    since: str
    due_at: str
    blocks_at: str
    sentence: str


class Revalidation(TypedDict):
    """A validation of a version in production: `verdict` is valid or not_valid."""

    id: str
    version: str
    verdict: str
    report: dict[str, Any]
    by: str
    at: str


class Revalidations(Documents):
    """The calls of a client about validation reports."""

    def attach_to_report(
        self, ref: str, path: str | os.PathLike[str], *, name: str | None = None
    ) -> Attachment:
        """Send a document, such as a PDF or a notebook, for a report of one's own on a version: the report names it by
        its `id`. Raises PathRefused."""
        content = read_document(path, LARGEST_ATTACHMENT)
        params = {"name": name or Path(path).name}
        answer: Attachment = self._send(f"{self._path(ref)}/report-attachments", content, params)
        return answer

    def revalidate(
        self,
        ref: str,
        verdict: str,
        report: Mapping[str, Any],
        *,
        attachments: Sequence[str | os.PathLike[str]] = (),
    ) -> Revalidation:
        """Write down that a version in production was validated again, `valid` or `not_valid`, with the report as of an
        approval and the files that go with it. `valid` counts as the model's review."""
        body = {"verdict": verdict, "report": self._with_attachments(ref, report, attachments)}
        row: Revalidation = self._connection.call("POST", f"{self._path(ref)}/revalidations", body=body)
        return row

    def revalidations(self, ref: str, *, limit: int | None = None) -> list[Revalidation]:
        """Newest first."""
        return list(self._connection.pages(f"{self._path(ref)}/revalidations", limit=limit))

    def review(self, model: str) -> Review | None:
        """When a model has to be validated again; None where no policy asks for it, or nothing is in production."""
        found: Review | None = self._connection.call("GET", f"{model_path(model)}/review")["review"]
        return found

    def _with_attachments(
        self, ref: str, report: Mapping[str, Any], paths: Sequence[str | os.PathLike[str]]
    ) -> dict[str, Any]:
        sent = [self.attach_to_report(ref, path)["id"] for path in paths]
        named = [*report.get("attachments", []), *sent]
        return {**report, **({"attachments": named} if named else {})}
