"""Webhooks, and what was delivered to them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from registry.actions.webhooks import create_webhook, delete_webhook, edit_webhook, redeliver
from registry.admin.acting import ActPage, page_action
from registry.admin.journal import NamespaceFilter
from registry.admin.scoped import ReadOnlyInline, ScopedAdmin
from registry.errors import NotVisible
from registry.http.authentication import principal_of
from registry.models import Delivery, DeliveryAttempt, Principal, Webhook
from registry.models.visibility import namespaces_where
from registry.permissions import visible_namespace
from registry.roles import Permission


class WebhookForm(forms.Form):
    """A new endpoint."""

    namespace = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget)
    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget)
    url = forms.CharField(max_length=500, label="URL", widget=UnfoldAdminTextInputWidget)
    events = forms.CharField(
        initial="*",
        widget=UnfoldAdminTextInputWidget,
        help_text="Types separated by commas, such as version.ready, promotion.*; * is all of them.",
    )


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
    actions_list = ("new_webhook",)
    actions_detail = ("switch_off", "switch_on", "take_away")

    def scope(self, rows: QuerySet[Any], principal: Principal) -> QuerySet[Any]:
        """Where one may edit them, as in the interface: an address may hold a key of the receiver's."""
        return rows.filter(namespace__in=namespaces_where(principal, Permission.WEBHOOK_EDIT))

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        there = row.deleted_at is None
        fits = {"switch_off": there and row.active, "switch_on": there and not row.active, "take_away": there}
        return fits[action] and super().offers(request, action, row)

    @display(description="events")
    def told_events(self, row: Webhook) -> str:
        return "all" if "*" in row.events else ", ".join(row.events)

    @display(description="state", label={"active": "success", "disabled": "warning", "deleted": "danger"})
    def state(self, row: Webhook) -> str:
        if row.deleted_at:
            return "deleted"
        return "active" if row.active else "disabled"

    @page_action(description="New webhook", icon="add")
    def new_webhook(self, request: HttpRequest, row: None) -> HttpResponse:
        secrets: list[str] = []

        def act(given: dict[str, Any]) -> str:
            by = principal_of(request)
            try:
                namespace = visible_namespace(by, given["namespace"])
            except NotVisible as refusal:
                refusal.field = "namespace"
                raise
            events = [part.strip() for part in given["events"].split(",") if part.strip()]
            hook, secret = create_webhook(
                namespace=namespace, name=given["name"], url=given["url"], events=events, by=by
            )
            secrets.append(secret)
            return f"{hook.name} hears from now on. Its messages are signed with this secret, shown once:"

        return ActPage(
            title="New webhook",
            sentence="An endpoint that hears of what happens in a namespace, signed (Standard Webhooks).",
            consequences=("Hosts are allowed by the platform's operators; others are refused.",),
            button="Create",
            back=reverse("admin:registry_webhook_changelist"),
            form_class=WebhookForm,
            act=act,
            shows=lambda: secrets[-1] if secrets else None,
        ).respond(request)

    @page_action(description="Switch off", icon="pause")
    def switch_off(self, request: HttpRequest, row: Webhook) -> HttpResponse:
        return self._switch(request, row, "Switch off", "What happens while it is off is not told to it.")

    @page_action(description="Switch on", icon="play_arrow")
    def switch_on(self, request: HttpRequest, row: Webhook) -> HttpResponse:
        return self._switch(request, row, "Switch on", "It hears of what happens from now on.")

    def _switch(self, request: HttpRequest, row: Webhook, title: str, consequence: str) -> HttpResponse:
        def act(_given: dict[str, Any]) -> str:
            edit_webhook(webhook=row, active=not row.active, by=principal_of(request))
            return f"{row.name} is switched {'off' if row.active else 'on'}."

        return ActPage(
            title=title,
            sentence=f"{title} {row.name} ({row.url})?",
            consequences=(consequence,),
            button=title,
            back=reverse("admin:registry_webhook_change", args=[row.pk]),
            act=act,
        ).respond(request)

    @page_action(description="Take away", icon="delete", danger=True)
    def take_away(self, request: HttpRequest, row: Webhook) -> HttpResponse:
        def act(_given: dict[str, Any]) -> str:
            delete_webhook(webhook=row, by=principal_of(request))
            return f"{row.name} is taken away. Its log of deliveries stays."

        return ActPage(
            title="Take a webhook away",
            sentence=f"Take {row.name} ({row.url}) away?",
            consequences=("Nothing is delivered to it any more, not even what waits.", "Its secret is void."),
            button="Take away",
            dangerous=True,
            back=reverse("admin:registry_webhook_changelist"),
            act=act,
        ).respond(request)


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
