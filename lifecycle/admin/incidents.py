"""Incidents: what is open, and closing it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display

from lifecycle.actions.incidents import close_incident
from lifecycle.models import Incident
from registry.admin.acting import ActPage, ReasonForm, page_action
from registry.admin.scoped import ScopedAdmin
from registry.http.authentication import principal_of


class OpenFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("closed", "Closed")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() in {"open", "closed"}:
            return queryset.filter(closed_at__isnull=self.value() == "open")
        return queryset


@admin.register(Incident)
class IncidentAdmin(ScopedAdmin):
    list_display = ("told_about", "told_severity", "title", "state", "opened_by", "opened_at")
    list_filter = (OpenFilter, "severity")
    list_select_related = ("model__namespace", "version__model__namespace", "opened_by")
    search_fields = ("model__name", "model__namespace__name", "title")
    ordering = ("-opened_at", "-pk")
    fields = (
        "told_about", "told_severity", "title", "detail", "state", "opened_by", "opened_at", "resolution",
        "closed_by", "closed_at",
    )  # fmt: skip
    readonly_fields = fields
    actions_detail = ("close",)
    to_namespace = "model.namespace"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related(*self.list_select_related)

    @display(description="of", ordering="model__name")
    def told_about(self, row: Incident) -> str:
        return row.about

    @display(
        description="severity",
        ordering="severity",
        label={"low": "info", "medium": "warning", "high": "danger", "critical": "danger"},
    )
    def told_severity(self, row: Incident) -> str:
        return row.severity

    @display(description="state", label={"open": "danger", "closed": "default"})
    def state(self, row: Incident) -> str:
        return "closed" if row.closed_at else "open"

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        return row.closed_at is None and super().offers(request, action, row)

    @page_action(description="Close the incident", icon="task_alt")
    def close(self, request: HttpRequest, row: Incident) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            close_incident(incident=row, reason=given["reason"], by=principal_of(request))
            return f"The incident of {row.about} is closed."

        return ActPage(
            title="Close an incident",
            sentence=f"{row.title} ({row.severity}, of {row.about}). Say what became of it.",
            consequences=(
                "It stands in the way of no promotion any more.",
                "It is closed for good: what is found later is another incident.",
            ),
            button="Close",
            back=reverse("admin:lifecycle_incident_change", args=[row.pk]),
            form_class=ReasonForm,
            act=act,
        ).respond(request)
