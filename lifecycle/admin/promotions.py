"""Promotions, as they were asked, judged and decided. They are decided on the desk."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from unfold.decorators import display

from lifecycle.actions.glass import break_glass
from lifecycle.actions.promotions import can_decide, right_to_ask, withdraw_promotion
from lifecycle.api.shows import promotion_json, promotion_rows
from lifecycle.models import OPEN, Approval, Promotion, State
from registry.admin.acting import ActPage, ReasonForm, page_action
from registry.admin.journal import shortened
from registry.admin.scoped import ReadOnlyInline, ScopedAdmin
from registry.http.authentication import principal_of
from registry.permissions import can

STATE_COLOURS = {
    "evaluating": "info",
    "gates failed": "danger",
    "awaiting approval": "warning",
    "applied": "success",
    "rejected": "danger",
    "expired": "default",
    "void": "default",
    "withdrawn": "default",
}


class ApprovalInline(ReadOnlyInline):
    model = Approval
    fields = ("by", "verdict", "reason", "at")
    readonly_fields = fields
    tab = False


@admin.register(Promotion)
class PromotionAdmin(ScopedAdmin):
    list_display = (
        "version",
        "target",
        "kind",
        "told_state",
        "requested_by",
        "requested_at",
        "short_outcome",
    )
    list_filter = ("state", "target", "kind")
    list_select_related = ("version__model__namespace", "requested_by")
    search_fields = ("version__model__name", "version__model__namespace__name", "requested_by__username")
    ordering = ("-requested_at", "-pk")
    fields = (
        "version", "target", "kind", "told_state", "outcome", "reason", "gates", "requested_by", "requested_at",
        "expires_at", "decided_at", "replaces", "binding",
    )  # fmt: skip
    readonly_fields = fields
    inlines = (ApprovalInline,)
    actions_detail = ("open_on_desk", "withdraw", "break_glass")
    to_namespace = "version.model.namespace"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("version__model__namespace", "requested_by")

    @display(description="state", label=STATE_COLOURS, ordering="state")
    def told_state(self, row: Promotion) -> str:
        return row.state.replace("_", " ")

    @display(description="outcome", ordering="outcome")
    def short_outcome(self, row: Promotion) -> str:
        return shortened(row.outcome, 90)

    @display(description="gates")
    def gates(self, row: Promotion) -> str:
        return render_to_string(
            "facts/gates.html", {"gates": promotion_json(promotion_rows().get(pk=row.pk))["gates"]}
        )

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        if action in ("withdraw", "break_glass") and row.state not in OPEN:
            return False
        if action == "withdraw" and not can(
            principal_of(request), right_to_ask(row), row.version.model.namespace_id
        ):
            return False
        if action == "break_glass" and not can_decide(principal_of(request), row):
            return False
        return super().offers(request, action, row)

    @page_action(description="Open on the desk", icon="inbox")
    def open_on_desk(self, request: HttpRequest, row: Promotion) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:desk-promotion", args=[row.pk]))

    @page_action(description="Withdraw", icon="undo")
    def withdraw(self, request: HttpRequest, row: Promotion) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            withdraw_promotion(promotion=row, reason=given["reason"], by=principal_of(request))
            return f"The request for {row.version.reference} is withdrawn."

        return ActPage(
            title="Withdraw a request",
            sentence=f"Withdraw the request to bring {row.version.reference} to {row.target}?",
            consequences=("Nobody decides on it any more. It can be asked again.",),
            button="Withdraw",
            back=reverse("admin:lifecycle_promotion_change", args=[row.pk]),
            form_class=ReasonForm,
            act=act,
        ).respond(request)

    @page_action(description="Break the glass", icon="emergency_heat", danger=True)
    def break_glass(self, request: HttpRequest, row: Promotion) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            done = break_glass(promotion=row, reason=given["reason"], by=principal_of(request))
            if done.state != State.APPLIED:
                return f"The glass was not broken: {done.outcome}."
            return f"The glass is broken: {row.version.reference} is in {row.target}. Somebody reviews it within 24 h."

        told = promotion_json(promotion_rows().get(pk=row.pk))
        held = [told["held"]["sentence"]] if told["held"] else []
        given = [f"Approvals: {told['approvals_wanted']['sentence']}."] if told["approvals_wanted"] else []
        return ActPage(
            title="Break the glass",
            sentence=f"Bring {row.version.reference} to {row.target} now, alone, in spite of what follows.",
            consequences=(
                *held,
                *given,
                "Gates, quarantine and malicious files are not set aside. Nobody does this for what is their own.",
                "It is told to everybody who listens, and a second person reviews it within 24 h.",
            ),
            button="Break the glass",
            back=reverse("admin:lifecycle_promotion_change", args=[row.pk]),
            form_class=ReasonForm,
            act=act,
            dangerous=True,
        ).respond(request)
