"""What was delivered to webhooks, and telling it again."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display

from registry.actions.deliveries import redeliver
from registry.admin.acting import ActPage, page_action
from registry.admin.journal import pretty
from registry.admin.scoped import ReadOnlyInline, ScopedAdmin
from registry.http.authentication import principal_of
from registry.journal.webhooks import payload
from registry.models import Delivery, DeliveryAttempt, Principal
from registry.models.visibility import namespaces_where
from registry.roles import Permission


class AttemptInline(ReadOnlyInline):
    model = DeliveryAttempt
    fields = ("at", "status", "duration_ms", "error", "answer", "answered_under", "went")
    readonly_fields = fields
    tab = False

    @display(description="headers of the answer")
    def answered_under(self, row: DeliveryAttempt) -> str:
        return pretty(row.answer_headers)

    @display(description="sent to, under")
    def went(self, row: DeliveryAttempt) -> str:
        return pretty(row.sent)


@admin.register(Delivery)
class DeliveryAdmin(ScopedAdmin):
    list_display = ("created_at", "event_type", "subject", "webhook", "told_state", "tries", "delivered_at")
    list_filter = ("state",)
    list_select_related = ("webhook__namespace", "event__namespace")
    search_fields = ("webhook__name", "event__type", "event__subject_label")
    ordering = ("-created_at", "-pk")
    fields = (
        "webhook", "event_type", "subject", "told_state", "created_at", "due_at", "delivered_at", "body",
    )  # fmt: skip
    readonly_fields = fields
    inlines = (AttemptInline,)
    actions_detail = ("redeliver",)
    to_namespace = "webhook.namespace"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(tried=Count("attempts"))

    def scope(self, rows: QuerySet[Any], principal: Principal) -> QuerySet[Any]:
        return rows.filter(webhook__namespace__in=namespaces_where(principal, Permission.WEBHOOK_EDIT))

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

    @display(description="body")
    def body(self, row: Delivery) -> str:
        return pretty(json.loads(payload(row.event)))

    @display(description="attempts")
    def tries(self, row: Any) -> int:
        return int(row.tried)

    @page_action(description="Deliver again", icon="replay")
    def redeliver(self, request: HttpRequest, row: Delivery) -> HttpResponse:
        def act(_given: dict[str, Any]) -> str:
            redeliver(delivery=row, by=principal_of(request))
            return "It is delivered again now; each attempt is listed below."

        return ActPage(
            title="Deliver again",
            sentence=f"Tell {row.webhook.name} again of {row.event.type} ({row.event.subject_label})?",
            consequences=("The message has the same id: a receiver that keeps ids does nothing twice.",),
            button="Deliver again",
            back=reverse("admin:registry_delivery_change", args=[row.pk]),
            act=act,
        ).respond(request)
