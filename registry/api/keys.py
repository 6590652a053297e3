"""The keys whose signatures a namespace believes."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.keys import add_signing_key, revoke_signing_key
from registry.api.shows import key_json
from registry.http.endpoint import Endpoint
from registry.http.fields import Body, NameField
from registry.http.paging import page
from registry.models import SigningKey

ROWS = SigningKey.objects.select_related("namespace", "added_by", "revoked_by")


class KeyBody(Body):
    name = NameField()
    pem = serializers.CharField(max_length=10_000, trim_whitespace=False)


class RevocationBody(Body):
    reason = serializers.CharField(max_length=4000)


class Keys(Endpoint):
    """The keys of a namespace."""

    @extend_schema(operation_id="list_keys", responses=dict)
    def get(self, request: Request, namespace: str) -> Response:
        """All of them, the revoked ones too."""
        return page(request, ROWS.filter(namespace=self.namespace), key_json, order=("name", "pk"))

    @extend_schema(operation_id="add_key", request=KeyBody, responses={201: dict})
    def post(self, request: Request, namespace: str) -> Response:
        """Believe a public key: PEM of an elliptic curve, P-256, P-384 or P-521."""
        row = add_signing_key(namespace=self.namespace, by=self.principal, **self.read(KeyBody, request))
        return Response(key_json(ROWS.get(pk=row.pk)), status=201)


class OneKey(Endpoint):
    """One key."""

    noun = (ROWS, "key")

    @extend_schema(operation_id="revoke_key", request=RevocationBody, responses=dict)
    def delete(self, request: Request, id: Any) -> Response:
        """Believe it no more, for good. The body gives the reason; the key stays on record."""
        row = revoke_signing_key(key=self.row, by=self.principal, **self.read(RevocationBody, request))
        return Response(key_json(ROWS.get(pk=row.pk)))
