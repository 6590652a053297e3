"""What was delivered to webhooks, and telling it again."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from registry.actions.deliveries import redeliver
from registry.admin.acting import ActPage, page_action
from registry.admin.journal import pretty, shortened
from registry.admin.scoped import ScopedAdmin
from registry.http.authentication import principal_of
from registry.journal.webhooks import payload
from registry.models import Delivery, DeliveryAttempt, Principal, Webhook
from registry.models.visibility import namespaces_where
from registry.roles import Permission

MOST_ATTEMPTS = 50


class WebhookFilter(admin.SimpleListFilter):
    """Deliveries by endpoint: those whose endpoints the caller edits."""

    title = "webhook"
    parameter_name = "webhook"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        seen = namespaces_where(principal_of(request), Permission.WEBHOOK_EDIT)
        hooks = Webhook.objects.filter(namespace__in=seen).select_related("namespace")
        return [(str(hook.pk), hook.reference) for hook in hooks.order_by("namespace__name", "name")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        try:
            return queryset.filter(webhook=self.value())
        except ValidationError as wrong:
            raise IncorrectLookupParameters(wrong) from wrong


@admin.register(Delivery)
class DeliveryAdmin(ScopedAdmin):
    list_display = ("created_at", "told_state", "tries", "event_type", "endpoint", "subject", "delivered_at")
    list_filter = ("state", WebhookFilter)
    list_select_related = ("webhook__namespace", "event__namespace")
    search_fields = ("webhook__name", "event__type", "event__subject_label")
    ordering = ("-created_at", "-pk")
    fields = (
        "endpoint", "event_type", "about", "told_state", "created_at", "due_at", "delivered_at", "told_attempts",
        "body",
    )  # fmt: skip
    readonly_fields = fields
    actions_detail = ("redeliver",)
    to_namespace = "webhook.namespace"

    def get_queryset(self, request: HttpRequest) -> Any:
        # Counted for the rows that are shown: joined, the attempts of all would be.
        attempts = DeliveryAttempt.objects.filter(delivery=OuterRef("pk")).order_by()
        counted = attempts.values("delivery").annotate(count=Count("pk")).values("count")
        return super().get_queryset(request).annotate(tried=Coalesce(Subquery(counted), 0))

    def scope(self, rows: QuerySet[Any], principal: Principal) -> QuerySet[Any]:
        return rows.filter(webhook__namespace__in=namespaces_where(principal, Permission.WEBHOOK_EDIT))

    @display(description="event", ordering="event__type")
    def event_type(self, row: Delivery) -> str:
        return row.event.type

    @display(description="webhook", ordering="webhook")
    def endpoint(self, row: Delivery) -> str:
        page = reverse("admin:registry_webhook_change", args=[row.webhook_id])
        return format_html('<a href="{}">{}</a>', page, row.webhook.reference)

    @display(description="about")
    def subject(self, row: Delivery) -> str:
        return shortened(row.event.subject_label, 40)

    @display(description="about")
    def about(self, row: Delivery) -> str:
        return row.event.subject_label

    @display(description="attempts")
    def told_attempts(self, row: Delivery) -> str:
        newest = row.attempts.order_by("-pk")[:MOST_ATTEMPTS]
        return render_to_string("admin/parts/attempts.html", {"attempts": newest})

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
            consequences=(
                f"{row.webhook.url} gets it next, whatever came of it before; the attempts so far stay on record.",
                "The message has the same id: a receiver that keeps ids does nothing twice.",
            ),
            button="Deliver again",
            back=reverse("admin:registry_delivery_change", args=[row.pk]),
            act=act,
        ).respond(request)
