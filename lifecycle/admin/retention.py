"""What is kept where, for how long, and what may not be moved."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from unfold.decorators import display

from lifecycle.models import LegalHold, RetentionPolicy, TierMove
from registry.admin.scoped import ScopedAdmin
from registry.models import ModelVersion, Principal


@admin.register(RetentionPolicy)
class RetentionPolicyAdmin(ScopedAdmin):
    list_display = ("namespace", "enabled", "after_days", "keep_former", "updated_at")
    list_select_related = ("namespace",)
    search_fields = ("namespace__name",)
    ordering = ("namespace__name",)
    fields = ("namespace", "enabled", "after_days", "keep_former", "updated_at")
    readonly_fields = fields


@admin.register(TierMove)
class TierMoveAdmin(ScopedAdmin):
    list_display = ("created_at", "version", "bytes_moved", "to_tier", "told_state", "moved_at", "error")
    list_filter = ("state", "to_tier")
    list_select_related = ("version__model__namespace", "blob")
    search_fields = ("version__model__name", "blob__sha256")
    ordering = ("-created_at", "-pk")
    fields = (
        "version",
        "blob_digest",
        "bytes_moved",
        "to_tier",
        "told_state",
        "created_at",
        "moved_at",
        "error",
    )
    readonly_fields = fields
    to_namespace = "version.model.namespace"

    def scope(self, rows: QuerySet[Any], principal: Principal) -> QuerySet[Any]:
        return rows.filter(version__in=ModelVersion.objects.visible_to(principal))

    @display(description="bytes")
    def bytes_moved(self, row: TierMove) -> str:
        return f"{row.blob.size:,}"

    @display(description="blob")
    def blob_digest(self, row: TierMove) -> str:
        return f"sha256:{row.blob_id}"

    @display(
        description="state", ordering="state",
        label={"copying": "info", "moved": "info", "done": "success", "failed": "danger"},
    )  # fmt: skip
    def told_state(self, row: TierMove) -> str:
        return row.state


@admin.register(LegalHold)
class LegalHoldAdmin(ScopedAdmin):
    list_display = ("version", "reason", "placed_by", "placed_at", "lifted_by", "lifted_at")
    list_select_related = ("version__model__namespace", "placed_by", "lifted_by")
    search_fields = ("version__model__name", "reason")
    ordering = ("-placed_at", "-pk")
    fields = ("version", "reason", "placed_by", "placed_at", "lifted_by", "lifted_at")
    readonly_fields = fields
    to_namespace = "version.model.namespace"
