"""Namespaces, who holds which role in them, and the groups of people that they keep beside the roles."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from registry.errors import DomainError, InvalidInput
from registry.journal import record
from registry.models import Namespace, NamespaceGroupPermission, Principal, RoleGrant, RoleGroup, User
from registry.models.people import NAME
from registry.models.visibility import permission_id
from registry.permissions import accounts_of, check_can
from registry.roles import BY_TWO, DESIGNATED, Permission, Role, held_by

LONGEST_GROUP = 40
LONGEST_REASON = 4000
# How long a grant waits for a second person.
ASKED_FOR = timedelta(days=30)


class Outcome(StrEnum):
    """What came of granting a role."""

    GRANTED = "granted"
    HELD = "held"
    ASKED = "asked"


class NameTaken(DomainError):
    """A name that exists already."""

    code = "name-taken"


class GrantOpen(DomainError):
    """The same was asked, and nobody has decided."""

    code = "grant-open"


@transaction.atomic
def create_namespace(*, name: str, description: str = "", by: Principal) -> Namespace:
    """A new namespace with its role groups, and nobody in it. Raises InvalidInput, NameTaken."""
    namespace = Namespace(name=name, description=description)
    namespace.clean_fields()
    if Namespace.objects.filter(name=name).exists():
        raise NameTaken(f"There is a namespace {name} already.", field="name")
    namespace.save()
    for role in Role:
        role_group(namespace=namespace, role=role)
    record("namespace.created", subject=namespace, by=by, namespace=namespace, after={"name": name})
    return namespace


@transaction.atomic
def edit_namespace(
    *,
    namespace: Namespace,
    by: Principal,
    description: str | None = None,
    clean_downloads_only: bool | None = None,
) -> Namespace:
    """Change what a namespace says of itself, or whether bytes that no scan found clean are kept from everybody.

    None leaves as it is; a change of nothing records nothing. Raises Forbidden, NotVisible.
    """
    check_can(by, Permission.NAMESPACE_EDIT, namespace)
    row = Namespace.objects.select_for_update(no_key=True).get(pk=namespace.pk)
    wanted = {"description": description, "clean_downloads_only": clean_downloads_only}
    changed = {name: new for name, new in wanted.items() if new is not None and new != getattr(row, name)}
    if not changed:
        return row
    before = {name: getattr(row, name) for name in changed}
    for name, new in changed.items():
        setattr(row, name, new)
    row.save(update_fields=sorted(changed))
    record("namespace.edited", subject=row, by=by, namespace=row, before=before, after=changed)
    return row


@transaction.atomic
def create_group(*, namespace: Namespace, name: str, by: Principal) -> RoleGroup:
    """A group of people beside the roles, such as `risk`, for policies to ask for approvals by; nobody is in it yet.

    Raises Forbidden, InvalidInput, NameTaken.
    """
    check_can(by, Permission.ROLE_GRANT, namespace)
    if not re.fullmatch(NAME, name) or len(name) > LONGEST_GROUP:
        raise InvalidInput(
            f"A group is named by 1 to {LONGEST_GROUP} lower-case letters, digits, `.`, `_` or `-`, beginning and "
            "ending with a letter or digit.",
            field="name",
        )
    if name == DESIGNATED or RoleGroup.objects.filter(namespace=namespace, role=name).exists():
        raise NameTaken(f"{namespace.name} has a role or group {name} already.", field="name")
    _make(namespace, name)
    record("group.created", subject=namespace, by=by, namespace=namespace, after={"group": name})
    return RoleGroup.objects.get(namespace=namespace, role=name)


def role_group(*, namespace: Namespace, role: Role) -> Group:
    """The group that stands for the role in the namespace, made with its permissions when it is missing."""
    found = RoleGroup.objects.filter(namespace=namespace, role=role.value).select_related("group").first()
    return found.group if found else _make(namespace, role.value)


def _make(namespace: Namespace, name: str) -> Group:
    group = Group.objects.create(name=f"{namespace.name} {name}")
    RoleGroup.objects.create(group=group, namespace=namespace, role=name)
    NamespaceGroupPermission.objects.bulk_create(
        NamespaceGroupPermission(group=group, content_object=namespace, permission_id=permission_id(held))
        for held in sorted(held_by(name))
    )
    return group


@transaction.atomic
def grant_role(*, namespace: Namespace, user: User, role: str, by: Principal, reason: str = "") -> Outcome:
    """Give a person a role, or put them into a group of the namespace's. Held already, nothing is recorded.

    A role that takes two (`registry.roles.BY_TWO`) is asked for, and given when somebody else confirms; an
    administrator of the platform, in person, gives it alone to others than themselves, and so does the host's command
    line, as the owner of the database. Raises Forbidden, InvalidInput, GrantOpen.
    """
    check_can(by, Permission.ROLE_GRANT, namespace)
    if len(reason) > LONGEST_REASON:
        raise InvalidInput(f"A reason has at most {LONGEST_REASON} characters.", field="reason")
    group = _group(namespace, role)
    if group.user_set.filter(pk=user.pk).exists():
        return Outcome.HELD
    if role in BY_TWO and not by.is_system:
        return _ask(namespace, user, role, by, reason)
    put_in(namespace=namespace, user=user, role=role, by=by, reason=reason)
    return Outcome.GRANTED


def _ask(namespace: Namespace, user: User, role: str, by: Principal, reason: str) -> Outcome:
    # Two who ask for the same at the same moment: the second sees the first.
    Namespace.objects.select_for_update(no_key=True).get(pk=namespace.pk)
    now = timezone.now()
    alone = by.account.is_superuser and by.token is None and by.account.pk not in accounts_of({user.pk})
    same = RoleGrant.objects.filter(namespace=namespace, user=user, role=role)
    if not alone and same.filter(state=RoleGrant.State.ASKED, expires_at__gt=now).exists():
        raise GrantOpen(
            f"That {user.get_username()} be {role} in {namespace.name} is asked already: somebody else confirms it.",
            field="role",
        )
    grant = RoleGrant.objects.create(
        namespace=namespace,
        user=user,
        role=role,
        reason=reason,
        asked_by=by.account,
        asked_at=now,
        expires_at=now + ASKED_FOR,
    )
    if alone:
        grant.state, grant.decided_by, grant.decided_at = RoleGrant.State.GRANTED, by.account, now
        grant.save(update_fields=["state", "decided_by", "decided_at"])
        put_in(namespace=namespace, user=user, role=role, by=by, reason=reason, grant=grant)
        return Outcome.GRANTED
    record(
        "member.grant_asked",
        subject=namespace,
        by=by,
        namespace=namespace,
        reason=reason,
        after={
            "grant": str(grant.pk),
            "user": user.get_username(),
            "role": role,
            "until": grant.expires_at.isoformat(),
        },
        at=now,
    )
    return Outcome.ASKED


def put_in(
    *,
    namespace: Namespace,
    user: User,
    role: str,
    by: Principal,
    reason: str,
    grant: RoleGrant | None = None,
) -> None:
    """Put somebody into the group of a role, and record it. Within the caller's transaction, which asked who may."""
    _group(namespace, role).user_set.add(user)
    asked = {"grant": str(grant.pk), "asked_by": grant.asked_by.get_username()} if grant else {}
    record(
        "member.granted",
        subject=namespace,
        by=by,
        namespace=namespace,
        reason=reason,
        after={"user": user.get_username(), "role": role, **asked},
    )


@transaction.atomic
def revoke_role(*, namespace: Namespace, user: User, role: str, by: Principal) -> None:
    """Take a role away, or somebody out of a group. Raises InvalidInput when it was not held, Forbidden."""
    check_can(by, Permission.ROLE_GRANT, namespace)
    group = _group(namespace, role)
    if not group.user_set.filter(pk=user.pk).exists():
        raise InvalidInput(f"{user.get_username()} does not hold {role} in {namespace.name}.", field="role")
    group.user_set.remove(user)
    record(
        "member.revoked",
        subject=namespace,
        by=by,
        namespace=namespace,
        before={"user": user.get_username(), "role": role},
    )


def own_groups(namespace: Namespace) -> QuerySet[RoleGroup]:
    """The groups that a namespace keeps beside the roles."""
    return RoleGroup.objects.filter(namespace=namespace).exclude(role__in=list(Role)).select_related("group")


def _group(namespace: Namespace, name: str) -> Group:
    if name in set(Role):
        return role_group(namespace=namespace, role=Role(name))
    found = {tied.role: tied.group for tied in own_groups(namespace)}
    if name not in found:
        there = f" Groups of {namespace.name}: {', '.join(sorted(found))}." if found else ""
        raise InvalidInput(f"{name!r} is not a role. Roles: {', '.join(Role)}.{there}", field="role")
    return found[name]


def sync_permissions() -> None:
    """Bring the permission rows and every role's grants in line with the table in `registry.roles`.

    Run at the end of every migrate, as the owner: roles are code.
    """
    kind = ContentType.objects.get_for_model(Namespace)
    for permission in Permission:
        DjangoPermission.objects.get_or_create(
            content_type=kind, codename=permission.value, defaults={"name": permission.value}
        )
    permission_id.cache_clear()
    with transaction.atomic():
        for tied in RoleGroup.objects.select_related("group"):
            wanted = {permission_id(held) for held in held_by(tied.role)}
            held = NamespaceGroupPermission.objects.filter(group=tied.group, content_object=tied.namespace_id)
            held.exclude(permission_id__in=wanted).delete()
            have = set(held.values_list("permission_id", flat=True))
            NamespaceGroupPermission.objects.bulk_create(
                NamespaceGroupPermission(
                    group=tied.group, content_object_id=tied.namespace_id, permission_id=new
                )
                for new in wanted - have
            )
