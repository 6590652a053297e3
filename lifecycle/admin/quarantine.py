"""Quarantines, those that stand and those that were lifted: to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from lifecycle.models import Quarantine, QuarantineLift
from registry.admin.journal import pretty
from registry.admin.scoped import ReadOnlyInline, ScopedAdmin


class LiftInline(ReadOnlyInline):
    model = QuarantineLift
    fields = ("by", "reason", "at")
    readonly_fields = fields
    tab = False
    verbose_name_plural = "lifted"


class StandsFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("stands", "Stands"), ("lifted", "Lifted")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() in {"stands", "lifted"}:
            return queryset.filter(lift__isnull=self.value() == "stands")
        return queryset


@admin.register(Quarantine)
class QuarantineAdmin(ScopedAdmin):
    list_display = ("reference", "stage", "state", "reason", "by", "at")
    list_filter = (StandsFilter,)
    list_select_related = ("version__model__namespace", "by", "lift")
    search_fields = ("version__model__name", "version__model__namespace__name", "reason")
    ordering = ("-at", "-pk")
    fields = ("reference", "stage", "state", "reason", "told_found_by", "by", "at")
    readonly_fields = fields
    inlines = (LiftInline,)
    to_namespace = "version.model.namespace"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("version__model__namespace", "by", "lift")

    @display(description="version", ordering="version__model__name")
    def reference(self, row: Quarantine) -> str:
        return row.version.reference

    @display(description="stage now")
    def stage(self, row: Quarantine) -> str:
        return str(row.version.stage)

    @display(description="state", label={"stands": "danger", "lifted": "default"})
    def state(self, row: Quarantine) -> str:
        return "lifted" if hasattr(row, "lift") else "stands"

    @display(description="found by")
    def told_found_by(self, row: Quarantine) -> str:
        return pretty(row.found_by) if row.found_by else "named by hand"
