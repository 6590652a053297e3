"""People, service accounts and their tokens."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from registry.errors import Forbidden, InvalidInput, NotVisible
from registry.journal import record
from registry.models import Namespace, Principal, ServiceToken, User
from registry.models.visibility import namespaces_where
from registry.roles import Permission

TOKEN_DAYS = 90
LONGEST_TOKEN_DAYS = 366


@transaction.atomic
def create_admin(*, username: str = "admin") -> str | None:
    """The platform's first administrator, and their one-time password. None when there is one already."""
    if User.objects.filter(is_superuser=True).exists():
        return None
    password = secrets.token_urlsafe(18)
    User.objects.create_superuser(username=username, password=password)
    return password


@transaction.atomic
def create_user(*, username: str, by: Principal, owner: User | None = None) -> User:
    """A person without a password, or, with an owner, a service account. Raises InvalidInput."""
    if owner is not None and owner.is_service:
        # Whoever answers for an account is looked for one step away: they must be a person.
        raise InvalidInput(
            f"{owner.get_username()} is a service account: the owner of one is a person.", field="owner"
        )
    user = User(username=username, owner=owner, is_service=owner is not None)
    user.set_unusable_password()
    user.full_clean(exclude=["password"])
    user.save()
    return user


@transaction.atomic
def issue_token(
    *,
    user: User,
    name: str,
    by: Principal,
    namespace: Namespace | None = None,
    scopes: list[str] | None = None,
    expires_at: datetime | None = None,
) -> tuple[ServiceToken, str]:
    """A token for oneself, or for a service account one owns. Returns the row and the secret, shown once.

    Raises Forbidden, InvalidInput. A token made by a token is bound to the same namespace.
    """
    account = by.account if not by.is_system else user
    if account.pk not in {user.pk, user.owner_id} and not account.is_superuser:
        raise Forbidden("A token is issued for yourself or for a service account that you own.")
    if by.token and by.token.namespace_id and (namespace is None or namespace.pk != by.token.namespace_id):
        raise Forbidden("A token bound to a namespace makes tokens for that namespace only.")
    if by.token and by.token.scopes is not None:
        raise Forbidden("A token with scopes makes no tokens.")
    if scopes is not None and (unknown := set(scopes) - {p.value for p in Permission}):
        raise InvalidInput(f"There is no permission {min(unknown)!r}.", field="scopes")
    if namespace and not _member(user, namespace):
        raise NotVisible(f"There is no namespace {namespace.name} that {user.get_username()} can see.")
    prefix = secrets.token_hex(4)
    secret = f"assay_{prefix}_{secrets.token_urlsafe(32)}"
    now = timezone.now()
    token = ServiceToken.objects.create(
        user=user,
        name=name,
        prefix=prefix,
        digest=ServiceToken.digest_of(secret),
        namespace=namespace,
        scopes=scopes,
        expires_at=expires_at or now + timedelta(days=TOKEN_DAYS),
    )
    record(
        "token.issued",
        subject=token,
        by=by,
        namespace=namespace,
        after={"user": user.get_username(), "name": name, "prefix": prefix, "scopes": scopes},
    )
    return token, secret


@transaction.atomic
def revoke_token(*, token: ServiceToken, by: Principal) -> None:
    """End a token at once; ending it twice changes nothing."""
    row = ServiceToken.objects.select_for_update().get(pk=token.pk)
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at"])
        record("token.revoked", subject=row, by=by, namespace=row.namespace, before={"prefix": row.prefix})


def _member(user: User, namespace: Namespace) -> bool:
    mine = namespaces_where(Principal(user=user), Permission.NAMESPACE_READ)
    return Namespace.objects.filter(pk=namespace.pk, pk__in=mine).exists()
