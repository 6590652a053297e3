"""Broken glass: where it was broken and why, and the review."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from lifecycle.actions.glass import can_review, review_glass
from lifecycle.models import BreakGlass
from registry.admin.acting import ActPage, ReasonForm, page_action
from registry.admin.scoped import ScopedAdmin
from registry.http.authentication import principal_of


class ReviewForm(ReasonForm):
    """What the review found, and in a sentence why."""

    verdict = forms.ChoiceField(choices=BreakGlass.Verdict.choices, widget=UnfoldAdminSelectWidget)
    field_order = ("verdict", "reason")


@admin.register(BreakGlass)
class BreakGlassAdmin(ScopedAdmin):
    list_display = ("about", "state", "by", "at", "due_at", "reason")
    list_filter = ("verdict",)
    list_select_related = ("promotion__version__model__namespace", "by", "reviewed_by")
    search_fields = ("promotion__version__model__name", "by__username", "reason")
    ordering = ("-at", "-pk")
    fields = (
        "about", "state", "reason", "told_overrode", "by", "at", "due_at", "sentence", "reviewed_by", "reviewed_at",
    )  # fmt: skip
    readonly_fields = fields
    actions_detail = ("open_on_desk", "review")
    to_namespace = "promotion.version.model.namespace"

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        return rows.select_related(*self.list_select_related, "promotion__requested_by")

    @display(description="promotion", ordering="promotion__version__model__name")
    def about(self, row: BreakGlass) -> str:
        return str(row)

    @display(
        description="review",
        label={"justified": "success", "not justified": "danger", "waits": "warning", "overdue": "danger"},
    )
    def state(self, row: BreakGlass) -> str:
        if row.verdict:
            return row.verdict.replace("_", " ")
        return "overdue" if row.due_at <= timezone.now() else "waits"

    @display(description="in spite of")
    def told_overrode(self, row: BreakGlass) -> str:
        return ". ".join(filter(None, (row.overrode.get("freeze"), row.overrode.get("approvals"))))

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        if action == "review" and (row.reviewed_at or not can_review(principal_of(request), row)):
            return False
        return super().offers(request, action, row)

    @page_action(description="Open on the desk", icon="inbox")
    def open_on_desk(self, request: HttpRequest, row: BreakGlass) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:desk-promotion", args=[row.promotion_id]))

    @page_action(description="Review", icon="rate_review")
    def review(self, request: HttpRequest, row: BreakGlass) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            review_glass(
                promotion=row.promotion,
                verdict=given["verdict"],
                sentence=given["reason"],
                by=principal_of(request),
            )
            return f"Your review of {row} is kept."

        return ActPage(
            title="Review broken glass",
            sentence=f"{row.by.get_username()} brought {row} alone: {row.reason}",
            consequences=(
                f"In spite of this: {self.told_overrode(row)}",
                "Your review is kept for good. It moves nothing: an operator goes back, if that is called for.",
            ),
            button="Keep the review",
            back=reverse("admin:lifecycle_breakglass_change", args=[row.pk]),
            form_class=ReviewForm,
            act=act,
        ).respond(request)
