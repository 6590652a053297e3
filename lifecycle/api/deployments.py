"""Deployments over REST: what runs where, the heartbeat that tells it, and what is and was in production."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle import deployments
from lifecycle.actions import deployments as actions
from lifecycle.deployments import Running
from lifecycle.models import Deployment, DeploymentChange
from lifecycle.models.deployments import SERVES
from registry.api.shows import time_json
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.models import ModelVersion, RegisteredModel


class ReportBody(Body):
    """`version`, or the `digest` of one, or both: then the digest is what runs, and the version what is meant to."""

    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1, default=None, allow_null=True)
    digest = serializers.CharField(max_length=71, default=None, allow_null=True)
    serves = serializers.ChoiceField(choices=SERVES, default=None, allow_null=True)
    interval_seconds = serializers.IntegerField(
        min_value=0, max_value=actions.LONGEST_INTERVAL, default=None, allow_null=True
    )


class RemovalBody(Body):
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=4000)


def running_json(running: Running) -> dict[str, Any]:
    """What runs at a target. `drift` names what is wrong, `sentence` says it; `loud` is what must not run."""
    return {
        "target": running.target,
        "serves": running.serves,
        "version": running.version.reference,
        "number": running.version.number,
        "digest": f"sha256:{running.digest}",
        "approved": running.approved,
        "since": time_json(running.since),
        "last_seen": time_json(running.last_seen),
        "interval_seconds": running.interval,
        "reported_by": running.reporter,
        "drift": running.drift,
        "loud": running.loud,
        "sentence": running.sentence,
    }


def change_json(change: DeploymentChange) -> dict[str, Any]:
    """One line of a target's history."""
    return {
        "what": change.what,
        "version": change.version.reference,
        "digest": f"sha256:{change.digest}",
        "serves": change.serves,
        "drift": change.drift,
        "sentence": change.sentence,
        "by": change.by.get_username() if change.by else None,
        "at": time_json(change.at),
    }


def running_of(version: ModelVersion) -> list[dict[str, Any]]:
    """Where a version is reported to run."""
    rows = deployments.ROWS.filter(version=version)
    return [running_json(each) for each in deployments.running_now(rows, timezone.now())]


class Deployments(Endpoint):
    """Where a model runs."""

    @extend_schema(operation_id="list_deployments", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str, name: str) -> Response:
        """Every target that is reported to run the model, and whether it runs what it should."""
        rows = deployments.ROWS.filter(model=self.model(name))
        found = deployments.running_now(rows, timezone.now())
        return Response({"results": [running_json(each) for each in found]})


class OneDeployment(Endpoint):
    """One target of a model."""

    # Heartbeats: to say the same twice is the same as once, and a key for each would be a row for each.
    repeatable = True

    @extend_schema(
        operation_id="deployment_history",
        parameters=[OpenApiParameter("limit", int), OpenApiParameter("cursor", str)],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, namespace: str, name: str, target: str) -> Response:
        """What ran there, newest first: every change, no heartbeats."""
        rows = DeploymentChange.objects.filter(deployment__model=self.model(name), deployment__target=target)
        rows = rows.select_related("version__model__namespace", "by")
        return page(request, rows, change_json, order=("-pk",))

    @extend_schema(operation_id="report_deployment", request=ReportBody, responses=OpenApiTypes.OBJECT)
    def put(self, request: Request, namespace: str, name: str, target: str) -> Response:
        """Say what runs there: `{"version": 3, "digest": "sha256:...", "serves": "production", "interval_seconds":
        60}`. To be said again within `interval_seconds`, if that is given; saying the same again changes nothing."""
        body = self.read(ReportBody, request)
        version = self._meant(self.model(name), body.pop("version"), body["digest"])
        report = actions.Report(
            digest=body["digest"], serves=body["serves"], interval=body["interval_seconds"]
        )
        row = actions.report_deployment(version=version, target=target, report=report, by=self.principal)
        return Response(_shown(row))

    @extend_schema(operation_id="remove_deployment", request=RemovalBody, responses={204: None})
    def delete(self, request: Request, namespace: str, name: str, target: str) -> Response:
        """Say that the model does not run there any more."""
        reason = self.read(RemovalBody, request)["reason"]
        actions.remove_deployment(model=self.model(name), target=target, reason=reason, by=self.principal)
        return Response(status=204)

    def _meant(self, model: RegisteredModel, number: int | None, digest: str | None) -> ModelVersion:
        if number is not None:
            return self.version(model.name, number)
        if digest is None:
            raise InvalidInput("Say what runs: a version, its digest, or both.", field="version")
        rows = ModelVersion.objects.filter(model=model, manifest__digest=digest.removeprefix("sha256:"))
        # The newest that is not deleted: several versions may be of the same bytes.
        found = rows.select_related("model__namespace", "manifest").order_by("-deleted_at", "-number").first()
        if found is None:
            raise InvalidInput(
                f"No version of {model} has that digest. Name the version that should run there, with the digest: "
                "the difference is then kept and told.",
                field="digest",
            )
        return found


def _shown(row: Deployment) -> dict[str, Any]:
    found = deployments.running_now(deployments.ROWS.filter(pk=row.pk), timezone.now())
    return running_json(found[0])
