"""What nobody needs: told, and removed."""

from __future__ import annotations

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.garbage import request_collection
from registry.artifacts import garbage
from registry.artifacts.garbage import Plan
from registry.http.endpoint import Endpoint


def plan_json(planned: Plan) -> dict[str, object]:
    """How much is, or would be, removed and condemned."""
    return {**planned.told(), "grace_seconds": settings.GARBAGE_GRACE_SECONDS}


class Garbage(Endpoint):
    """A dry run."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """What a run now would do, in blobs, objects and bytes."""
        return Response(plan_json(garbage.plan()))


class GarbageRun(Endpoint):
    """A run."""

    @extend_schema(request=None, responses={202: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> Response:
        """Have it done by a worker; the answer is what it is about to do."""
        return Response(plan_json(request_collection(by=self.principal)), status=202)
