"""The admin site: entered by everybody who holds a role somewhere, themed by our stylesheet."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.forms import AuthenticationForm as AnybodyActive
from django.core.exceptions import PermissionDenied
from django.core.validators import MaxLengthValidator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite

from registry.http.access import rule_for
from registry.models import RoleGroup

View = Callable[..., HttpResponse]
SHORTCUT = "r/<path:content_type_id>/<path:object_id>/"
LONGEST_NAME = 150
LONGEST_PASSWORD = 4096


class SignIn(AuthenticationForm):
    """The one log-in, for the console as well: every active person may, staff or not."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Django only tells the browser: what is longer would reach the log of failed log-ins, which cannot hold it.
        for name, most in (("username", LONGEST_NAME), ("password", LONGEST_PASSWORD)):
            self.fields[name].validators.append(MaxLengthValidator(most))

    def confirm_login_allowed(self, user: Any) -> None:
        AnybodyActive.confirm_login_allowed(self, user)


class Site(UnfoldAdminSite):
    """Django's admin with pages of our own beside the models'."""

    login_form = SignIn
    enable_nav_sidebar = True

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.pages: list[tuple[str, View, str]] = []

    def has_permission(self, request: HttpRequest) -> bool:
        """Superusers, and who holds a role in some namespace. What each sees inside is its namespaces'."""
        user = request.user
        if not user.is_active or not user.is_authenticated:
            return False
        known: bool | None = getattr(request, "_enters_admin", None)
        if known is None:
            known = bool(user.is_superuser) or RoleGroup.objects.filter(group__user=user).exists()
            request._enters_admin = known  # type: ignore[attr-defined]  # noqa: SLF001 - asked many times a page
        return known

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The desk: what waits comes first."""
        return redirect("admin:desk")

    def add_page(self, route: str, view: View, name: str) -> None:
        """Put a page of ours at `/admin/<route>`, as `admin:<name>`. A method without a rule is refused."""

        @functools.wraps(view)
        def ruled(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if rule_for(request) is None:
                raise PermissionDenied
            return view(request, *args, **kwargs)

        self.pages.append((route, ruled, name))

    def extra_urls(self) -> list[URLPattern]:
        return [path(route, self.admin_view(view), name=name) for route, view, name in self.pages]

    def get_urls(self) -> list[Any]:
        closed = path(SHORTCUT, self.admin_view(_nothing), name="view_on_site")
        return [closed if getattr(each, "name", "") == closed.name else each for each in super().get_urls()]

    def extra_context(self, context: dict[str, Any], request: HttpRequest) -> dict[str, Any]:
        # The colours are in our stylesheet: as an inline style they would need an exception in the policy.
        return {**context, "colors": None, "border_radius": None}


def _nothing(request: HttpRequest, content_type_id: str, object_id: str) -> HttpResponse:
    """In the place of Django's view, which tells of any row of any model that it is there."""
    raise Http404


def site() -> Site:
    """The site that Django made from `AssayAdminConfig`."""
    return cast(Site, admin.site)
