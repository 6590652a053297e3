"""Policies: revisions, readable as the list of gates they are; drafted, published and withdrawn from here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from unfold.decorators import display

from lifecycle.actions.policies import publish_policy, withdraw_policy
from lifecycle.admin import policy_draft
from lifecycle.api.shows import policy_json
from lifecycle.models import Policy
from lifecycle.revisions import approvals_told, changes
from registry.admin.acting import ActPage, ReasonForm, page_action
from registry.admin.journal import NamespaceFilter
from registry.admin.scoped import ScopedAdmin
from registry.http.authentication import principal_of

STATE_COLOURS = {"draft": "warning", "published": "success", "withdrawn": "default"}


@admin.register(Policy)
class PolicyAdmin(ScopedAdmin):
    list_display = (
        "where",
        "target",
        "revision",
        "told_state",
        "gate_count",
        "approvals_asked",
        "created_by",
        "published_by",
        "published_at",
    )
    list_filter = (NamespaceFilter, "target", "state")
    list_select_related = ("namespace", "model__namespace", "created_by", "published_by")
    search_fields = ("namespace__name", "model__name", "risk_tier")
    ordering = ("-created_at", "-pk")
    fields = (
        "where",
        "target",
        "revision",
        "told_state",
        "gates_told",
        "approvals_asked",
        "changes_told",
        "reason",
        "created_by",
        "created_at",
        "published_by",
        "published_at",
    )
    readonly_fields = fields
    actions_detail = ("draft", "publish", "withdraw")

    @display(description="state", label=STATE_COLOURS)
    def told_state(self, row: Policy) -> str:
        return row.state

    @display(description="for", ordering="namespace__name")
    def where(self, row: Policy) -> str:
        return row.scope if row.model or row.risk_tier else f"every model of {row.namespace}"

    @display(description="gates")
    def gate_count(self, row: Policy) -> int:
        return len(row.gates)

    @display(description="approvals")
    def approvals_asked(self, row: Policy) -> str:
        return approvals_told(row.approvals)

    @display(description="gates")
    def gates_told(self, row: Policy) -> str:
        return render_to_string("facts/policy.html", {"policy": policy_json(row)})

    @display(description="changes")
    def changes_told(self, row: Policy) -> str:
        return render_to_string("facts/policy_changes.html", {"changes": _changes(row), "policy": row})

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        waits = row.state == Policy.State.DRAFT
        return (action == "draft" or waits) and super().offers(request, action, row)

    @page_action(description="Draft a revision", icon="edit_note")
    def draft(self, request: HttpRequest, row: Policy) -> HttpResponse:
        return policy_draft.respond(request, row)

    @page_action(description="Publish", icon="publish")
    def publish(self, request: HttpRequest, row: Policy) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            made = publish_policy(policy=row, reason=given["reason"], by=principal_of(request))
            return f"{made} is published and applies to what is asked from now on."

        return ActPage(
            title=f"Publish revision {row.revision} of the {row.target} policy",
            sentence=f"For {row.scope}. {_drafted(row)}",
            consequences=(
                *(str(each["sentence"]) for each in _changes(row)),
                "Open promotions that ask for approvals become void, and are asked for again.",
                "It is in force at once, and never changes; another revision can follow.",
            ),
            button="Publish",
            back=reverse("admin:lifecycle_policy_change", args=[row.pk]),
            form_class=ReasonForm,
            act=act,
        ).respond(request)

    @page_action(description="Withdraw", icon="undo", danger=True)
    def withdraw(self, request: HttpRequest, row: Policy) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            withdrawn = withdraw_policy(policy=row, reason=given["reason"], by=principal_of(request))
            return f"{withdrawn} is withdrawn."

        return ActPage(
            title=f"Withdraw revision {row.revision} of the {row.target} policy",
            sentence=f"For {row.scope}. {_drafted(row)}",
            consequences=("What is in force stays so.", "The draft stays readable, and cannot be published."),
            button="Withdraw",
            back=reverse("admin:lifecycle_policy_change", args=[row.pk]),
            form_class=ReasonForm,
            act=act,
            dangerous=True,
        ).respond(request)


def _changes(row: Policy) -> list[dict[str, Any]]:
    return changes(row.replaces, row.target, row.gates, row.approvals)


def _drafted(row: Policy) -> str:
    who = row.created_by.get_username() if row.created_by else "assay"
    return f"Drafted by {who}{f': {row.reason}' if row.reason else '.'}"
