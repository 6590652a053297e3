"""Webhooks, and what was delivered to them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest
from unfold.decorators import display

from registry.admin.journal import NamespaceFilter
from registry.admin.scoped import ReadOnlyInline, ScopedAdmin
from registry.models import Delivery, DeliveryAttempt, Webhook


@admin.register(Webhook)
class WebhookAdmin(ScopedAdmin):
    list_display = ("name", "namespace", "url", "told_events", "state", "created_by", "created_at")
    list_filter = (NamespaceFilter, "active")
    list_select_related = ("namespace", "created_by")
    search_fields = ("name", "url")
    ordering = ("-created_at", "-pk")
    # Never `secret`: it was shown once, to whoever made the webhook.
    fields = (
        "name", "namespace", "url", "told_events", "state", "disabled_reason", "created_by", "created_at",
    )  # fmt: skip
    readonly_fields = fields

    @display(description="events")
    def told_events(self, row: Webhook) -> str:
        return "all" if "*" in row.events else ", ".join(row.events)

    @display(description="state", label={"active": "success", "disabled": "warning", "deleted": "danger"})
    def state(self, row: Webhook) -> str:
        if row.deleted_at:
            return "deleted"
        return "active" if row.active else "disabled"


class AttemptInline(ReadOnlyInline):
    model = DeliveryAttempt
    fields = ("at", "status", "duration_ms", "error", "answer")
    readonly_fields = fields
    tab = False


@admin.register(Delivery)
class DeliveryAdmin(ScopedAdmin):
    list_display = ("created_at", "event_type", "subject", "webhook", "told_state", "tries", "delivered_at")
    list_filter = ("state",)
    list_select_related = ("webhook__namespace", "event")
    search_fields = ("webhook__name", "event__type", "event__subject_label")
    ordering = ("-created_at", "-pk")
    fields = (
        "webhook", "event_type", "subject", "told_state", "created_at", "due_at", "delivered_at",
    )  # fmt: skip
    readonly_fields = fields
    inlines = (AttemptInline,)
    to_namespace = "webhook.namespace"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(tried=Count("attempts"))

    @display(description="event", ordering="event__type")
    def event_type(self, row: Delivery) -> str:
        return row.event.type

    @display(description="about")
    def subject(self, row: Delivery) -> str:
        return row.event.subject_label

    @display(
        description="state",
        label={"delivered": "success", "pending": "info", "failed": "danger"},
        ordering="state",
    )
    def told_state(self, row: Delivery) -> str:
        return row.state

    @display(description="attempts")
    def tries(self, row: Any) -> int:
        return int(row.tried)
