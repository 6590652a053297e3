"""`Idempotency-Key`: the same key and request get the same answer; the row is written in the change's transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from registry.errors import DomainError, InvalidInput
from registry.models import IdempotencyKey, User

HEADER = "Idempotency-Key"
# Shown once, so never stored: a replay answers without them and says so.
SECRETS = frozenset({"token", "secret"})
NO_CONTENT = 204


class KeyInFlight(DomainError):
    """The first request with this key has not been answered yet."""

    code = "key-in-flight"
    retry_after = 1


class KeyReused(DomainError):
    """The key was used for another request."""

    code = "key-reused"
    status = 422


def once(request: Request, user: User, act: Callable[[], Response]) -> Response:
    """Run `act` in a transaction, or give the answer it gave before.

    Refusals roll back and are not stored: the same key may be tried again. Raises KeyInFlight, KeyReused.
    """
    key = request.headers.get(HEADER, "")
    if not key:
        with transaction.atomic():
            return act()
    if len(key) > 255 or not key.isprintable():
        raise InvalidInput("An Idempotency-Key is 1 to 255 printable characters.", field=HEADER)
    wanted = _hash(request)
    with transaction.atomic():
        if not _lock(user, key):
            raise KeyInFlight("The first request with this Idempotency-Key is still being answered.")
        if before := IdempotencyKey.objects.filter(user=user, key=key).first():
            if before.request_hash != wanted:
                raise KeyReused("This Idempotency-Key was used for another request.", field=HEADER)
            replay = Response(None if before.status == NO_CONTENT else before.body, status=before.status)
            replay["Idempotency-Replayed"] = "true"
            return replay
        response = act()
        IdempotencyKey.objects.create(
            user=user,
            key=key,
            request_hash=wanted,
            status=response.status_code,
            body=_storable(response.data),
        )
    return response


def _hash(request: Request) -> str:
    what = [request.method, request.get_full_path(), request.data]
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()


def lock_number(user: User, key: str) -> int:
    """The advisory lock that stands for the key while its first request is being answered."""
    return int.from_bytes(hashlib.sha256(f"{user.pk}:{key}".encode()).digest()[:8], "big", signed=True)


def _lock(user: User, key: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock_number(user, key)])
        return bool(cursor.fetchone()[0])


def _storable(body: Any) -> Any:
    if body is None:
        return {}  # the column takes no null, and an answer without content has nothing to repeat
    # As it was sent: a replay is the same answer to the letter.
    plain = json.loads(JSONRenderer().render(body))
    if isinstance(plain, dict):
        return {name: value for name, value in plain.items() if name not in SECRETS}
    return plain
