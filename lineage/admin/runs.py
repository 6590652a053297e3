"""Runs: what was executed, with what, and what it measured."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from unfold.decorators import display

from lineage.models import LatestMetric, Run, RunParameter, RunTag
from registry.admin.journal import NamespaceFilter, pretty
from registry.admin.scoped import ReadOnlyInline, ScopedAdmin

STATUS_COLOURS = {
    "running": "info",
    "scheduled": "info",
    "finished": "success",
    "failed": "danger",
    "killed": "warning",
}


class ParameterInline(ReadOnlyInline):
    model = RunParameter
    fields = ("key", "value")
    readonly_fields = fields
    ordering = ("key",)
    verbose_name_plural = "parameters"


class MetricInline(ReadOnlyInline):
    model = LatestMetric
    fields = ("key", "value", "step")
    readonly_fields = fields
    ordering = ("key",)
    verbose_name_plural = "metrics"


class TagInline(ReadOnlyInline):
    model = RunTag
    fields = ("key", "value")
    readonly_fields = fields
    ordering = ("key",)
    verbose_name_plural = "tags"


@admin.register(Run)
class RunAdmin(ScopedAdmin):
    list_display = (
        "told_name",
        "namespace",
        "experiment",
        "told_status",
        "commit",
        "created_by",
        "started_at",
    )
    list_filter = (NamespaceFilter, "status")
    list_select_related = ("namespace", "experiment", "created_by")
    search_fields = ("name", "experiment__name", "created_by__username")
    ordering = ("-started_at", "-id")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "told_name",
                    "experiment",
                    "told_status",
                    "started_at",
                    "ended_at",
                    "created_by",
                    "entry_point",
                    "told_command",
                    "failure",
                )
            },
        ),
        ("Code and environment", {"fields": ("told_code", "told_config", "told_environment"), "classes": ("tab",)}),
        ("Capture", {"fields": ("told_capture",), "classes": ("tab",)}),
    )  # fmt: skip
    readonly_fields = (
        "told_name", "experiment", "told_status", "started_at", "ended_at", "created_by", "entry_point",
        "told_command", "failure", "told_code", "told_config", "told_environment", "told_capture",
    )  # fmt: skip
    inlines = (ParameterInline, MetricInline, TagInline)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("namespace", "experiment", "created_by")

    @display(description="run", ordering="name")
    def told_name(self, row: Run) -> str:
        return str(row)

    @display(description="status", label=STATUS_COLOURS, ordering="status")
    def told_status(self, row: Run) -> str:
        return row.status

    @display(description="commit")
    def commit(self, row: Run) -> str:
        code = row.code or {}
        return f"{(code.get('commit') or '')[:10]}{' + changes' if code.get('dirty') else ''}" or "\u2013"

    @display(description="command")
    def told_command(self, row: Run) -> str:
        return " ".join(str(part) for part in row.command) or "\u2013"

    @display(description="code")
    def told_code(self, row: Run) -> str:
        return pretty(row.code)

    @display(description="config")
    def told_config(self, row: Run) -> str:
        return pretty(row.config)

    @display(description="environment")
    def told_environment(self, row: Run) -> str:
        return pretty(row.environment)

    @display(description="what could be seen")
    def told_capture(self, row: Run) -> str:
        return render_to_string("facts/completeness.html", {"completeness": row.capture})
