"""Redactions: what somebody asks to be taken out, and the decision by somebody else."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from registry.actions.redactions import APPROVE, REJECT, check_another, decide_redaction, told
from registry.admin.acting import ActPage, ReasonForm, page_action
from registry.admin.journal import NamespaceFilter
from registry.admin.scoped import ReadOnlyInline, ScopedAdmin
from registry.errors import DomainError
from registry.http.authentication import principal_of
from registry.models import Redaction, RedactionPlace


class ApprovalForm(forms.Form):
    """An approval may say why."""

    reason = forms.CharField(
        max_length=4000,
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Written in the journal. Do not write down what is taken out.",
    )


class PlaceInline(ReadOnlyInline):
    model = RedactionPlace
    fields = ("kind", "row_id", "words", "digest")
    readonly_fields = fields
    verbose_name_plural = "places"
    hide_title = True
    ordering = ("pk",)
    tab = False
    per_page = 50

    @display(description="field")
    def words(self, row: RedactionPlace) -> str:
        return row.words


@admin.register(Redaction)
class RedactionAdmin(ScopedAdmin):
    list_display = ("asked_at", "namespace", "what", "told_state", "asked_by", "decided_by")
    list_filter = (NamespaceFilter, "state")
    list_select_related = ("namespace", "asked_by", "decided_by")
    search_fields = ("asked_by__username", "decided_by__username")
    ordering = ("-asked_at", "-pk")
    fields = (
        "namespace", "told_state", "what", "reason", "asked_by", "asked_at", "decided_by", "decided_at",
        "decision_reason", "came_of_it",
    )  # fmt: skip
    readonly_fields = fields
    inlines = (PlaceInline,)
    actions_detail = ("approve", "reject")

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        if row.state != Redaction.State.ASKED or not super().offers(request, action, row):
            return False
        try:
            check_another(row, principal_of(request))
        except DomainError:
            return False
        return True

    @display(
        description="state", ordering="state",
        label={"asked": "warning", "applied": "success", "rejected": "danger", "approved": "info"},
    )  # fmt: skip
    def told_state(self, row: Redaction) -> str:
        return row.state

    @display(description="what")
    def what(self, row: Redaction) -> str:
        return in_words(row)

    @display(description="came of it")
    def came_of_it(self, row: Redaction) -> str:
        if row.outcome is None:
            return "\u2013"
        left = len(row.outcome["changed"])
        rest = f"; {left} left alone: something else stood there by then" if left else ""
        return f"{row.outcome['redacted']} taken out{rest}"

    @page_action(description="Approve", icon="ink_eraser", danger=True)
    def approve(self, request: HttpRequest, row: Redaction) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            by = principal_of(request)
            done = decide_redaction(redaction=row, verdict=APPROVE, reason=given["reason"], by=by)
            return f"Taken out: {self.came_of_it(done)}."

        return ActPage(
            title="Approve a redaction",
            sentence=f"{row.asked_by} asks to take out {in_words(row)}: {row.reason}",
            consequences=(
                "What stands there is replaced by a mark, at once and for good: nobody can bring it back.",
                "Digests, approvals and the graph stay as they are; what was sent elsewhere is not called back.",
                "A text that has changed since it was named is left alone.",
                "An open promotion whose evidence holds it becomes void: it is asked for again.",
            ),
            button="Take it out",
            dangerous=True,
            form_class=ApprovalForm,
            back=reverse("admin:registry_redaction_change", args=[row.pk]),
            act=act,
        ).respond(request)

    @page_action(description="Reject", icon="block")
    def reject(self, request: HttpRequest, row: Redaction) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            decide_redaction(redaction=row, verdict=REJECT, reason=given["reason"], by=principal_of(request))
            return "Rejected: everything stays as it is."

        return ActPage(
            title="Reject a redaction",
            sentence=f"Leave {in_words(row)} as it is?",
            consequences=("It can be asked for again.",),
            button="Reject",
            form_class=ReasonForm,
            back=reverse("admin:registry_redaction_change", args=[row.pk]),
            act=act,
        ).respond(request)


def in_words(row: Redaction) -> str:
    """`3 texts: run.command, 2 in event.after`; `and more` where one redaction could not take them all."""
    counted = told(row)
    fields = ", ".join(f"{n} in {name}" if n > 1 else name for name, n in counted["fields"].items())
    more = ", and more" if counted["more"] else ""
    return f"{counted['places']} text{'' if counted['places'] == 1 else 's'}: {fields}{more}"
