"""Policies and check reports over REST."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.actions.policies import (
    LONGEST_REASON,
    LONGEST_TIER,
    checked_policy,
    draft_policy,
    publish_policy,
    report_check,
    withdraw_policy,
)
from lifecycle.api.shows import check_json, policy_json
from lifecycle.models import CheckReport, Policy
from lifecycle.policies import current, ensure_seeded, in_force
from lifecycle.revisions import changes
from registry.errors import InvalidInput
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.models import Stage

ROWS = Policy.objects.select_related(
    "namespace", "model__namespace", "replaces", "created_by", "published_by"
)
ACTIONS = {"publish": publish_policy, "withdraw": withdraw_policy}


class Drafting(Body):
    target = serializers.ChoiceField(choices=["staging", "production"])
    model = serializers.CharField(required=False, allow_null=True, default=None)
    risk_tier = serializers.CharField(required=False, allow_blank=True, default="", max_length=LONGEST_TIER)
    gates = serializers.JSONField()
    approvals = serializers.JSONField()


class DraftingFor(Drafting):
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=LONGEST_REASON)


class Deciding(Body):
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=LONGEST_REASON)


class Reporting(Body):
    name = serializers.CharField(max_length=100)
    verdict = serializers.ChoiceField(choices=["pass", "fail"])
    sentence = serializers.CharField(required=False, allow_blank=True, default="", max_length=4000)
    url = serializers.URLField(required=False, allow_blank=True, default="", max_length=500)


class ModelPolicies(Endpoint):
    """What a version of this model has to pass: for each stage the policy that counts."""

    def get(self, request: Request, namespace: str, name: str) -> Response:
        model = self.model(name)
        ids = [current(model, target).pk for target in (Stage.STAGING, Stage.PRODUCTION)]
        return Response(
            {"results": [policy_json(row) for row in ROWS.filter(pk__in=ids).order_by("-target")]}
        )


def _told(endpoint: Endpoint, body: dict[str, Any]) -> dict[str, Any]:
    """The body, with the model that it names."""
    return {**body, "model": endpoint.model(body["model"]) if body["model"] else None}


class Policies(Endpoint):
    """The revisions of a namespace's policies, newest first."""

    @extend_schema(
        parameters=[
            OpenApiParameter("state", str, enum=[*Policy.State.values, "in_force"]),
            OpenApiParameter("target", str, enum=["staging", "production"]),
            OpenApiParameter("model", str),
            OpenApiParameter("risk_tier", str),
        ]
    )
    def get(self, request: Request, namespace: str) -> Response:
        """`?state=` draft, published (the default), withdrawn, or in_force: of each scope and target the newest."""
        ensure_seeded(self.namespace)
        asked = request.query_params
        rows = ROWS.filter(namespace=self.namespace)
        state = asked.get("state", Policy.State.PUBLISHED)
        if state == "in_force":
            newest = Policy.objects.filter(namespace=self.namespace, state=Policy.State.PUBLISHED)
            newest = newest.order_by("model", "risk_tier", "target", "-revision")
            rows = rows.filter(pk__in=newest.distinct("model", "risk_tier", "target").values("pk"))
        elif state in Policy.State.values:
            rows = rows.filter(state=state)
        else:
            raise InvalidInput(
                f"state is one of {', '.join([*Policy.State.values, 'in_force'])}.", field="state"
            )
        if "target" in asked:
            rows = rows.filter(target=asked["target"])
        if "model" in asked:
            rows = rows.filter(model=self.model(asked["model"]))
        if "risk_tier" in asked:
            rows = rows.filter(risk_tier=asked["risk_tier"])
        return page(request, rows, policy_json, order=("-created_at", "-pk"))

    @extend_schema(request=DraftingFor)
    def post(self, request: Request, namespace: str) -> Response:
        """Draft a revision. What says the same as the one in force, or as the draft that waits, makes none (200)."""
        given = _told(self, self.read(DraftingFor, request))
        policy, made = draft_policy(namespace=self.namespace, by=self.principal, **given)
        return Response(policy_json(policy), status=status.HTTP_201_CREATED if made else status.HTTP_200_OK)


class CheckPolicy(Endpoint):
    """What a policy would change, were it drafted. Makes nothing."""

    @extend_schema(request=Drafting)
    def post(self, request: Request, namespace: str) -> Response:
        """The gates with their defaults, and the changes to the revision in force: none when it says the same."""
        given = _told(self, self.read(Drafting, request))
        gates, approvals = checked_policy(
            namespace=self.namespace,
            target=given["target"],
            gates=given["gates"],
            approvals=given["approvals"],
        )
        ensure_seeded(self.namespace)
        before = in_force(self.namespace, given["target"], given["model"], given["risk_tier"])
        return Response(
            {
                "in_force": before.revision if before else None,
                "gates": gates,
                "approvals": approvals,
                "changes": changes(before, given["target"], gates, approvals),
            }
        )


class OnePolicy(Endpoint):
    """One revision, and what it changes about the one it replaces."""

    noun = (ROWS, "policy")

    @extend_schema(parameters=[OpenApiParameter("since", int)])
    def get(self, request: Request, id: Any) -> Response:
        """`?since=` compares it with another revision for the same models and stage."""
        before = self.row.replaces
        if since := request.query_params.get("since"):
            before = self._revision(since)
        told = changes(before, self.row.target, self.row.gates, self.row.approvals)
        return Response(
            {**policy_json(self.row), "since": before.revision if before else None, "changes": told}
        )

    def _revision(self, given: str) -> Policy:
        rows = Policy.objects.filter(
            namespace=self.row.namespace_id,
            model=self.row.model_id,
            risk_tier=self.row.risk_tier,
            target=self.row.target,
        )
        # A revision has at most nine digits, as the column can hold.
        found = rows.filter(revision=int(given)).first() if given.isdecimal() and len(given) < 10 else None
        if found is None:
            known = ", ".join(
                str(n) for n in rows.order_by("revision").values_list("revision", flat=True)[:20]
            )
            raise InvalidInput(f"since is the number of a revision: {known}.", field="since")
        return found


class DecidePolicy(Endpoint):
    """Publish or withdraw a draft."""

    noun = (ROWS, "policy")
    action: ClassVar[str] = ""

    @extend_schema(request=Deciding)
    def post(self, request: Request, id: Any) -> Response:
        body = self.read(Deciding, request)
        ACTIONS[self.action](policy=self.row, reason=body["reason"], by=self.principal)
        return Response(policy_json(ROWS.get(pk=self.row.pk)))


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
