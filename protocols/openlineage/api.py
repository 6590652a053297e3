"""OpenLineage over HTTP: the path to which its clients post, and the shapes of the facets that we send."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from lineage.actions.reports import receive_events
from protocols.openlineage.events import read_events
from protocols.openlineage.reading import told
from protocols.openlineage.telling import facet_schema
from registry.errors import InvalidInput, NotVisible
from registry.http.endpoint import Endpoint
from registry.models import Namespace
from registry.permissions import visible_namespace


class Events(Endpoint):
    """Where other tools report their runs."""

    # An event that comes twice is one, by its own digest.
    repeatable: ClassVar[bool] = True

    @extend_schema(
        operation_id="receive_lineage_events",
        parameters=[
            OpenApiParameter("namespace", str, description="where the token is not bound to a namespace")
        ],
        request=dict,
        responses={201: dict},
    )
    def post(self, request: Request) -> Response:
        """Take an OpenLineage event, or an array of them: all are kept, or none.

        They go into the namespace that the token is bound to. The namespaces of jobs and datasets are names within it.
        """
        namespace = self._namespace(request)
        received = receive_events(
            namespace=namespace, by=self.principal, events=read_events(request.data), derive=told
        )
        runs: dict[str, Any] = {str(key): str(run) if run else None for key, run in received.runs.items()}
        return Response({"namespace": namespace.name, "new": received.new, "runs": runs}, status=201)

    def _namespace(self, request: Request) -> Namespace:
        asked = request.query_params.get("namespace")
        token = self.principal.token
        bound = token.namespace if token else None
        if asked:
            return visible_namespace(self.principal, asked)
        if bound is None:
            raise InvalidInput(
                "This token is bound to no namespace: use one that is, or say ?namespace=.", field="namespace"
            )
        return bound


class FacetSchema(Endpoint):
    """The shape of a facet of ours."""

    @extend_schema(operation_id="openlineage_facet", responses=dict)
    def get(self, request: Request, facet: str) -> Response:
        """The JSON schema of a facet that stands in the events we send."""
        schema = facet_schema(facet)
        if schema is None:
            raise NotVisible(f"There is no facet {facet[:100]}.")
        return Response(schema)
