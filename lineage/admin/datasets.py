"""Datasets, and every content they were seen with."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Max
from django.http import HttpRequest
from unfold.decorators import display

from lineage.models import Dataset, DatasetVersion
from registry.admin.journal import NamespaceFilter
from registry.admin.scoped import ReadOnlyInline, ScopedAdmin


class DatasetVersionInline(ReadOnlyInline):
    model = DatasetVersion
    fields = (
        "digest",
        "foreign_digest",
        "files",
        "rows",
        "columns",
        "size",
        "produced_by",
        "source",
        "created_at",
    )
    readonly_fields = fields
    ordering = ("-created_at",)
    tab = False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("produced_by", "dataset")


@admin.register(Dataset)
class DatasetAdmin(ScopedAdmin):
    list_display = ("name", "namespace", "contents", "newest")
    list_filter = (NamespaceFilter,)
    list_select_related = ("namespace",)
    search_fields = ("name", "versions__digest", "versions__foreign_digest")
    search_help_text = "name or digest"
    ordering = ("namespace__name", "name")
    fields = ("name", "namespace", "description", "created_at")
    readonly_fields = fields
    inlines = (DatasetVersionInline,)

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        return rows.annotate(seen=Count("versions__digest", distinct=True), last=Max("versions__created_at"))

    @display(description="contents", ordering="seen")
    def contents(self, row: Any) -> int:
        return int(row.seen)

    @display(description="last seen", ordering="last")
    def newest(self, row: Any) -> Any:
        return row.last
