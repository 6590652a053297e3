"""Namespaces, who holds which role in them, and their groups."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from registry.actions.grants import waiting
from registry.actions.roles import (
    LONGEST_GROUP,
    LONGEST_REASON,
    Outcome,
    create_group,
    create_namespace,
    edit_namespace,
    grant_role,
    own_groups,
    revoke_role,
)
from registry.admin.acting import ActPage, page_action
from registry.admin.scoped import ScopedAdmin
from registry.http.authentication import principal_of
from registry.models import Namespace, Principal, RoleGroup
from registry.models.visibility import namespaces_where
from registry.permissions import known_user
from registry.roles import ROLES, Permission, Role

_ROLE_NAMES = {role.value: role.value.replace("_", " ") for role in Role}


class NamespaceForm(forms.Form):
    """A new namespace."""

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget)
    description = forms.CharField(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))


class NamespaceEditForm(forms.Form):
    """What may change about a namespace."""

    description = forms.CharField(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))
    clean_downloads_only = forms.BooleanField(
        required=False,
        label="Clean downloads only",
        widget=UnfoldBooleanSwitchWidget,
        help_text="Versions that a scan has not found clean are handed out to nobody.",
    )


class MemberForm(forms.Form):
    """A person and a role."""

    user = forms.CharField(
        max_length=150, label="User name", widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(choices=list(_ROLE_NAMES.items()), widget=UnfoldAdminSelectWidget)


class GroupForm(forms.Form):
    """A new group."""

    name = forms.CharField(max_length=LONGEST_GROUP, widget=UnfoldAdminTextInputWidget, help_text="As risk.")


def _member_form(namespace: Namespace) -> type[MemberForm]:
    """The form, with the groups of this namespace beside the roles."""
    groups = [(tied.role, f"group {tied.role}") for tied in own_groups(namespace).order_by("role")]
    choices = [*_ROLE_NAMES.items(), *groups]
    role = forms.ChoiceField(choices=choices, label="Role or group", widget=UnfoldAdminSelectWidget)
    return type("MemberForm", (MemberForm,), {"role": role})


def _grant_form(namespace: Namespace) -> type[forms.Form]:
    """The same, with a reason: whoever confirms reads it."""
    reason = forms.CharField(
        required=False, max_length=LONGEST_REASON, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2})
    )
    return type("GrantForm", (_member_form(namespace),), {"reason": reason})


def _called(role: str) -> str:
    return _ROLE_NAMES.get(role, f"in the group {role}")


@admin.register(Namespace)
class NamespaceAdmin(ScopedAdmin):
    list_display = ("name", "description", "members_count", "models_count", "created_at")
    search_fields = ("name", "description")
    ordering = ("name",)
    fields = ("name", "description", "clean_downloads_only", "created_at", "members")
    readonly_fields = fields
    actions_list = ("new_namespace",)
    actions_detail = ("grant", "revoke", "new_group", "edit")
    to_namespace = ""

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        people = models.Count("role_groups__group__user", distinct=True)
        made = models.Count("models", distinct=True)
        rows: models.QuerySet[Any] = super().get_queryset(request)
        counted: models.QuerySet[Any] = rows.annotate(people=people, model_count=made)
        return counted

    def scope(self, rows: models.QuerySet[Any], principal: Principal) -> models.QuerySet[Any]:
        return rows.filter(pk__in=namespaces_where(principal, Permission.NAMESPACE_READ))

    @display(description="people", ordering="people")
    def members_count(self, row: Any) -> int:
        return int(row.people)

    @display(description="models", ordering="model_count")
    def models_count(self, row: Any) -> int:
        return int(row.model_count)

    @display(description="members")
    def members(self, row: Namespace) -> str:
        groups = RoleGroup.objects.filter(namespace=row).prefetch_related("group__user_set")
        holders = {g.role: sorted(u.get_username() for u in g.group.user_set.all()) for g in groups}
        roles = [
            {"name": _ROLE_NAMES[role], "people": holders.get(role, []), "permissions": sorted(ROLES[role])}
            for role in Role
        ]
        own = sorted(set(holders) - set(_ROLE_NAMES))
        roles += [{"name": f"group {name}", "people": holders[name], "permissions": []} for name in own]
        return render_to_string(
            "admin/parts/members.html", {"roles": roles, "waiting": waiting().filter(namespace=row)}
        )

    @page_action(description="New namespace", icon="add")
    def new_namespace(self, request: HttpRequest, row: None) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            made = create_namespace(
                name=given["name"], description=given["description"], by=principal_of(request)
            )
            return f"The namespace {made.name} is there. Nobody has a role in it yet."

        return ActPage(
            title="New namespace",
            sentence="A team's room: names are unique within it, rights are granted on it.",
            consequences=("A namespace is never deleted, and keeps its name.",),
            button="Create",
            back=reverse("admin:registry_namespace_changelist"),
            form_class=NamespaceForm,
            act=act,
        ).respond(request)

    @page_action(description="Grant a role", icon="person_add")
    def grant(self, request: HttpRequest, row: Namespace) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            user, role = known_user(given["user"]), given["role"]
            by, reason = principal_of(request), given["reason"]
            outcome = grant_role(namespace=row, user=user, role=role, reason=reason, by=by)
            if outcome == Outcome.ASKED:
                return f"Asked: somebody else confirms that {user.get_username()} be {_called(role)} in {row.name}."
            held = "is now" if outcome == Outcome.GRANTED else "was already"
            return f"{user.get_username()} {held} {_called(role)} in {row.name}."

        return self._member_page(
            request,
            row,
            "Grant a role",
            f"Somebody gets a role in {row.name}, at once and until it is taken away.",
            act,
            form_class=_grant_form(row),
            consequences=(
                "The production operator's role takes two: another admin or an operator confirms it within 30 days.",
            ),
        )

    @page_action(description="Take a role away", icon="person_remove")
    def revoke(self, request: HttpRequest, row: Namespace) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            user, role = known_user(given["user"]), given["role"]
            revoke_role(namespace=row, user=user, role=role, by=principal_of(request))
            return f"{user.get_username()} is no longer {_called(role)} in {row.name}."

        sentence = f"Somebody loses a role in {row.name}. Their tokens lose its rights with it, at once."
        return self._member_page(request, row, "Take a role away", sentence, act)

    @page_action(description="New group", icon="group_add")
    def new_group(self, request: HttpRequest, row: Namespace) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            made = create_group(namespace=row, name=given["name"], by=principal_of(request))
            return f"The group {made.role} is there. Nobody is in it yet: put people in as if it were a role."

        return ActPage(
            title="New group",
            sentence=f"People of {row.name} whose approval a policy can ask for by the group's name.",
            consequences=(
                "Who is in it reads the namespace, and decides on promotions whose policy names it.",
                "A group keeps its name and is never deleted.",
            ),
            button="Create",
            back=reverse("admin:registry_namespace_change", args=[row.pk]),
            form_class=GroupForm,
            act=act,
        ).respond(request)

    @page_action(description="Edit", icon="edit")
    def edit(self, request: HttpRequest, row: Namespace) -> HttpResponse:
        def act(given: dict[str, Any]) -> str:
            edit_namespace(namespace=row, by=principal_of(request), **given)
            return f"The namespace {row.name} is as you said."

        return ActPage(
            title=f"Edit {row.name}",
            sentence="What the namespace says of itself, and whether only what a scan found clean is handed out.",
            consequences=(
                "Clean downloads only: nobody can download a version that a scan did not find clean.",
                "That holds for versions in production, and for those that are not scanned yet.",
                "It takes effect at once.",
            ),
            button="Save",
            back=reverse("admin:registry_namespace_change", args=[row.pk]),
            form_class=NamespaceEditForm,
            initial={
                "description": row.description,
                "clean_downloads_only": row.clean_downloads_only,
            },
            act=act,
        ).respond(request)

    def _member_page(
        self,
        request: HttpRequest,
        row: Namespace,
        title: str,
        sentence: str,
        act: Any,
        form_class: type[forms.Form] | None = None,
        consequences: tuple[str, ...] = (),
    ) -> HttpResponse:
        return ActPage(
            title=title,
            sentence=sentence,
            button=title,
            back=reverse("admin:registry_namespace_change", args=[row.pk]),
            form_class=form_class or _member_form(row),
            consequences=consequences,
            act=act,
        ).respond(request)
