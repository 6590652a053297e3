"""Roles that take two: what is asked for whom, and the page on which somebody else confirms or refuses it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from registry.actions.grants import CONFIRM, REFUSE, can_confirm, decide_grant, in_state, state_of
from registry.admin.acting import ActPage, ReasonForm, page_action
from registry.admin.journal import NamespaceFilter
from registry.admin.scoped import ScopedAdmin
from registry.http.authentication import principal_of
from registry.models import RoleGrant


class ConfirmForm(forms.Form):
    """A confirmation may say why."""

    reason = forms.CharField(
        max_length=4000,
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Written in the journal, and read by whoever asks why.",
    )


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "became"  # `state` is a column, which does not know what has expired

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("asked", "Waits for somebody"),
            ("granted", "Granted"),
            ("refused", "Refused"),
            ("expired", "Expired"),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return in_state(queryset, self.value())


@admin.register(RoleGrant)
class RoleGrantAdmin(ScopedAdmin):
    list_display = (
        "user",
        "told_role",
        "namespace",
        "told_state",
        "asked_by",
        "asked_at",
        "decided_by",
        "decided_at",
    )
    list_filter = (StateFilter, NamespaceFilter)
    list_select_related = ("namespace", "user", "asked_by", "decided_by")
    search_fields = ("user__username", "asked_by__username", "namespace__name")
    ordering = ("-asked_at", "-pk")
    fields = (
        "user", "told_role", "namespace", "told_state", "reason", "asked_by", "asked_at", "expires_at", "decided_by",
        "decided_at", "decision_reason",
    )  # fmt: skip
    readonly_fields = fields
    actions_detail = ("confirm", "refuse")

    @display(description="role")
    def told_role(self, row: RoleGrant) -> str:
        return row.role.replace("_", " ")

    @display(
        description="state",
        label={"asked": "warning", "granted": "success", "refused": "danger", "expired": "default"},
    )
    def told_state(self, row: RoleGrant) -> str:
        return state_of(row)

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        if state_of(row) != "asked" or not super().offers(request, action, row):
            return False
        return action == "refuse" or can_confirm(principal_of(request), row)

    @page_action(description="Confirm", icon="check", danger=True)
    def confirm(self, request: HttpRequest, row: RoleGrant) -> HttpResponse:
        role = self.told_role(row)
        return _decision(
            request,
            row,
            CONFIRM,
            f"{row.user.get_username()} is now {role} in {row.namespace}.",
            form=ConfirmForm,
            consequences=(
                "They can approve and reject promotions, roll back and suspend, at once and until it is taken away.",
                "One admin can take the role away again.",
            ),
        )

    @page_action(description="Refuse", icon="block")
    def refuse(self, request: HttpRequest, row: RoleGrant) -> HttpResponse:
        return _decision(
            request,
            row,
            REFUSE,
            "It is refused.",
            form=ReasonForm,
            consequences=("It can be asked for again.",),
        )


def _decision(
    request: HttpRequest,
    row: RoleGrant,
    verdict: str,
    done: str,
    *,
    form: type[forms.Form],
    consequences: tuple[str, ...],
) -> HttpResponse:
    def act(given: dict[str, Any]) -> str:
        decide_grant(grant=row, verdict=verdict, reason=given["reason"], by=principal_of(request))
        return done

    why = f": {row.reason}" if row.reason else "."
    return ActPage(
        title=f"{verdict.capitalize()} a grant",
        sentence=(
            f"{row.asked_by.get_username()} asks that {row.user.get_username()} be {row.role.replace('_', ' ')} "
            f"in {row.namespace}{why}"
        ),
        consequences=consequences,
        button=verdict.capitalize(),
        dangerous=verdict == CONFIRM,
        back=reverse("admin:registry_rolegrant_change", args=[row.pk]),
        form_class=form,
        act=act,
    ).respond(request)
