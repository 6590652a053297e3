"""Who the caller is, and what they may do where."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry import __version__
from registry.actions.accounts import set_address
from registry.api.shows import time_json
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.models import Namespace, Principal, RoleGroup, User
from registry.models.visibility import namespaces_where
from registry.roles import Permission, held_by


class AccountBody(Body):
    email = serializers.EmailField(max_length=254, allow_blank=True)


class WhoAmI(Endpoint):
    """The caller, their token, their namespaces."""

    @extend_schema(operation_id="whoami", responses=dict)
    def get(self, request: Request) -> Response:
        return Response(self._told())

    @extend_schema(operation_id="edit_account", request=AccountBody, responses=dict)
    def patch(self, request: Request) -> Response:
        """Where mail for the caller is sent; an empty address: nowhere."""
        set_address(by=self.principal, **self.read(AccountBody, request))
        return Response(self._told())

    def _told(self) -> dict[str, Any]:
        user, token = self.principal.account, self.principal.token
        return {
            "user": user.get_username(),
            "display_name": user.get_full_name() or user.get_username(),
            "email": User.objects.values_list("email", flat=True).get(pk=user.pk),
            "service": user.is_service,
            "superuser": user.is_superuser,
            "token": token
            and {
                "prefix": token.prefix,
                "namespace": token.namespace.name if token.namespace else None,
                "scopes": token.scopes,
                "expires_at": time_json(token.expires_at),
            },
            "namespaces": list(memberships(self.principal)),
            "version": __version__,
        }


def memberships(principal: Principal) -> list[dict[str, Any]]:
    """Each visible namespace with the roles held there, the groups one is in, and the permissions that come of them."""
    mine = namespaces_where(principal, Permission.NAMESPACE_READ)
    roles: dict[Any, set[str]] = {}
    for tied in RoleGroup.objects.filter(group__user=principal.account, namespace_id__in=mine):
        roles.setdefault(tied.namespace_id, set()).add(tied.role)
    limit = principal.token.scopes if principal.token else None
    found = []
    for namespace in Namespace.objects.filter(pk__in=mine).order_by("name"):
        held = roles.get(namespace.pk, set())
        may = set(Permission) if principal.account.is_superuser else {p for r in held for p in held_by(r)}
        found.append(
            {
                "name": namespace.name,
                "roles": sorted(held),
                "permissions": sorted(p.value for p in may if limit is None or p.value in limit),
            }
        )
    return found
