"""Legal holds: placed on a page that says what follows, and lifted by two people."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from lifecycle import holds
from lifecycle.actions.holds import ask_lift, can_decide, decide_lift, place_hold
from lifecycle.models import HoldLift, LegalHold
from registry.admin.acting import ActPage, ReasonForm, page_action
from registry.admin.scoped import ReadOnlyInline, ScopedAdmin
from registry.errors import DomainError
from registry.http.authentication import principal_of
from registry.models import ModelVersion
from registry.references import resolve

STATE_COLOURS = {"standing": "info", "lift asked": "warning", "lifted": "default"}
PLACING = (
    "Nobody can delete the version, and its bytes are not moved to the cold location.",
    "It can still be promoted, rolled back to, suspended and downloaded.",
    "The hold ends when one person asks for that and another grants it; what was held is shown for ever.",
)


class HoldForm(ReasonForm):
    """A version that is named, and why it is kept."""

    version = forms.CharField(
        max_length=300,
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}),
        help_text="As namespace/model:3.",
    )
    field_order = ("version", "reason")


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("standing", "Stands"), ("lift_asked", "Stands, a lift is asked"), ("lifted", "Lifted")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return holds.in_state(queryset, self.value())


class LiftInline(ReadOnlyInline):
    model = HoldLift
    fields = ("reason", "by", "at", "verdict", "decided_by", "decided_why", "decided_at")
    readonly_fields = fields
    tab = False
    hide_title = True
    ordering = ("at", "pk")
    verbose_name_plural = "asked to lift it"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("by", "decision__by", "hold")

    @display(description="decision", label={"lifted": "success", "refused": "danger", "waits": "warning"})
    def verdict(self, row: HoldLift) -> str:
        if not hasattr(row, "decision"):
            return "waits"
        return {"grant": "lifted", "refuse": "refused"}[row.decision.verdict]

    @display(description="decided by")
    def decided_by(self, row: HoldLift) -> str:
        return row.decision.by.get_username() if hasattr(row, "decision") else "\u2013"

    @display(description="why")
    def decided_why(self, row: HoldLift) -> str:
        return row.decision.reason if hasattr(row, "decision") else "\u2013"

    @display(description="decided at")
    def decided_at(self, row: HoldLift) -> str:
        return f"{row.decision.at:%Y-%m-%d %H:%M}" if hasattr(row, "decision") else "\u2013"


@admin.register(LegalHold)
class LegalHoldAdmin(ScopedAdmin):
    list_display = ("reference", "told_state", "reason", "placed_by", "placed_at", "lifted_by", "lifted_at")
    list_filter = (StateFilter,)
    list_select_related = ("version__model__namespace", "placed_by", "lifted_by")
    search_fields = ("version__model__name", "version__model__namespace__name", "reason")
    search_help_text = "model, namespace or reason"
    ordering = ("-placed_at", "-pk")
    fields = (
        "reference", "told_state", "told_stage", "reason", "placed_by", "placed_at", "lifted_by", "lifted_at",
    )  # fmt: skip
    readonly_fields = fields
    inlines = (LiftInline,)
    actions_list = ("place",)
    actions_detail = ("ask_lift", "grant", "refuse")
    to_namespace = "version.model.namespace"

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).select_related(*self.list_select_related)
        return rows.prefetch_related("lifts__decision", "lifts__by")

    @display(description="version", ordering="version__model__name")
    def reference(self, row: LegalHold) -> str:
        return row.version.reference

    @display(description="stage now")
    def told_stage(self, row: LegalHold) -> str:
        return str(row.version.stage)

    @display(description="state", label=STATE_COLOURS)
    def told_state(self, row: LegalHold) -> str:
        return holds.state_of(row).replace("_", " ")

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        if row.lifted_at is not None or not super().offers(request, action, row):
            return False
        lift = holds.open_lift(row)
        if action == "ask_lift":
            return lift is None
        return lift is not None and can_decide(principal_of(request), lift)

    @page_action(description="Place a hold", icon="lock")
    def place(self, request: HttpRequest, row: None) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            by = principal_of(request)
            try:
                version = resolve(given["version"], by)
            except DomainError as refusal:
                refusal.field = "version"
                raise
            return _placed(request, version, given["reason"])

        return ActPage(
            title="Place a legal hold",
            sentence="A version is kept for a case, whatever retention says and whoever would delete it.",
            consequences=PLACING,
            button="Place the hold",
            back=reverse("admin:lifecycle_legalhold_changelist"),
            form_class=HoldForm,
            act=act,
        ).respond(request)

    @page_action(description="Ask to lift it", icon="lock_open")
    def ask_lift(self, request: HttpRequest, row: LegalHold) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            ask_lift(hold=row, reason=given["reason"], by=principal_of(request))
            return "It is asked. The hold stands until somebody else grants it."

        return ActPage(
            title=f"Ask to lift the hold of {row.version.reference}",
            sentence=_told(row),
            consequences=(
                "Nothing changes yet: the hold stands until another person grants this.",
                "Admins and production operators of the namespace find it on the desk; you cannot decide on it.",
            ),
            button="Ask",
            back=reverse("admin:lifecycle_legalhold_change", args=[row.pk]),
            form_class=ReasonForm,
            act=act,
        ).respond(request)

    @page_action(description="Lift it", icon="check", danger=True)
    def grant(self, request: HttpRequest, row: LegalHold) -> HttpResponse:
        others = LegalHold.objects.filter(version=row.version, lifted_at=None).exclude(pk=row.pk).count()
        return _decision(
            request,
            row,
            "grant",
            f"The hold of {row.version.reference} is lifted.",
            consequences=(
                f"{others} other hold{'' if others == 1 else 's'} of this version stand{'s' if others == 1 else ''}, "
                "which go on keeping it."
                if others
                else "From now on the version can be deleted, and retention can put its bytes away.",
                "A hold that was lifted does not come back: another one can be placed while the version is there.",
            ),
        )

    @page_action(description="Keep it", icon="block")
    def refuse(self, request: HttpRequest, row: LegalHold) -> HttpResponse:
        return _decision(
            request,
            row,
            "refuse",
            "The hold stands.",
            consequences=("The hold stands; it can be asked for again.",),
        )


def place_page(request: HttpRequest, version: ModelVersion) -> HttpResponse:
    """The page on which a hold is placed on this version."""
    return ActPage(
        title=f"Place a legal hold on {version.reference}",
        sentence="It is kept for a case, whatever retention says and whoever would delete it.",
        consequences=PLACING,
        button="Place the hold",
        back=reverse("admin:registry_modelversion_change", args=[version.pk]),
        form_class=ReasonForm,
        act=lambda given: _placed(request, version, given["reason"]),
    ).respond(request)


def _placed(request: HttpRequest, version: ModelVersion, reason: str) -> str:
    hold = place_hold(version=version, reason=reason, by=principal_of(request))
    return f"{hold.version.reference} is under a legal hold."


def _told(row: LegalHold) -> str:
    placed = f"{row.placed_by.get_username()} placed it on {row.placed_at:%Y-%m-%d}"
    return f"{placed}: {row.reason}"


def _decision(
    request: HttpRequest, row: LegalHold, verdict: str, done: str, consequences: tuple[str, ...]
) -> HttpResponse:
    def act(given: dict[str, Any]) -> str:
        decide_lift(hold=row, verdict=verdict, reason=given["reason"], by=principal_of(request))
        return done

    lift = holds.open_lift(row)
    asked = f" {lift.by.get_username()} asks that it be lifted: {lift.reason}" if lift else ""
    return ActPage(
        title=f"{'Lift' if verdict == 'grant' else 'Keep'} the hold of {row.version.reference}",
        sentence=f"{_told(row)}{asked}",
        consequences=consequences,
        button="Lift it" if verdict == "grant" else "Keep it",
        dangerous=verdict == "grant",
        back=reverse("admin:lifecycle_legalhold_change", args=[row.pk]),
        form_class=ReasonForm,
        act=act,
    ).respond(request)
