"""People's accounts, as the platform's administrators keep them."""

from __future__ import annotations

import secrets

from django.db import transaction

from registry.actions.people import create_user
from registry.errors import DomainError, Forbidden, InvalidInput
from registry.journal import record
from registry.models import Principal, User


class LastAdministrator(DomainError):
    """Without them nobody could administer the platform."""

    code = "last-administrator"


@transaction.atomic
def create_person(*, username: str, by: Principal) -> tuple[User, str]:
    """A person, and the password to tell them, shown once. Raises Forbidden, InvalidInput."""
    _check_administrator(by)
    if User.objects.filter(username=username).exists():
        raise InvalidInput(f"There is a user {username} already.", field="username")
    user = create_user(username=username, by=by)
    password = secrets.token_urlsafe(18)
    user.set_password(password)
    user.save(update_fields=["password"])
    record("user.created", subject=user, by=by, namespace=None, after={"username": username})
    return user, password


@transaction.atomic
def set_address(*, email: str, by: Principal) -> User:
    """Where mail about what waits for one, and what became of what one asked, is sent; empty: none is.

    The journal says that it changed, not to what. Raises Forbidden for a token with scopes and a service account.
    """
    if by.token and by.token.scopes is not None:
        raise Forbidden("A token with scopes changes nothing about its owner: use another, or the web.")
    if by.account.is_service:
        raise Forbidden("A service account reads no mail: whoever answers for it is told.")
    row = User.objects.select_for_update(no_key=True).get(pk=by.account.pk)
    if row.email != email:
        row.email = email
        row.full_clean(exclude=["password"])
        row.save(update_fields=["email"])
        record("user.address_changed", subject=row, by=by, namespace=None, after={"mail": bool(email)})
    return row


@transaction.atomic
def reset_password(*, user: User, by: Principal) -> str:
    """A new password for a person, shown once; their sessions end. Raises Forbidden, InvalidInput."""
    _check_administrator(by)
    row = User.objects.select_for_update().get(pk=user.pk)
    if row.is_service:
        raise InvalidInput("A service account has tokens, no password.")
    password = secrets.token_urlsafe(18)
    row.set_password(password)
    row.save(update_fields=["password"])
    record("user.password_reset", subject=row, by=by, namespace=None)
    return password


@transaction.atomic
def set_active(*, user: User, active: bool, by: Principal) -> None:
    """Let an account in, or keep it out, tokens included. Raises Forbidden, LastAdministrator."""
    _check_administrator(by)
    row = User.objects.select_for_update().get(pk=user.pk)
    if row.is_active == active:
        return
    others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=row.pk)
    if not active and row.is_superuser and not others.exists():
        raise LastAdministrator(f"{row.get_username()} is the last administrator.")
    row.is_active = active
    row.save(update_fields=["is_active"])
    type_ = "user.activated" if active else "user.deactivated"
    record(type_, subject=row, by=by, namespace=None, before={"active": not active}, after={"active": active})


def _check_administrator(by: Principal) -> None:
    if by.is_system:
        return
    if not by.account.is_superuser or by.token is not None:
        raise Forbidden("Accounts are kept by the platform's administrators, in person.")
