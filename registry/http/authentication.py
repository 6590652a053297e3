"""Bearer tokens. A request with one never reads cookies; one without falls to the session, with CSRF."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from registry.models import Principal, ServiceToken, User

TOUCH_EVERY = timedelta(minutes=1)


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer assay_<prefix>_<secret>`."""

    def authenticate(self, request: Request) -> tuple[User, ServiceToken] | None:
        """The user and the token; None without a bearer header. Raises AuthenticationFailed for a bad one."""
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("Send `Authorization: Bearer <token>`.")
        now = timezone.now()
        token = (
            ServiceToken.objects.select_related("user", "namespace")
            .filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)
            .filter(digest=ServiceToken.digest_of(parts[1].decode("latin-1")), user__is_active=True)
            .first()
        )
        if token is None:
            raise AuthenticationFailed("This token is unknown, expired or revoked.")
        if token.last_used_at is None or token.last_used_at < now - TOUCH_EVERY:
            ServiceToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def principal_of(request: Any) -> Principal:
    """Who makes a DRF or Django request."""
    token = getattr(request, "auth", None)
    return Principal(user=request.user, token=token if isinstance(token, ServiceToken) else None)
