"""Validation reports over REST: documents for them, and validating again what is in production."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lifecycle.actions import revalidations as actions
from lifecycle.gates.reviews import Clock
from lifecycle.models import Revalidation
from lifecycle.revalidation import standing
from registry.api.attachments import plain_body
from registry.api.shows import ATTACHMENT_ROWS, attachment_json, time_json
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page
from registry.models import ModelVersion, RegisteredModel, Stage

ROWS = Revalidation.objects.select_related("version__model__namespace", "by")


class RevalidationBody(Body):
    verdict = serializers.ChoiceField(choices=Revalidation.Verdict.choices)
    report = serializers.JSONField(
        help_text='{"summary": "...", "findings": [{"severity": "low", "text": "..."}], "conditions": ["..."], '
        '"attachments": ["id"]}'
    )


def revalidation_json(row: Revalidation) -> dict[str, Any]:
    """One validation, with its report."""
    return {
        "id": str(row.pk),
        "version": row.version.reference,
        "verdict": row.verdict,
        "report": row.report,
        "by": row.by.get_username(),
        "at": time_json(row.at),
    }


def review_of(model: RegisteredModel) -> dict[str, Any] | None:
    """When the model in production is due to be validated again; None where no policy asks for it."""
    clock = standing(model)
    return clock_json(clock) if clock else None


def review_of_version(version: ModelVersion) -> dict[str, Any] | None:
    """The same, for the version that is in production only."""
    return review_of(version.model) if version.stage == Stage.PRODUCTION else None


def clock_json(clock: Clock) -> dict[str, Any]:
    """Where a review stands: `state` is current, overdue or blocked."""
    now = timezone.now()
    return {
        "state": clock.state(now),
        "version": clock.version.reference,
        "since": time_json(clock.since),
        "due_at": time_json(clock.due_at),
        "blocks_at": time_json(clock.blocks_at),
        "sentence": clock.sentence(now),
    }


class ModelReview(Endpoint):
    """When a model has to be validated again."""

    @extend_schema(operation_id="get_review", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str, name: str) -> Response:
        """`review` is null where no policy asks for it, or nothing is in production."""
        return Response({"review": review_of(self.model(name))})


class VersionRevalidations(Endpoint):
    """The validations of a version while it was in production."""

    @extend_schema(operation_id="list_revalidations", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """Newest first."""
        rows = ROWS.filter(version=self.version(name, number))
        return page(request, rows, revalidation_json, order=("-at", "-pk"))

    def is_designated(self) -> bool:
        return _may_report(self)

    @extend_schema(
        operation_id="revalidate_version", request=RevalidationBody, responses={201: OpenApiTypes.OBJECT}
    )
    def post(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """By somebody who decides promotions or is designated on the model, and did not make it."""
        body = self.read(RevalidationBody, request)
        row = actions.revalidate_version(version=self.version(name, number), by=self.principal, **body)
        return Response(revalidation_json(ROWS.get(pk=row.pk)), status=201)


class ReportAttachments(Endpoint):
    """Documents for validation reports. Sent twice, a document is there once: that needs no Idempotency-Key."""

    repeatable = True

    def is_designated(self) -> bool:
        return _may_report(self)

    @extend_schema(
        operation_id="attach_to_report",
        parameters=[OpenApiParameter("name", str, required=True)],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={201: dict},
    )
    def post(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """Take the body as a document, at most 16 MiB: a PDF, a notebook. A report of one's own names it by its id."""
        body, length = plain_body(request)
        row = actions.attach_to_report(
            version=self.version(name, number),
            name=request.query_params.get("name", ""),
            body=body,
            length=length,
            by=self.principal,
        )
        return Response(attachment_json(ATTACHMENT_ROWS.get(pk=row.pk)), status=201)


def _may_report(endpoint: Endpoint) -> bool:
    version = endpoint.version(endpoint.kwargs["name"], endpoint.kwargs["number"])
    return actions.may_report(endpoint.principal, version)
