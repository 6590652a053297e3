"""Policies and check reports over REST."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.actions.policies import publish_policy, report_check
from lifecycle.api.shows import check_json, policy_json
from lifecycle.models import CheckReport, Policy
from lifecycle.policies import ensure_seeded
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page


class Publishing(Body):
    target = serializers.ChoiceField(choices=["staging", "production"])
    model = serializers.CharField(required=False, allow_null=True, default=None)
    gates = serializers.JSONField()
    approvals = serializers.JSONField()


class Reporting(Body):
    name = serializers.CharField(max_length=100)
    verdict = serializers.ChoiceField(choices=["pass", "fail"])
    sentence = serializers.CharField(required=False, allow_blank=True, default="", max_length=4000)
    url = serializers.URLField(required=False, allow_blank=True, default="", max_length=500)


class Policies(Endpoint):
    """The published revisions of a namespace's policies, newest first."""

    def get(self, request: Request, namespace: str) -> Response:
        ensure_seeded(self.namespace)
        rows = Policy.objects.filter(namespace=self.namespace, state=Policy.State.PUBLISHED)
        return page(
            request, rows.select_related("model", "created_by"), policy_json, order=("-published_at", "-pk")
        )

    @extend_schema(request=Publishing)
    def post(self, request: Request, namespace: str) -> Response:
        body = self.read(Publishing, request)
        model = self.model(body.pop("model")) if body["model"] else body.pop("model")
        policy = publish_policy(namespace=self.namespace, model=model, by=self.principal, **body)
        return Response(policy_json(policy), status=status.HTTP_201_CREATED)


class Checks(Endpoint):
    """What pipelines reported of a version."""

    def get(self, request: Request, namespace: str, name: str, number: int) -> Response:
        rows = CheckReport.objects.filter(version=self.version(name, number)).select_related("by")
        return page(request, rows, check_json, order=("-at", "-pk"))

    @extend_schema(request=Reporting)
    def post(self, request: Request, namespace: str, name: str, number: int) -> Response:
        body = self.read(Reporting, request)
        report = report_check(
            version=self.version(name, number),
            passed=body.pop("verdict") == "pass",
            by=self.principal,
            **body,
        )
        return Response(check_json(report), status=status.HTTP_201_CREATED)
