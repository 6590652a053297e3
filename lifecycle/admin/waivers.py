"""Waivers: what somebody asks to be let stand, and the page on which somebody else grants or refuses it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import display

from lifecycle.actions.waivers import decide_waiver
from lifecycle.api.shows import waiver_json
from lifecycle.models import Waiver, WaiverDecision
from registry.admin.acting import ActPage, ReasonForm, page_action
from registry.admin.scoped import ReadOnlyInline, ScopedAdmin
from registry.http.authentication import principal_of

STATE_COLOURS = {"asked": "warning", "granted": "info", "refused": "danger", "expired": "default"}


class DecisionInline(ReadOnlyInline):
    model = WaiverDecision
    fields = ("by", "verdict", "reason", "at")
    readonly_fields = fields
    tab = False
    verbose_name_plural = "decided"


class UndecidedFilter(admin.SimpleListFilter):
    title = "decided"
    parameter_name = "decided"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Waits for somebody"), ("yes", "Decided")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() in {"no", "yes"}:
            return queryset.filter(decision__isnull=self.value() == "no")
        return queryset


@admin.register(Waiver)
class WaiverAdmin(ScopedAdmin):
    list_display = ("reference", "target", "gate", "told_state", "reason", "until", "by", "at")
    list_filter = (UndecidedFilter,)
    list_select_related = ("result__promotion__version__model__namespace", "by", "decision__by")
    search_fields = ("result__promotion__version__model__name", "reason", "result__key")
    ordering = ("-at", "-pk")
    fields = ("reference", "target", "gate", "said", "told_state", "reason", "until", "by", "at")
    readonly_fields = fields
    inlines = (DecisionInline,)
    actions_detail = ("grant", "refuse")
    to_namespace = "result.promotion.version.model.namespace"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related(*self.list_select_related)

    @display(description="version")
    def reference(self, row: Waiver) -> str:
        return row.result.promotion.version.reference

    @display(description="to")
    def target(self, row: Waiver) -> str:
        return row.result.promotion.target

    @display(description="gate")
    def gate(self, row: Waiver) -> str:
        return row.result.key

    @display(description="what the gate says")
    def said(self, row: Waiver) -> str:
        return row.result.sentence

    @display(description="state", label=STATE_COLOURS)
    def told_state(self, row: Waiver) -> str:
        return str(waiver_json(row)["state"])

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        over = hasattr(row, "decision") or (action == "grant" and row.until <= timezone.now())
        return not over and super().offers(request, action, row)

    @page_action(description="Grant", icon="check")
    def grant(self, request: HttpRequest, row: Waiver) -> HttpResponse:
        return _decision(
            request,
            row,
            "grant",
            f"{row.result.key} is let stand until {row.until:%Y-%m-%d %H:%M} UTC.",
            consequences=(
                "It counts for this version, this stage and what the gate says now.",
                "When the gate finds something else, it refuses again.",
                "Who let it stand, and why, is shown with the promotion for ever.",
            ),
        )

    @page_action(description="Refuse", icon="block", danger=True)
    def refuse(self, request: HttpRequest, row: Waiver) -> HttpResponse:
        return _decision(
            request, row, "refuse", "The waiver is refused.", consequences=("The gate goes on refusing.",)
        )


def _decision(
    request: HttpRequest, row: Waiver, verdict: str, done: str, consequences: tuple[str, ...]
) -> HttpResponse:
    def act(given: dict[str, Any]) -> str:
        decide_waiver(waiver=row, verdict=verdict, reason=given["reason"], by=principal_of(request))
        return done

    promotion = row.result.promotion
    return ActPage(
        title=f"{verdict.capitalize()} a waiver",
        sentence=(
            f"{row.by.get_username()} asks that {row.result.key} of {promotion.version.reference} to "
            f"{promotion.target} be let stand until {row.until:%Y-%m-%d %H:%M} UTC: {row.reason} "
            f"The gate says: {row.result.sentence}"
        ),
        consequences=consequences,
        button=verdict.capitalize(),
        back=reverse("admin:lifecycle_waiver_change", args=[row.pk]),
        form_class=ReasonForm,
        act=act,
    ).respond(request)
