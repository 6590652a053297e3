"""Steps of another tool's pipeline over REST."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lineage.actions.datasets import Use
from lineage.actions.runs import Making
from lineage.actions.steps import Step, record_steps
from lineage.api.fields import Document, Facts, MetricValue, Texts, Time
from lineage.api.runs import AT_ONCE, CODE, DIGEST, MEBIBYTE, DatasetUse
from lineage.models import Edge
from registry.http.endpoint import Endpoint
from registry.http.fields import Body

MOST_STEPS = 200
NEEDS_ONE = "A dataset needs a digest, or a foreign_digest where that is all that is known."


class StepUse(DatasetUse):
    """A dataset of a step; `digest` may be left out where only another tool's is known."""

    digest = serializers.RegexField(
        DIGEST,
        default="",
        allow_blank=True,
        error_messages={"invalid": "A digest is sha256:<64 hex digits> or frame-v1:<64 hex digits>."},
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["digest"] and not attrs["foreign_digest"]:
            raise serializers.ValidationError({"digest": NEEDS_ONE})
        return attrs


class Kept(StepUse):
    """A dataset that the pipeline keeps, and no step of it made."""

    role = serializers.ChoiceField(choices=[Edge.Role.INPUT.value], default=Edge.Role.INPUT.value)


class NewStep(Body):
    """One execution of a step, as its tool wrote it down."""

    key = serializers.RegexField(
        r"^[0-9a-f]{64}$", error_messages={"invalid": "A key is 64 hexadecimal digits."}
    )
    name = serializers.CharField(max_length=500)
    at = Time()
    entry_point = serializers.CharField(max_length=1000, allow_blank=True, default="")
    command = serializers.ListField(
        child=serializers.CharField(max_length=60_000), max_length=1000, default=list
    )
    code = Facts(CODE, most=MEBIBYTE, default=None, allow_null=True)
    parameters = Texts(entries=AT_ONCE, longest=6000, default=dict)
    metrics = Document(most=MEBIBYTE, default=dict)
    uses = serializers.ListField(child=StepUse(), max_length=AT_ONCE, default=list)
    notes = serializers.ListField(
        child=serializers.CharField(max_length=2000), max_length=200, default=list, allow_empty=True
    )

    def validate_metrics(self, value: dict[str, Any]) -> dict[str, float]:
        if len(value) > AT_ONCE:
            raise serializers.ValidationError(f"At most {AT_ONCE:,} at once.")
        number = MetricValue()
        return {key[:250]: number.to_internal_value(each) for key, each in value.items()}


class Steps(Body):
    """Steps, each after those whose outputs it read."""

    experiment = serializers.CharField(max_length=500, default="pipeline")
    origin = serializers.CharField(max_length=2000, allow_blank=True, default="")
    steps = serializers.ListField(child=NewStep(), max_length=MOST_STEPS, default=list)
    datasets = serializers.ListField(child=Kept(), max_length=AT_ONCE, default=list)


class PipelineSteps(Endpoint):
    """What other tools ran."""

    repeatable: ClassVar[bool] = True

    @extend_schema(operation_id="record_steps", request=Steps, responses=dict)
    def post(self, request: Request, namespace: str) -> Response:
        """Record steps that ran elsewhere, as runs that have ended. Saying it again changes nothing."""
        given = self.read(Steps, request)
        done = record_steps(
            namespace=self.namespace,
            by=self.principal,
            experiment=given["experiment"],
            origin=given["origin"],
            steps=[_step(each) for each in given["steps"]],
            datasets=[_use(each) for each in given["datasets"]],
        )
        return Response(
            {
                "runs": {key: str(run) for key, run in done.runs.items()},
                "new": {"steps": done.steps, "datasets": done.datasets, "digests": done.digests},
            }
        )


def _step(given: dict[str, Any]) -> Step:
    making = Making(entry_point=given["entry_point"], command=given["command"], code=given["code"])
    return Step(
        key=given["key"],
        name=given["name"],
        at=given["at"],
        making=making,
        parameters=given["parameters"],
        metrics=given["metrics"],
        uses=[_use(each) for each in given["uses"]],
        notes=given["notes"],
    )


def _use(given: dict[str, Any]) -> Use:
    return Use(**{**given, "source": given["source"] or ""})
