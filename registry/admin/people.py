"""Users and tokens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from registry.actions.accounts import create_person, reset_password, set_active
from registry.actions.people import revoke_token
from registry.admin.acting import ActPage, page_action
from registry.admin.scoped import ScopedAdmin, is_administrator
from registry.http.authentication import principal_of
from registry.models import Principal, ServiceToken, User
from registry.models.visibility import namespaces_where
from registry.roles import Permission

# Groups are how roles are kept: they are seen and changed as roles, on the namespace's page.
if admin.site.is_registered(Group):
    admin.site.unregister(Group)


class PersonForm(forms.Form):
    """A new person."""

    username = forms.CharField(max_length=150, label="User name", widget=UnfoldAdminTextInputWidget)


@admin.register(User)
class UserAdmin(ScopedAdmin):
    list_display = ("username", "kind", "owner", "is_active", "is_superuser", "last_login", "date_joined")
    list_filter = ("is_active", "is_service", "is_superuser")
    list_select_related = ("owner",)
    search_fields = ("username", "first_name", "last_name")
    ordering = ("username",)
    fields = (
        "username", "first_name", "last_name", "email", "is_service", "owner", "is_active", "is_superuser",
        "last_login", "date_joined",
    )  # fmt: skip
    readonly_fields = fields
    actions_list = ("new_person",)
    actions_detail = ("new_password", "deactivate", "activate")

    # What the members of a namespace see of each other.
    told_to_members = ("username", "first_name", "last_name", "is_service", "owner", "is_active")

    def scope(self, rows: models.QuerySet[Any], principal: Principal) -> models.QuerySet[Any]:
        """Oneself, and who holds a role where one does."""
        shared = namespaces_where(principal, Permission.NAMESPACE_READ)
        mine = models.Q(pk=principal.account.pk) | models.Q(groups__rolegroup__namespace__in=shared)
        return rows.filter(mine).distinct()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if is_administrator(request) else self.told_to_members

    def get_list_display(self, request: HttpRequest) -> Any:
        return self.list_display if is_administrator(request) else ("username", "kind", "owner", "is_active")

    def get_list_filter(self, request: HttpRequest) -> Any:
        return self.list_filter if is_administrator(request) else ("is_active", "is_service")

    def namespace_of(self, row: Any) -> None:
        return None

    @display(description="kind", label={"person": "info", "service": "warning"})
    def kind(self, row: User) -> str:
        return "service" if row.is_service else "person"

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        fits = {
            "activate": not row.is_active,
            "deactivate": row.is_active and row.pk != request.user.pk,
            "new_password": not row.is_service and row.is_active,
        }
        return fits[action] and super().offers(request, action, row)

    @page_action(description="New person", icon="person_add")
    def new_person(self, request: HttpRequest, row: None) -> HttpResponse:
        secrets: list[str] = []

        def act(given: dict[str, Any]) -> str:
            user, password = create_person(username=given["username"], by=principal_of(request))
            secrets.append(password)
            return f"{user.get_username()} can log in with this password, which is shown once:"

        return ActPage(
            title="New person",
            sentence="They hold no role yet: grant one on the page of a namespace.",
            button="Create",
            back=reverse("admin:registry_user_changelist"),
            form_class=PersonForm,
            act=act,
            shows=lambda: secrets[-1] if secrets else None,
        ).respond(request)

    @page_action(description="New password", icon="password")
    def new_password(self, request: HttpRequest, row: User) -> HttpResponse:
        secrets: list[str] = []

        def act(_given: dict[str, Any]) -> str:
            secrets.append(reset_password(user=row, by=principal_of(request)))
            return f"{row.get_username()} can log in with this password, which is shown once:"

        return ActPage(
            title="New password",
            sentence=f"{row.get_username()} gets a new password, made here.",
            consequences=("The old password and every open session of theirs end at once.",),
            button="Make a new password",
            back=reverse("admin:registry_user_change", args=[row.pk]),
            act=act,
            shows=lambda: secrets[-1] if secrets else None,
        ).respond(request)

    @page_action(description="Deactivate", icon="person_off", danger=True)
    def deactivate(self, request: HttpRequest, row: User) -> HttpResponse:
        return self._switch(
            request,
            row,
            active=False,
            title="Deactivate",
            consequences=(
                "Their log-in and their tokens stop working at once.",
                "What they did stays theirs.",
            ),
        )

    @page_action(description="Activate", icon="person_check")
    def activate(self, request: HttpRequest, row: User) -> HttpResponse:
        return self._switch(
            request,
            row,
            active=True,
            title="Activate",
            consequences=("They hold the roles again that they held.",),
        )

    def _switch(
        self, request: HttpRequest, row: User, *, active: bool, title: str, consequences: tuple[str, ...]
    ) -> HttpResponse:
        def act(_given: dict[str, Any]) -> str:
            set_active(user=row, active=active, by=principal_of(request))
            return f"{row.get_username()} is {'active' if active else 'deactivated'}."

        return ActPage(
            title=title,
            sentence=f"{title} {row.get_username()}?",
            consequences=consequences,
            button=title,
            dangerous=not active,
            back=reverse("admin:registry_user_change", args=[row.pk]),
            act=act,
        ).respond(request)


@admin.register(ServiceToken)
class ServiceTokenAdmin(ScopedAdmin):
    list_display = ("name", "shown_prefix", "user", "namespace", "state", "last_used_at", "expires_at")
    list_select_related = ("user", "namespace")
    list_filter = ("revoked_at",)
    search_fields = ("name", "prefix", "user__username")
    ordering = ("-created_at", "-pk")
    # Never `digest`: there is nothing to be done with it, and it is half of a secret.
    fields = (
        "name", "shown_prefix", "user", "namespace", "scopes", "created_at", "last_used_at", "expires_at",
        "revoked_at",
    )  # fmt: skip
    readonly_fields = fields
    actions_detail = ("revoke",)

    def scope(self, rows: models.QuerySet[Any], principal: Principal) -> models.QuerySet[Any]:
        """One's own tokens, and those of the service accounts one answers for."""
        return rows.filter(models.Q(user=principal.account) | models.Q(user__owner=principal.account))

    @display(description="begins with")
    def shown_prefix(self, row: ServiceToken) -> str:
        return f"assay_{row.prefix}_…"

    @display(description="state", label={"active": "success", "revoked": "danger"})
    def state(self, row: ServiceToken) -> str:
        return "revoked" if row.revoked_at else "active"

    def offers(self, request: HttpRequest, action: str, row: Any) -> bool:
        return row.revoked_at is None and super().offers(request, action, row)

    @page_action(description="Revoke", icon="key_off", danger=True)
    def revoke(self, request: HttpRequest, row: ServiceToken) -> HttpResponse:
        def act(_given: dict[str, Any]) -> str:
            revoke_token(token=row, by=principal_of(request))
            return f"The token {row.name} is revoked."

        return ActPage(
            title="Revoke a token",
            sentence=f"Revoke {row.name} (assay_{row.prefix}_…) of {row.user.get_username()}?",
            consequences=("Whatever uses it is refused from now on.", "It cannot be brought back."),
            button="Revoke",
            dangerous=True,
            back=reverse("admin:registry_servicetoken_changelist"),
            act=act,
        ).respond(request)
