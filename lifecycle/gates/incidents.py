"""The gate on what is known to be wrong: no incident is open."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from lifecycle.gates.kinds import Context, Finding, Gate, Parameter, Verdict
from lifecycle.models import Incident, Severity

MOST_TOLD = 3


class NoOpenIncident(Gate):
    """Nothing that is known to be wrong with the version, or with the model whatever the version, is still open.

    What is wrong with another version does not stand in its way: this one may be the remedy.
    """

    name = "no_open_incident"
    parameters = (
        Parameter(
            "severity",
            str,
            default=Severity.LOW.value,
            choices=tuple(Severity.values),
            help="from which severity on an open incident stands in the way",
        ),
    )

    def claim(self, given: dict[str, Any]) -> str:
        least = "" if given["severity"] == Severity.LOW else f" of severity {given['severity']} or worse"
        return f"no incident{least} is open"

    def evaluate(self, context: Context, given: dict[str, Any]) -> Finding:
        counted = Severity.values[Severity.values.index(given["severity"]) :]
        rows = Incident.objects.filter(
            Q(version=context.version) | Q(version=None, model=context.version.model_id),
            closed_at=None,
            severity__in=counted,
        ).select_related("model__namespace", "version__model__namespace", "opened_by")
        # The worst first, then the oldest.
        found = sorted(rows, key=lambda row: (-Severity.values.index(row.severity), row.opened_at, row.pk))
        if not found:
            return Finding(Verdict.PASS, f"{self.claim(given).capitalize()}.", {"open": []})
        more = f" and {len(found) - MOST_TOLD} more" if found[MOST_TOLD:] else ""
        said = "; ".join(
            f"{row.title.rstrip('.')} ({row.severity}, of {row.about}, since {row.opened_at:%Y-%m-%d} by "
            f"{row.opened_by.get_username()})"
            for row in found[:MOST_TOLD]
        )
        count = "An incident is" if len(found) == 1 else f"{len(found)} incidents are"
        return Finding(
            Verdict.FAIL,
            f"{count} open: {said}{more}. Somebody who may has to close it, and say what became of it.",
            {"open": sorted(str(row.pk) for row in found)},
        )
