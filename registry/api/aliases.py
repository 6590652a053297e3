"""Movable names for versions."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.aliases import delete_alias, move_alias
from registry.api.shows import alias_json, alias_move_json
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.models import Alias, AliasMove, RegisteredModel
from registry.permissions import visible

ROWS = Alias.objects.select_related("version__model__namespace")
# A protected alias has moved as often as the model went to production: the page shows the newest.
MOVES_SHOWN = 100


class AliasBody(Body):
    version = serializers.IntegerField(min_value=1)


class Aliases(Endpoint):
    """The aliases of a model."""

    @extend_schema(operation_id="list_aliases", responses=dict)
    def get(self, request: Request, namespace: str, name: str) -> Response:
        return page(request, ROWS.filter(model=self.model(name)), alias_json, order=("name",))


class OneAlias(Endpoint):
    """One alias: where it points, where it pointed."""

    @extend_schema(operation_id="get_alias", responses=dict)
    def get(self, request: Request, namespace: str, name: str, alias: str) -> Response:
        model = self.model(name)
        row: Alias = visible(ROWS.all(), self.principal, f"alias {model}@{alias}", model=model, name=alias)
        return Response({**alias_json(row), "moves": _moves(model, alias)})

    @extend_schema(operation_id="move_alias", request=AliasBody, responses=dict)
    def put(self, request: Request, namespace: str, name: str, alias: str) -> Response:
        body = self.read(AliasBody, request)
        version = self.version(name, body["version"])
        moved = move_alias(model=self.model(name), name=alias, version=version, by=self.principal)
        return Response(alias_json(ROWS.get(pk=moved.pk)))

    @extend_schema(operation_id="delete_alias", responses={204: None})
    def delete(self, request: Request, namespace: str, name: str, alias: str) -> Response:
        delete_alias(model=self.model(name), name=alias, by=self.principal)
        return Response(status=204)


def _moves(model: RegisteredModel, alias: str) -> list[dict[str, object]]:
    rows = AliasMove.objects.filter(model=model, name=alias)
    rows = rows.select_related("from_version", "to_version", "by").order_by("-pk")
    return [alias_move_json(move) for move in rows[:MOVES_SHOWN]]
