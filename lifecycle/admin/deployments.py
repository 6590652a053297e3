"""What runs where, and its history: to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from lifecycle.models import Deployment, DeploymentChange
from registry.admin.scoped import ReadOnlyInline, ScopedAdmin


class ChangeInline(ReadOnlyInline):
    model = DeploymentChange
    fields = ("at", "what", "version", "short_digest", "sentence", "by")
    readonly_fields = fields
    ordering = ("-pk",)
    tab = False
    verbose_name_plural = "history"
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("version__model__namespace", "by")

    @display(description="digest")
    def short_digest(self, row: DeploymentChange) -> str:
        return f"sha256:{row.digest[:12]}…"


class WrongFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("wrong", "Not as it should be"), ("right", "As it should be"), ("removed", "Taken away")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "wrong":
                return queryset.filter(removed_at=None).exclude(drift=[])
            case "right":
                return queryset.filter(removed_at=None, drift=[])
            case "removed":
                return queryset.exclude(removed_at=None)
        return queryset


@admin.register(Deployment)
class DeploymentAdmin(ScopedAdmin):
    list_display = ("target", "reference", "serves", "state", "since", "last_seen", "reporter")
    list_filter = (WrongFilter, "serves")
    list_select_related = ("version__model__namespace", "reporter")
    search_fields = ("target", "model__name", "model__namespace__name")
    ordering = ("target", "pk")
    fields = (
        "target",
        "reference",
        "serves",
        "told_state",
        "drift_sentence",
        "digest",
        "interval",
        "since",
        "last_seen",
        "reporter",
        "removed_at",
    )
    readonly_fields = fields
    inlines = (ChangeInline,)
    to_namespace = "model.namespace"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("version__model__namespace", "reporter")

    @display(description="runs", ordering="version__model__name")
    def reference(self, row: Deployment) -> str:
        return row.version.reference

    @display(description="state", label={"right": "success", "removed": "default", "wrong": "danger"})
    def state(self, row: Deployment) -> tuple[str, str]:
        kind = "removed" if row.removed_at else "wrong" if row.drift else "right"
        return kind, self.told_state(row)

    @display(description="state")
    def told_state(self, row: Deployment) -> str:
        if row.removed_at:
            return "taken away"
        return ", ".join(each.replace("_", " ") for each in row.drift) or "as it should be"
