"""Who may: every check of a right, with the reason when it is refused. When it may is the lifecycle's matter."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.models import (
    Namespace,
    NamespaceGroupPermission,
    Principal,
    RegisteredModel,
    RegisteredModelGroupPermission,
    RoleGroup,
    User,
)
from registry.models.visibility import ScopedQuerySet, namespaces_where, permission_id
from registry.roles import ROLES, Permission


def can(principal: Principal, permission: Permission, namespace_id: Any) -> bool:
    """Whether the principal holds the permission in the namespace."""
    return namespaces_where(principal, permission).filter(**_is(principal, namespace_id)).exists()


def _is(principal: Principal, namespace_id: Any) -> dict[str, Any]:
    unlimited = principal.user is None or principal.user.is_superuser
    return {"pk" if unlimited else "content_object_id": namespace_id}


def check_can(principal: Principal, permission: Permission, namespace: Namespace) -> None:
    """Raises NotVisible for a stranger, Forbidden, naming the roles that may, for a member without the right."""
    if can(principal, permission, namespace.pk):
        return
    if not can(principal, Permission.NAMESPACE_READ, namespace.pk):
        raise NotVisible(f"There is no namespace {namespace.name} that you can see.")
    holders = ", ".join(sorted(role.value for role, held in ROLES.items() if permission in held))
    raise Forbidden(
        f"{principal.label} may not do this in {namespace.name}: it needs {permission.value}, "
        f"which these roles hold: {holders}."
    )


def is_designated_reviewer(principal: Principal, model: RegisteredModel) -> bool:
    """Whether somebody was made reviewer of this one model."""
    return _decides_by_token(principal, model) and (
        RegisteredModelGroupPermission.objects.filter(
            group__user=principal.user, content_object=model, permission__codename="model.review"
        ).exists()
    )


def is_in_group(principal: Principal, model: RegisteredModel, names: Collection[str]) -> bool:
    """Whether somebody is in one of these groups (or holds one of these roles) of the model's namespace, and may use
    that to decide with the token they came by."""
    return _decides_by_token(principal, model) and (
        RoleGroup.objects.filter(
            group__user=principal.user, namespace=model.namespace_id, role__in=names
        ).exists()
    )


def _decides_by_token(principal: Principal, model: RegisteredModel) -> bool:
    if principal.user is None or not principal.user.is_active:
        return False
    token = principal.token
    if token and token.scopes is not None and Permission.PROMOTION_DECIDE.value not in token.scopes:
        return False
    return not (token and token.namespace_id not in (None, model.namespace_id))


def accounts_of(people: set[Any]) -> set[Any]:
    """The people, the owners of the service accounts among them, and the service accounts they own."""
    owners = set(User.objects.filter(pk__in=people, owner__isnull=False).values_list("owner_id", flat=True))
    everyone = people | owners
    return everyone | set(User.objects.filter(owner_id__in=everyone).values_list("pk", flat=True))


def holders(permission: Permission, namespace: Namespace) -> list[User]:
    """The active people who hold the permission in the namespace by a role."""
    groups = NamespaceGroupPermission.objects.filter(
        content_object=namespace, permission_id=permission_id(permission)
    )
    return list(_people().filter(groups__in=groups.values("group")).distinct())


def designated_reviewers(model: RegisteredModel) -> list[User]:
    """The active people who were made reviewers of this one model."""
    groups = RegisteredModelGroupPermission.objects.filter(
        content_object=model, permission__codename="model.review"
    )
    return list(_people().filter(groups__in=groups.values("group")).distinct())


def members(namespace: Namespace, names: Collection[str]) -> list[User]:
    """The active people who are in one of these groups of the namespace, or hold one of these roles in it."""
    groups = RoleGroup.objects.filter(namespace=namespace, role__in=names)
    return list(_people().filter(groups__in=groups.values("group")).distinct())


def known_user(name: str) -> User:
    """The account of that name. Raises InvalidInput."""
    found = None if "\x00" in name else User.objects.filter(username=name).first()
    if found is None:
        raise InvalidInput(f"There is no user {name[:150]}.", field="user")
    return found


def _people() -> QuerySet[User]:
    return User.objects.filter(is_active=True, is_service=False)


def visible(rows: ScopedQuerySet[Any], principal: Principal, what: str, **lookup: Any) -> Any:
    """The one row that matches and that the principal may see. Raises NotVisible, naming `what`, otherwise."""
    try:
        return rows.visible_to(principal).get(**lookup)
    except (rows.model.DoesNotExist, ValidationError, ValueError, OverflowError):
        raise NotVisible(f"There is no {what} that you can see.") from None


def visible_namespace(principal: Principal, name: str) -> Namespace:
    """The namespace of that name. Raises NotVisible when it is not there or not for this caller."""
    mine = namespaces_where(principal, Permission.NAMESPACE_READ)
    # No name holds NUL, which the database would not even compare.
    found = None if "\x00" in name else Namespace.objects.filter(name=name, pk__in=mine).first()
    if found is None:
        raise NotVisible(f"There is no namespace {name} that you can see.")
    return found
