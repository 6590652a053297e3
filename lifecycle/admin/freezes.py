"""Freeze windows: what is frozen until when, freezing from a namespace's list, and ending it early."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSplitDateTimeWidget

from lifecycle.actions.freezes import end_freeze, set_freeze
from lifecycle.models import FreezeWindow
from registry.admin.acting import ActPage, ReasonForm, page_action
from registry.admin.journal import NamespaceFilter
from registry.admin.scoped import ScopedAdmin
from registry.http.authentication import principal_of
from registry.models import Namespace, RegisteredModel
from registry.models.visibility import namespaces_where
from registry.roles import Permission

BOTH = [("", "staging and production"), ("staging", "staging"), ("production", "production")]


class FreezeForm(ReasonForm):
    """What is frozen, from when to when."""

    about = forms.ChoiceField(label="For", widget=UnfoldAdminSelectWidget)
    target = forms.ChoiceField(choices=BOTH, required=False, label="Stage", widget=UnfoldAdminSelectWidget)
    starts_at = forms.SplitDateTimeField(
        required=False, label="From (UTC)", widget=UnfoldAdminSplitDateTimeWidget, help_text="Else at once."
    )
    ends_at = forms.SplitDateTimeField(label="Until (UTC)", widget=UnfoldAdminSplitDateTimeWidget)
    field_order = ("about", "target", "starts_at", "ends_at", "reason")


@admin.register(FreezeWindow)
class FreezeAdmin(ScopedAdmin):
    list_display = ("told_about", "told_target", "state", "starts_at", "ends_at", "reason", "by")
    list_filter = (NamespaceFilter, "target")
    list_select_related = ("namespace", "model__namespace", "by")
    search_fields = ("namespace__name", "model__name", "reason")
    ordering = ("-starts_at", "-pk")
    fields = (
        "told_about", "told_target", "state", "starts_at", "ends_at", "reason", "by", "at", "ended_by", "ended_at",
        "ended_reason",
    )  # fmt: skip
    readonly_fields = fields
    actions_list = ("freeze",)
    actions_detail = ("end",)

    @display(description="for", ordering="namespace__name")
    def told_about(self, row: FreezeWindow) -> str:
        return row.about

    @display(description="stage", ordering="target")
    def told_target(self, row: FreezeWindow) -> str:
        return row.target or "staging and production"

    @display(description="state", label={"frozen": "danger", "coming": "warning", "over": "default"})
    def state(self, row: FreezeWindow) -> str:
        now = timezone.now()
        if row.ended_at or row.ends_at <= now:
            return "over"
        return "frozen" if row.starts_at <= now else "coming"

    def may(self, request: HttpRequest, action: str, row: Any = None) -> bool:
        if row is not None and row.namespace is None:
            return bool(request.user.is_superuser)
        return super().may(request, action, row)

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        return self.state(row) != "over" and super().offers(request, action, row)

    @page_action(description="Freeze", icon="ac_unit")
    def freeze(self, request: HttpRequest, row: None) -> HttpResponse:
        places = _places(request)

        def act(given: dict[str, Any]) -> str:
            namespace, model = places[given["about"]]
            made = set_freeze(
                namespace=namespace,
                model=model,
                target=given["target"],
                starts_at=given["starts_at"],
                ends_at=given["ends_at"],
                reason=given["reason"],
                by=principal_of(request),
            )
            return f"{made.about} is frozen until {made.ends_at:%Y-%m-%d %H:%M} UTC."

        about = forms.ChoiceField(
            choices=[(name, name) for name in places], label="For", widget=UnfoldAdminSelectWidget
        )
        return ActPage(
            title="Freeze",
            sentence="A time in which nothing is promoted into a stage.",
            consequences=(
                "Requests can be made and approved; they take effect when the freeze is over.",
                "Rolling back and suspending stay possible.",
                "An operator can break the glass for one promotion, which a second person reviews.",
            ),
            button="Freeze",
            back=reverse("admin:lifecycle_freezewindow_changelist"),
            form_class=type("FreezeForm", (FreezeForm,), {"about": about}),
            act=act,
        ).respond(request)

    @page_action(description="End early", icon="play_arrow")
    def end(self, request: HttpRequest, row: FreezeWindow) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            end_freeze(freeze=row, reason=given["reason"], by=principal_of(request))
            return f"The freeze of {row.about} is over."

        return ActPage(
            title="End a freeze early",
            sentence=f"{row} until {row.ends_at:%Y-%m-%d %H:%M} UTC: {row.reason}",
            consequences=("What was approved meanwhile takes effect within a minute.",),
            button="End it",
            back=reverse("admin:lifecycle_freezewindow_change", args=[row.pk]),
            form_class=ReasonForm,
            act=act,
        ).respond(request)


def _places(request: HttpRequest) -> dict[str, tuple[Namespace | None, RegisteredModel | None]]:
    """What this person may freeze, by the name it has in the form."""
    mine = namespaces_where(principal_of(request), Permission.POLICY_EDIT)
    found: dict[str, tuple[Namespace | None, RegisteredModel | None]] = {}
    for namespace in Namespace.objects.filter(pk__in=mine).order_by("name"):
        found[namespace.name] = (namespace, None)
    models = RegisteredModel.objects.filter(namespace__in=mine, deleted_at=None).select_related("namespace")
    for model in models.order_by("namespace__name", "name")[:500]:
        found[str(model)] = (model.namespace, model)
    if request.user.is_superuser:
        found["everywhere"] = (None, None)
    return found
