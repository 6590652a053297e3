"""How good versions were measured to be."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry.actions.evaluations import Measured, MeasuredOn, record_evaluation
from registry.api.shows import EVALUATION_ROWS, evaluation_json
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page


class DatasetBody(Body):
    name = serializers.CharField(max_length=500)
    digest = serializers.CharField(
        max_length=80, help_text="sha256:<hex> of a file, frame-v1:<hex> of a table"
    )


class MetricBody(Body):
    name = serializers.CharField(max_length=250)
    value = serializers.FloatField()
    low = serializers.FloatField(required=False, allow_null=True, default=None)
    high = serializers.FloatField(required=False, allow_null=True, default=None)


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
            metrics=[Measured(**metric) for metric in body["metrics"]],
            evaluator=body["evaluator"],
            run_id=body["run"],
            by=self.principal,
        )
        return Response(evaluation_json(EVALUATION_ROWS.get(pk=made.pk)), status=201)
