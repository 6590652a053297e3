"""Retention over REST: the policy, its dry run, its run, and restoring a version."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle import retention
from lifecycle.actions import retention as actions
from lifecycle.models import RetentionPolicy
from lifecycle.retention import Planned
from registry.api.shows import version_json
from registry.http.endpoint import Endpoint
from registry.http.fields import Body


class RetentionBody(Body):
    after_days = serializers.IntegerField(min_value=0, max_value=actions.MOST_DAYS)
    keep_former = serializers.IntegerField(min_value=0, max_value=actions.MOST_FORMER)
    enabled = serializers.BooleanField()


class ReasonBody(Body):
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=4000)


def policy_json(policy: RetentionPolicy) -> dict[str, Any]:
    """A retention policy."""
    return {"after_days": policy.after_days, "keep_former": policy.keep_former, "enabled": policy.enabled}


def plan_json(planned: list[Planned]) -> dict[str, Any]:
    """What is, or would be, put away."""
    return {
        "versions": [
            {
                "reference": each.version.reference,
                "bytes": each.size,
                "blobs": len(each.blobs),
                "why": each.why,
            }
            for each in planned
        ],
        "bytes": sum(each.size for each in planned),
    }


class Retention(Endpoint):
    """A namespace's retention policy."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str) -> Response:
        """The policy; the default, not enabled, where none was set."""
        return Response(policy_json(retention.policy_of(self.namespace)))

    @extend_schema(request=RetentionBody, responses=OpenApiTypes.OBJECT)
    def put(self, request: Request, namespace: str) -> Response:
        """Set the policy."""
        body = self.read(RetentionBody, request)
        return Response(
            policy_json(actions.edit_retention(namespace=self.namespace, by=self.principal, **body))
        )


class RetentionPlan(Endpoint):
    """A dry run."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str) -> Response:
        """What a run now would put away, and why."""
        return Response(plan_json(retention.plan(retention.policy_of(self.namespace))))


class RetentionRun(Endpoint):
    """A run."""

    @extend_schema(request=None, responses={202: OpenApiTypes.OBJECT})
    def post(self, request: Request, namespace: str) -> Response:
        """Put away what the plan says; the bytes move in a worker."""
        planned = actions.run_retention(namespace=self.namespace, by=self.principal)
        return Response(plan_json(planned), status=202)


class VersionRestore(Endpoint):
    """Bringing a version's bytes back."""

    @extend_schema(request=ReasonBody, responses={202: OpenApiTypes.OBJECT})
    def post(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """Start it; the version's `tier` is `hot` when it is done."""
        version = self.version(name, number)
        body = self.read(ReasonBody, request)
        actions.restore_version(version=version, reason=body["reason"], by=self.principal)
        return Response(version_json(version), status=202)
