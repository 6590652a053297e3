"""The rule of a route and method: what the configuration's table may say, and how it is asked.

`config.rules.RULES` maps (route name, HTTP method) to one of these. A route that is not there is refused, and
`tests/api/test_access.py` fails.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from rest_framework import permissions
from rest_framework.request import Request

from registry.roles import Permission


@dataclass(frozen=True)
class Anybody:
    """No log-in is needed, and nothing of any namespace is told."""

    why: str


@dataclass(frozen=True)
class SignedInOnly:
    """Any known caller; what is answered is only what they may see, or only their own."""

    why: str


@dataclass(frozen=True)
class Holds:
    """The permission is held in the namespace that the route leads to: 404 for strangers, 403 for members."""

    permission: Permission
    # A reviewer designated on the one model may too, without holding it in the namespace.
    or_designated: bool = False


@dataclass(frozen=True)
class Superuser:
    """The platform's own administrators."""

    why: str


@dataclass(frozen=True)
class Staff:
    """The admin site: staff, and then what the ModelAdmin allows (its own rule in ADMIN_RULES)."""

    why: str


Rule = Anybody | SignedInOnly | Holds | Superuser | Staff


@dataclass(frozen=True)
class AdminRule:
    """What the admin's pages of one model allow, beside looking at the rows of one's own namespaces.

    The admin's own add, change and delete pages are nobody's, for every model: what can be done is an action,
    a page of its own that ends in one domain call, and `actions` says by whom (in the row's namespace; without
    a row, in any). A model without a rule has no pages.
    """

    why: str
    actions: Mapping[str, Holds | SignedInOnly | Superuser] = field(default_factory=dict)


@functools.cache
def rules() -> dict[tuple[str, str], Rule]:
    """The configuration's table."""
    table: dict[tuple[str, str], Rule] = import_string(settings.ROUTE_RULES)
    return table


@functools.cache
def admin_rules() -> dict[str, AdminRule]:
    """The configuration's table of the admin's models, by label."""
    table: dict[str, AdminRule] = import_string(settings.ADMIN_RULES)
    return table


def rule_for(request: Any) -> Rule | None:
    """The rule of a request, by the name of the route it was resolved to."""
    match = request.resolver_match
    if match is None:
        return None
    method = "GET" if request.method == "HEAD" else request.method
    return rules().get((match.view_name, method))


class DenyAll(permissions.BasePermission):
    """The default of every view that says nothing."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return False


class ByRule(permissions.BasePermission):
    """What the table says, before the view runs. Where a permission is needed, the Endpoint asks it of the
    namespace that the route leads to."""

    def has_permission(self, request: Request, view: Any) -> bool:
        rule = rule_for(request)
        match rule:
            case None | Staff():
                return False
            case Anybody():
                return True
            case Superuser():
                # A token that is bound to a namespace or to scopes carries no more than those.
                token = request.auth
                bound = getattr(token, "namespace_id", None) or getattr(token, "scopes", None) is not None
                return request.user.is_superuser and not bound
            case _:
                return request.user.is_authenticated and request.user.is_active


class SignedIn(permissions.IsAuthenticated):
    """For views that are not ours (the schema and its pages)."""
