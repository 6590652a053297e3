"""The page that sets two versions side by side: what was measured of them, and what differs in what made them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console.page import Page
from lineage.why import explain
from registry.errors import DomainError
from registry.models import ModelVersion
from registry.references import resolve


class Comparing(Page):
    """`?a=` and `?b=` are references as the shell takes them. Without both it asks for them; one that names nothing
    is answered in its place, with the status that the interface gives it."""

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = {side: request.GET.get(side, "").strip() for side in ("a", "b")}
        shown: dict[str, Any] = {"asked": asked}
        status = 200
        if all(asked.values()):
            try:
                a, b = (resolve(ref, self.principal) for ref in asked.values())
            except DomainError as refusal:
                shown["refusal"], status = refusal.sentence, refusal.status
            else:
                shown |= {"a": a, "b": b, "names": _names(a, b), "found": self._told(a, b)}
        return render(request, "console/comparing.html", shown, status=status)

    def _told(self, a: ModelVersion, b: ModelVersion) -> dict[str, Any]:
        found = explain(a, b, self.principal)
        intervals = any(metric["low"] is not None for metric in found["metrics"])
        return {**found, "intervals": intervals}


def _names(a: ModelVersion, b: ModelVersion) -> tuple[str, str]:
    """What the columns are called: within one model the number says it."""
    if a.model_id == b.model_id:
        return f"Version {a.number}", f"Version {b.number}"
    return a.reference, b.reference
