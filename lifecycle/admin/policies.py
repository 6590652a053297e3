"""Policies: published revisions, readable as the list of gates they are; a new revision is published from here."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanSwitchWidget,
)

from lifecycle.actions.policies import publish_policy
from lifecycle.api.shows import policy_json
from lifecycle.approvals import groups_of
from lifecycle.models import Policy
from registry.admin.acting import ActPage, page_action
from registry.admin.journal import NamespaceFilter
from registry.admin.scoped import ScopedAdmin
from registry.http.authentication import principal_of


class RevisionForm(forms.Form):
    """The gates in order, how many approvals, and from whom."""

    gates = forms.JSONField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 18, "class": "json", "spellcheck": "false"}),
        help_text="A list of {gate, parameters}. What is wrong is said with its place in the list.",
    )
    approvals = forms.IntegerField(min_value=0, max_value=10, widget=UnfoldAdminIntegerFieldWidget)
    groups = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="How many of them from which group or role, one a line, as `risk: 1`; `designated_reviewers` are "
        "those of the model. One person stands for one group.",
    )
    without_designated = forms.BooleanField(
        required=False,
        label="Designated reviewers of a model do not count",
        widget=UnfoldBooleanSwitchWidget,
    )

    def clean_groups(self) -> list[dict[str, Any]]:
        """The lines as the policy holds them."""
        found: list[dict[str, Any]] = []
        for line in filter(str.strip, self.cleaned_data["groups"].splitlines()):
            name, _, count = (part.strip() for part in line.partition(":"))
            if not (name and (count or "1").isdecimal()):
                raise forms.ValidationError(f"{line.strip()!r} is not of the form `risk: 1`.")
            found.append({"group": name, "count": int(count or 1)})
        return found


@admin.register(Policy)
class PolicyAdmin(ScopedAdmin):
    list_display = (
        "where",
        "target",
        "revision",
        "gate_count",
        "approvals_asked",
        "created_by",
        "published_at",
    )
    list_filter = (NamespaceFilter, "target")
    list_select_related = ("namespace", "model__namespace", "created_by")
    search_fields = ("namespace__name", "model__name")
    ordering = ("-published_at", "-pk")
    fields = ("where", "target", "revision", "gates_told", "approvals_asked", "created_by", "published_at")
    readonly_fields = fields
    actions_detail = ("publish",)

    @display(description="for", ordering="namespace__name")
    def where(self, row: Policy) -> str:
        return str(row.model) if row.model else f"every model of {row.namespace}"

    @display(description="gates")
    def gate_count(self, row: Policy) -> int:
        return len(row.gates)

    @display(description="approvals")
    def approvals_asked(self, row: Policy) -> str:
        groups = "".join(f", {count} of {name}" for name, count in groups_of(row.approvals).items())
        only = (
            "" if row.approvals.get("designated_reviewers", True) else "; designated reviewers do not count"
        )
        return f"{row.approvals.get('count', 0)}{groups}{only}"

    @display(description="gates")
    def gates_told(self, row: Policy) -> str:
        return render_to_string("facts/policy.html", {"policy": policy_json(row)})

    @page_action(description="Publish a new revision", icon="publish")
    def publish(self, request: HttpRequest, row: Policy) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            made = publish_policy(
                namespace=row.namespace,
                model=row.model,
                target=row.target,
                gates=given["gates"],
                approvals={
                    "count": given["approvals"],
                    "groups": given["groups"],
                    "designated_reviewers": not given["without_designated"],
                },
                by=principal_of(request),
            )
            return f"{made} is published and applies to what is asked from now on."

        where = self.where(row)
        return ActPage(
            title=f"New revision of the {row.target} policy",
            sentence=f"For {where}. It begins as a copy of revision {row.revision}.",
            consequences=(
                "It is published at once, and a published revision never changes.",
                "Open promotions that ask for approvals become void, and are asked for again.",
            ),
            button="Publish",
            back=reverse("admin:lifecycle_policy_changelist"),
            form_class=RevisionForm,
            initial={
                "gates": row.gates,
                "approvals": row.approvals.get("count", 0),
                "groups": "\n".join(f"{name}: {n}" for name, n in groups_of(row.approvals).items()),
                "without_designated": not row.approvals.get("designated_reviewers", True),
            },
            act=act,
        ).respond(request)


class _Pretty(json.JSONEncoder):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "indent": 2})


RevisionForm.base_fields["gates"].encoder = _Pretty  # type: ignore[attr-defined]
