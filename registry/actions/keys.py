"""The keys whose signatures a namespace believes: added, and revoked for good."""

from __future__ import annotations

import re
from typing import Any

from django.db import transaction
from django.utils import timezone

from registry.actions.roles import NameTaken
from registry.artifacts.signing_keys import read_public_key
from registry.errors import DomainError, InvalidInput
from registry.journal import record
from registry.journal.enqueue import enqueue
from registry.models import Namespace, Principal, SigningKey
from registry.models.people import NAME
from registry.permissions import check_can
from registry.roles import Permission
from registry.tasks.signatures import sweep_signatures

MOST_KEYS = 50


class KeyKnown(DomainError):
    """The namespace has this key already, believed or revoked."""

    code = "key-known"


class KeyRevoked(DomainError):
    """The key is revoked already."""

    code = "key-revoked"


class TooManyKeys(DomainError):
    """Each signature may be tried with every key: there is a bound."""

    code = "too-many-keys"


@transaction.atomic
def add_signing_key(*, namespace: Namespace, name: str, pem: str, by: Principal) -> SigningKey:
    """Believe signatures made with a key. Those that waited for a key are verified again.

    Raises Forbidden, InvalidInput, NameTaken, KeyKnown, TooManyKeys.
    """
    check_can(by, Permission.KEY_EDIT, namespace)
    if not re.fullmatch(NAME, name):
        raise InvalidInput(
            "A key's name has 1 to 100 lower-case letters, digits, `.`, `_` or `-`.", field="name"
        )
    text, fingerprint = read_public_key(pem)
    _lock(namespace)
    known = SigningKey.objects.filter(namespace=namespace)
    if known.filter(name=name).exists():
        raise NameTaken(f"{namespace.name} has a key {name} already; names are not used twice.", field="name")
    if same := known.filter(fingerprint=fingerprint).first():
        how = "believes it already" if same.revoked_at is None else "revoked it: sign with another key"
        raise KeyKnown(f"This is the key {same.name}, and {namespace.name} {how}.", field="pem")
    if known.count() >= MOST_KEYS:
        raise TooManyKeys(f"A namespace has at most {MOST_KEYS} keys, the revoked ones counted.")
    row = SigningKey.objects.create(
        namespace=namespace, name=name, pem=text, fingerprint=fingerprint, added_by=by.account
    )
    record("key.added", subject=row, by=by, namespace=namespace, after=_told(row))
    enqueue(sweep_signatures.name)
    return row


@transaction.atomic
def revoke_signing_key(*, key: SigningKey, reason: str, by: Principal) -> SigningKey:
    """Believe a key no more: what it signed passes no gate from now on. Raises Forbidden, InvalidInput, KeyRevoked."""
    check_can(by, Permission.KEY_EDIT, key.namespace)
    if not reason.strip():
        raise InvalidInput("To revoke a key needs a reason, which the journal keeps.", field="reason")
    _lock(key.namespace)
    rows = SigningKey.objects.select_for_update(of=("self",)).select_related("namespace", "added_by")
    row: SigningKey = rows.get(pk=key.pk)
    if row.revoked_at is not None:
        raise KeyRevoked(f"{row.name} was revoked on {row.revoked_at:%Y-%m-%d} already.")
    row.revoked_at, row.revoked_by = timezone.now(), by.account
    row.save(update_fields=["revoked_at", "revoked_by"])
    record("key.revoked", subject=row, by=by, namespace=row.namespace, reason=reason, before=_told(row))
    return row


def _lock(namespace: Namespace) -> None:
    """What came of a signature is written under this lock too: no check misses a key that is being added."""
    Namespace.objects.select_for_update(no_key=True).get(pk=namespace.pk)


def _told(key: SigningKey) -> dict[str, Any]:
    return {"name": key.name, "fingerprint": key.fingerprint}
