"""A version as a line in a list."""

from __future__ import annotations

from typing import Any

from registry.api.shows import latest_metrics, version_json
from registry.models import ModelVersion

HEADLINE = 3


def version_row(row: ModelVersion) -> dict[str, Any]:
    """The version's JSON with the few measurements to show beside it. No query, for a row of VERSION_ROWS."""
    return {**version_json(row), "headline": headline(row)}


def headline(row: ModelVersion) -> list[dict[str, Any]]:
    """One measurement a metric name: of whole datasets before slices, of the test split before others."""
    chosen: dict[str, dict[str, Any]] = {}
    newest = sorted(
        latest_metrics(row.evaluations.all()), key=lambda m: (m["slice"] != "", m["split"] != "test")
    )
    for metric in newest:
        chosen.setdefault(metric["name"], metric)
    return [chosen[name] for name in sorted(chosen)][:HEADLINE]
