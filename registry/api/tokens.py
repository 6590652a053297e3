"""Personal tokens, and those of the service accounts one answers for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.people import LONGEST_TOKEN_DAYS, TOKEN_DAYS, issue_token, revoke_token
from registry.api.shows import token_json
from registry.errors import NotVisible
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.models import Principal, ServiceToken
from registry.permissions import visible_namespace
from registry.roles import Permission


class TokenBody(Body):
    name = serializers.CharField(max_length=100)
    namespace = serializers.CharField(required=False, allow_null=True, default=None, max_length=100)
    expires_in_days = serializers.IntegerField(
        required=False, default=TOKEN_DAYS, min_value=1, max_value=LONGEST_TOKEN_DAYS
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField([p.value for p in Permission]),
        required=False,
        allow_null=True,
        allow_empty=False,
        default=None,
    )


class Tokens(Endpoint):
    """One's own tokens."""

    @extend_schema(operation_id="list_tokens", responses=dict)
    def get(self, request: Request) -> Response:
        return page(request, _own(self.principal), token_json)

    @extend_schema(operation_id="issue_token", request=TokenBody, responses={201: dict})
    def post(self, request: Request) -> Response:
        """The answer holds the secret as `token`; it is not shown again, nor stored."""
        body = self.read(TokenBody, request)
        namespace = visible_namespace(self.principal, body["namespace"]) if body["namespace"] else None
        row, secret = issue_token(
            user=self.principal.account,
            name=body["name"],
            namespace=namespace,
            scopes=body["scopes"],
            expires_at=timezone.now() + timedelta(days=body["expires_in_days"]),
            by=self.principal,
        )
        return Response({**token_json(row), "token": secret}, status=201)


class OneToken(Endpoint):
    """One token."""

    @extend_schema(operation_id="revoke_token", responses={204: None})
    def delete(self, request: Request, id: Any) -> Response:
        row = _own(self.principal).filter(pk=id).first()
        if row is None:
            raise NotVisible("There is no token of yours with this id.")
        revoke_token(token=row, by=self.principal)
        return Response(status=204)


def _own(principal: Principal) -> QuerySet[ServiceToken]:
    """The tokens that the caller may list and end: through a bound token, those bound alike."""
    account = principal.account
    rows = ServiceToken.objects.select_related("user", "namespace").filter(
        Q(user=account) | Q(user__owner=account)
    )
    if principal.token and principal.token.scopes is not None:
        return rows.filter(pk=principal.token.pk)
    if principal.token and principal.token.namespace_id:
        return rows.filter(namespace=principal.token.namespace_id)
    return rows
