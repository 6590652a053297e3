"""How good versions were measured to be."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.attachments import add_example_results
from registry.actions.evaluations import Measured, MeasuredOn, PerExample, record_evaluation
from registry.api.attachments import plain_body
from registry.api.shows import EVALUATION_ROWS, evaluation_json
from registry.artifacts.examples import MOST
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page


class DatasetBody(Body):
    name = serializers.CharField(max_length=500)
    digest = serializers.CharField(
        max_length=80, help_text="sha256:<hex> of a file, frame-v1:<hex> of a table"
    )


class ExamplesBody(Body):
    digest = serializers.CharField(max_length=80, help_text="sha256:<hex>, of results that were sent before")
    count = serializers.IntegerField(min_value=1, max_value=MOST)


class MetricBody(Body):
    name = serializers.CharField(max_length=250)
    value = serializers.FloatField()
    low = serializers.FloatField(required=False, allow_null=True, default=None)
    high = serializers.FloatField(required=False, allow_null=True, default=None)
    examples = ExamplesBody(required=False, allow_null=True, default=None)


class EvaluationBody(Body):
    dataset = DatasetBody()
    split = serializers.CharField(required=False, allow_blank=True, default="", max_length=100)
    slice = serializers.CharField(required=False, allow_blank=True, default="", max_length=200)
    evaluator = serializers.CharField(required=False, allow_blank=True, default="", max_length=200)
    run = serializers.UUIDField(required=False, allow_null=True, default=None)
    metrics = MetricBody(many=True)


class Evaluations(Endpoint):
    """The evaluations of a version, newest first."""

    @extend_schema(operation_id="list_evaluations", responses=dict)
    def get(self, request: Request, namespace: str, name: str, number: int) -> Response:
        rows = EVALUATION_ROWS.filter(version=self.version(name, number))
        return page(request, rows, evaluation_json, order=("-at", "-pk"))

    @extend_schema(operation_id="record_evaluation", request=EvaluationBody, responses={201: dict})
    def post(self, request: Request, namespace: str, name: str, number: int) -> Response:
        body = self.read(EvaluationBody, request)
        made = record_evaluation(
            version=self.version(name, number),
            on=MeasuredOn(
                dataset=body["dataset"]["name"],
                digest=body["dataset"]["digest"],
                split=body["split"],
                slice=body["slice"],
            ),
            metrics=[_measured(metric) for metric in body["metrics"]],
            evaluator=body["evaluator"],
            run_id=body["run"],
            by=self.principal,
        )
        return Response(evaluation_json(EVALUATION_ROWS.get(pk=made.pk)), status=201)


def _measured(metric: dict[str, Any]) -> Measured:
    named = metric.pop("examples")
    return Measured(**metric, examples=PerExample(**named) if named else None)


class VersionExampleResults(Endpoint):
    """Per-example results of a version. Sent twice, they are there once: that needs no Idempotency-Key."""

    repeatable = True

    @extend_schema(
        operation_id="add_example_results",
        request={"text/csv": OpenApiTypes.BINARY},
        responses={201: dict},
    )
    def post(self, request: Request, namespace: str, name: str, number: int) -> Response:
        """Take the body as results, one for each example: CSV with the header `value` (in the order of the dataset) or
        `id,value`; at most 1,000,000 examples and 32 MiB. An evaluation then names them by their digest."""
        body, length = plain_body(request)
        kept, column = add_example_results(
            version=self.version(name, number), body=body, length=length, by=self.principal
        )
        told = {
            "digest": f"sha256:{kept.sha256}",
            "count": len(column.values),
            "mean": column.mean,
            "ids": bool(column.ids_digest),
            "attachment": str(kept.pk),
        }
        return Response(told, status=201)
