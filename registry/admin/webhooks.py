"""Webhooks, and what was delivered to them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from registry.actions.deliveries import replay_webhook, try_webhook
from registry.actions.webhooks import (
    MOST_PARALLEL,
    create_webhook,
    delete_webhook,
    edit_webhook,
    rotate_secret,
)
from registry.admin.acting import ActPage, page_action
from registry.admin.journal import NamespaceFilter
from registry.admin.scoped import ScopedAdmin
from registry.errors import NotVisible
from registry.http.authentication import principal_of
from registry.journal.trouble import TOLD_AFTER
from registry.models import Principal, Stage, Webhook
from registry.models.visibility import namespaces_where
from registry.permissions import visible_namespace
from registry.roles import Permission

# On the page of an endpoint.
NEWEST = 8


class WebhookEditForm(forms.Form):
    """What may change about an endpoint."""

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget)
    url = forms.CharField(max_length=500, label="URL", widget=UnfoldAdminTextInputWidget)
    events = forms.CharField(
        initial="*",
        widget=UnfoldAdminTextInputWidget,
        help_text="Types separated by commas, such as version.ready, promotion.*; * is all of them.",
    )
    models = forms.CharField(
        required=False,
        label="Only of these models",
        widget=UnfoldAdminTextInputWidget,
        help_text="Their names in the namespace, separated by commas; none: of all, and of what is no model's.",
    )
    stages = forms.MultipleChoiceField(
        required=False,
        label="Only in these stages",
        choices=Stage.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What moves into or out of them, is asked for them, or happens to versions in them.",
    )
    parallel = forms.IntegerField(
        min_value=1,
        max_value=MOST_PARALLEL,
        initial=1,
        label="Messages at a time",
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="1: in order, each after the one before has arrived. More: side by side, in no order.",
    )


class WebhookForm(WebhookEditForm):
    """A new endpoint."""

    namespace = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget)
    field_order = ("namespace",)


class RotateForm(forms.Form):
    """Whether the secret before is believed for a while."""

    at_once = forms.BooleanField(
        required=False,
        label="Forget the old secret at once",
        widget=UnfoldBooleanSwitchWidget,
        help_text="For one that leaked: the receiver believes nothing until it knows the new one.",
    )


class ReplayForm(forms.Form):
    """A period."""

    since = forms.DateTimeField(
        label="Since (UTC)", widget=UnfoldAdminTextInputWidget, help_text="As 2026-01-31 12:00."
    )
    until = forms.DateTimeField(
        required=False,
        label="Until (UTC)",
        widget=UnfoldAdminTextInputWidget,
        help_text="Before this time; empty: until now.",
    )


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    """The form's fields as the actions take them."""
    lists = {
        key: [part.strip() for part in given[key].split(",") if part.strip()] for key in ("events", "models")
    }
    return {**{key: given[key] for key in ("name", "url", "stages", "parallel")}, **lists}


@admin.register(Webhook)
class WebhookAdmin(ScopedAdmin):
    list_display = ("name", "namespace", "url", "told_events", "state", "failing_since", "created_at")
    list_filter = (NamespaceFilter, "active")
    list_select_related = ("namespace", "created_by")
    search_fields = ("name", "url")
    ordering = ("-created_at", "-pk")
    # Never a secret: it was shown once, to whoever made it.
    fields = (
        "name", "namespace", "url", "told_events", "told_filters", "told_order", "state", "disabled_reason",
        "failing_since", "both_sign_until", "created_by", "created_at", "newest",
    )  # fmt: skip
    readonly_fields = fields
    actions_list = ("new_webhook",)
    actions_detail = ("edit", "send_test", "replay", "rotate", "switch_off", "switch_on", "take_away")

    def scope(self, rows: QuerySet[Any], principal: Principal) -> QuerySet[Any]:
        """Where one may edit them, as in the interface: an address may hold a key of the receiver's."""
        return rows.filter(namespace__in=namespaces_where(principal, Permission.WEBHOOK_EDIT))

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        there = row.deleted_at is None
        needs_on = {"switch_off", "send_test", "replay"}
        fits = (action not in needs_on or row.active) and (action != "switch_on" or not row.active)
        return there and fits and super().offers(request, action, row)

    @display(description="events")
    def told_events(self, row: Webhook) -> str:
        return "all" if "*" in row.events else ", ".join(row.events)

    @display(description="filters")
    def told_filters(self, row: Webhook) -> str:
        told = [f"models {', '.join(row.of_models)}"] if row.of_models else []
        told += [f"stages {', '.join(row.stages)}"] if row.stages else []
        return "; ".join(told) or "none"

    @display(description="order")
    def told_order(self, row: Webhook) -> str:
        return "in order, one at a time" if row.parallel == 1 else f"{row.parallel} at a time, in no order"

    @display(description="newest deliveries")
    def newest(self, row: Webhook) -> str:
        found = row.deliveries.select_related("event").order_by("-created_at", "-pk")[:NEWEST]
        return render_to_string("admin/parts/deliveries.html", {"deliveries": found, "webhook": row})

    @display(description="both secrets sign until")
    def both_sign_until(self, row: Webhook) -> Any:
        return row.old_secret_until

    @display(
        description="state",
        label={"active": "success", "failing": "danger", "disabled": "warning", "deleted": "danger"},
    )
    def state(self, row: Webhook) -> str:
        if row.deleted_at:
            return "deleted"
        if not row.active:
            return "disabled"
        since = row.failing_since
        return "failing" if since and since <= timezone.now() - TOLD_AFTER else "active"

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
            hook, secret = create_webhook(namespace=namespace, by=by, **_changes(given))
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

    @page_action(description="Edit", icon="edit")
    def edit(self, request: HttpRequest, row: Webhook) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            edit_webhook(webhook=row, by=principal_of(request), **_changes(given))
            return f"{given['name']} is changed."

        return self._page(
            row,
            title="Edit",
            sentence=f"What {row.reference} hears of, and where.",
            consequences=("What waits for it already is sent there too.",),
            button="Save",
            form_class=WebhookEditForm,
            initial={
                "name": row.name,
                "url": row.url,
                "events": ", ".join(row.events),
                "models": ", ".join(row.of_models),
                "stages": row.stages,
                "parallel": row.parallel,
            },
            act=act,
        ).respond(request)

    @page_action(description="Test", icon="send")
    def send_test(self, request: HttpRequest, row: Webhook) -> HttpResponse:
        def act(_given: dict[str, Any]) -> str:
            try_webhook(webhook=row, by=principal_of(request))
            return "A test is on its way; what comes of it is among the deliveries."

        return self._page(
            row,
            title="Send a test",
            sentence=f"Send {row.reference} the event webhook.tested ({row.url})?",
            consequences=("It is sent whatever the webhook asked to hear of, after what waits already.",),
            button="Send",
            act=act,
        ).respond(request)

    @page_action(description="Replay", icon="history")
    def replay(self, request: HttpRequest, row: Webhook) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            told = replay_webhook(webhook=row, by=principal_of(request), **given)
            return f"{told} messages are on their way again."

        return self._page(
            row,
            title="Replay a period",
            sentence=f"Tell {row.reference} everything of a period that its filters let through?",
            consequences=(
                "What it has heard it hears again, under the same ids: a receiver that keeps them does no harm.",
                "What happens meanwhile is told after it.",
            ),
            button="Replay",
            form_class=ReplayForm,
            act=act,
        ).respond(request)

    @page_action(description="New secret", icon="key")
    def rotate(self, request: HttpRequest, row: Webhook) -> HttpResponse:
        secrets: list[str] = []

        def act(given: dict[str, Any]) -> str:
            _, secret = rotate_secret(webhook=row, by=principal_of(request), **given)
            secrets.append(secret)
            old = "is void" if given["at_once"] else "signs too for 24 hours"
            return f"The old secret {old}. This is the new one, shown once:"

        return self._page(
            row,
            title="Change the secret",
            sentence=f"Make a new signing secret for {row.reference}?",
            consequences=(
                "Messages carry the signatures of both for 24 hours; a receiver believes either.",
                "Tell the receiver the new one in that time.",
            ),
            button="Change",
            form_class=RotateForm,
            act=act,
            shows=lambda: secrets[-1] if secrets else None,
        ).respond(request)

    def _page(self, row: Webhook, **page: Any) -> ActPage:
        return ActPage(back=reverse("admin:registry_webhook_change", args=[row.pk]), **page)

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
