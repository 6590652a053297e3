"""Who sees what, in SQL, before any LIMIT: every read of a namespace's rows begins with `.visible_to`."""

from __future__ import annotations

import functools
from typing import Any, ClassVar, Self, TypeVar

from django.contrib.auth.models import Permission as DjangoPermission
from django.db import models

from registry.models.people import Namespace, NamespaceGroupPermission, Principal
from registry.roles import Permission

Row_co = TypeVar("Row_co", bound=models.Model, covariant=True)


@functools.cache
def permission_id(permission: Permission) -> int:
    """The primary key of a permission; joined by codename the planner guesses twelve times worse."""
    found = DjangoPermission.objects.get(
        content_type__app_label="registry", content_type__model="namespace", codename=permission.value
    )
    return int(found.pk)


def namespaces_where(principal: Principal, permission: Permission) -> models.QuerySet[Any]:
    """The ids of the namespaces in which the principal holds the permission, as a sub-select."""
    user, token = principal.user, principal.token
    if user is None or user.is_superuser:
        rows: models.QuerySet[Any] = Namespace.objects.values("pk")
        own = "pk"
    else:
        rows = NamespaceGroupPermission.objects.filter(
            group__user=user.pk, permission_id=permission_id(permission)
        ).values("content_object_id")
        own = "content_object_id"
        if not user.is_active:
            return rows.none()
    if token is not None:
        if token.scopes is not None and permission.value not in token.scopes:
            return rows.none()
        if token.namespace_id is not None:
            rows = rows.filter(**{own: token.namespace_id})
    return rows


class ScopedQuerySet(models.QuerySet[Row_co]):
    """A queryset that knows its way to the namespace. Subclasses set `to_namespace`."""

    to_namespace: ClassVar[str] = "namespace_id"

    def visible_to(self, principal: Principal) -> Self:
        """Only the rows of namespaces this principal may read."""
        if principal.is_system:
            return self
        return self.filter(
            **{f"{self.to_namespace}__in": namespaces_where(principal, Permission.NAMESPACE_READ)}
        )


def scoped_by(path: str) -> type[ScopedQuerySet[Any]]:
    """A ScopedQuerySet whose rows reach their namespace by `path` (a lookup that ends in an id)."""
    return type("ScopedQuerySet", (ScopedQuerySet,), {"to_namespace": path})
