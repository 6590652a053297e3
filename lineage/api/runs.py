"""Runs over REST: start, end, log, and what they read and wrote."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from lineage.actions.datasets import Use, log_datasets
from lineage.actions.runs import CAPTURES, Making, Measurement, log_to_run, start_run, update_run
from lineage.api.fields import (
    FLAG,
    OBJECT,
    TEXT,
    TEXT_LIST,
    TEXT_MAP,
    Document,
    Facts,
    MetricValue,
    Texts,
    Time,
)
from lineage.api.shows import RUN_ROWS, datasets_of, run_json
from lineage.models import Edge, Lifecycle, Run
from registry.http.endpoint import Endpoint
from registry.http.fields import Body
from registry.http.paging import page

MEBIBYTE = 1024 * 1024
AT_ONCE = 1000
BIGGEST = 2**63 - 1
CODE = {
    "commit": TEXT,
    "remote": TEXT,
    "branch": TEXT,
    "dirty": FLAG,
    "diff_digest": TEXT,
    "source_digest": TEXT,
    "rest_digest": TEXT,
    "untracked": TEXT_LIST,
    "directory": TEXT,
    "results": TEXT_MAP,
}
ENVIRONMENT = {
    "image_digest": TEXT,
    "python": TEXT,
    "os": TEXT,
    "packages": TEXT_MAP,
    "hardware": OBJECT,
    "lock_file": TEXT_MAP,
    "seeds": TEXT_MAP,
}
CONFIG = {"path": TEXT, "digest": TEXT, "values": OBJECT}
DIGEST = r"^(sha256|frame-v1):[0-9a-f]{64}$"
FOREIGN = r"^md5(-dir)?:[0-9a-f]{32}$"


class NewRun(Body):
    """What a run is made of; fixed from here on."""

    experiment = serializers.CharField(max_length=500, default="default")
    name = serializers.CharField(max_length=500, allow_blank=True, default="")
    started_at = Time(default=None, allow_null=True)
    entry_point = serializers.CharField(max_length=1000, allow_blank=True, default="")
    command = Document(kinds=(list,), most=64 * 1024, default=list)
    code = Facts(CODE, most=MEBIBYTE, default=None, allow_null=True)
    environment = Facts(ENVIRONMENT, most=MEBIBYTE, default=dict)
    config = Facts(CONFIG, most=MEBIBYTE, default=None, allow_null=True)

    def validate_command(self, value: list[Any]) -> list[str]:
        if not all(isinstance(word, str) for word in value):
            raise serializers.ValidationError("A command is a list of texts.")
        return value


class Capture(Body):
    """How much of what the run used could be seen; `seeds` are those that were set while it went on."""

    state = serializers.ChoiceField(choices=CAPTURES)
    notes = serializers.ListField(
        child=serializers.CharField(max_length=2000), max_length=200, default=list, allow_empty=True
    )
    seeds = Texts(entries=100, longest=1000, required=False)


class RunChange(Body):
    """How a run ended; what is left out stays as it is."""

    status = serializers.ChoiceField(choices=Run.Status.choices, required=False)
    ended_at = Time(required=False)
    name = serializers.CharField(max_length=500, allow_blank=True, required=False)
    capture = Capture(required=False)
    failure = serializers.CharField(max_length=20_000, allow_blank=True, required=False)


class NewMeasurement(Body):
    """One value; `timestamp` in milliseconds since the epoch."""

    key = serializers.CharField(max_length=250)
    value = MetricValue()
    step = serializers.IntegerField(min_value=-BIGGEST - 1, max_value=BIGGEST, default=0)
    timestamp = serializers.IntegerField(min_value=0, max_value=BIGGEST)


class Log(Body):
    """What is written to a run at once."""

    parameters = Texts(entries=AT_ONCE, longest=6000, default=dict)
    metrics = serializers.ListField(child=NewMeasurement(), max_length=AT_ONCE, default=list)
    tags = Texts(entries=AT_ONCE, longest=8000, default=dict)


class DatasetUse(Body):
    """A dataset as the run read or wrote it."""

    name = serializers.CharField(max_length=500)
    digest = serializers.RegexField(
        DIGEST, error_messages={"invalid": "A digest is sha256:<64 hex digits> or frame-v1:<64 hex digits>."}
    )
    role = serializers.ChoiceField(choices=[Edge.Role.INPUT.value, Edge.Role.OUTPUT.value])
    # Named as they travel; the metaclass takes declared fields off the class, so nothing of DRF's is hidden.
    context = serializers.CharField(max_length=100, allow_blank=True, default="")  # type: ignore[assignment]
    foreign_digest = serializers.RegexField(
        FOREIGN,
        default="",
        allow_blank=True,
        error_messages={
            "invalid": "A foreign digest is md5:<32 hex digits>, or md5-dir:<32 hex digits> of a folder."
        },
    )
    step = serializers.RegexField(
        r"^[0-9a-f]{64}$",
        default="",
        allow_blank=True,
        error_messages={"invalid": "A step is named by its key, 64 hexadecimal digits."},
    )
    size = serializers.IntegerField(min_value=0, max_value=BIGGEST, allow_null=True, default=None)
    files = serializers.IntegerField(min_value=0, max_value=BIGGEST, allow_null=True, default=None)
    rows = serializers.IntegerField(min_value=0, max_value=BIGGEST, allow_null=True, default=None)
    columns = serializers.IntegerField(min_value=0, max_value=2**31 - 1, allow_null=True, default=None)
    schema = Document(kinds=(dict, list), most=MEBIBYTE, allow_null=True, default=None)
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=4096, allow_blank=True, allow_null=True, default=""
    )


class DatasetUses(Body):
    """What is joined to a run at once."""

    datasets = serializers.ListField(child=DatasetUse(), max_length=AT_ONCE)


def shown(run: UUID) -> dict[str, Any]:
    """A run as it is now."""
    return run_json(RUN_ROWS.get(pk=run), datasets_of([run])[run])


class Runs(Endpoint):
    """The runs of a namespace."""

    @extend_schema(operation_id="list_runs", parameters=[OpenApiParameter("experiment", str)], responses=dict)
    def get(self, request: Request, namespace: str) -> Response:
        """The runs, newest first."""
        rows = RUN_ROWS.visible_to(self.principal).filter(
            namespace=self.namespace, lifecycle=Lifecycle.ACTIVE
        )
        if experiment := request.query_params.get("experiment"):
            rows = rows.filter(experiment__name=experiment)
        datasets: dict[UUID, list[dict[str, Any]]] = {}
        return page(
            request,
            rows,
            lambda run: run_json(run, datasets[run.pk]),
            order=("-started_at", "-pk"),
            prepare=lambda found: datasets.update(datasets_of([run.pk for run in found])),
        )

    @extend_schema(operation_id="start_run", request=NewRun, responses={201: dict})
    def post(self, request: Request, namespace: str) -> Response:
        """Start a run."""
        given = self.read(NewRun, request)
        making = Making(**{name: given.pop(name) for name in Making.__dataclass_fields__})
        run = start_run(namespace=self.namespace, by=self.principal, making=making, **given)
        return Response(shown(run.pk), status=201)


class OneRun(Endpoint):
    """One run."""

    noun = (Run.objects.select_related("namespace", "experiment", "created_by"), "run")

    @extend_schema(operation_id="get_run", responses=dict)
    def get(self, request: Request, id: UUID) -> Response:
        """A run, with its parameters, latest metrics, tags and datasets."""
        return Response(shown(id))

    @extend_schema(operation_id="edit_run", request=RunChange, responses=dict)
    def patch(self, request: Request, id: UUID) -> Response:
        """Rename it, end it, say how much of it was captured."""
        update_run(run=self.row, by=self.principal, **self.read(RunChange, request))
        return Response(shown(id))


class RunLog(Endpoint):
    """What a run measures."""

    noun = OneRun.noun
    repeatable: ClassVar[bool] = True

    @extend_schema(operation_id="log_run", request=Log, responses=dict)
    def post(self, request: Request, id: UUID) -> Response:
        """Write parameters (once), metrics (each measurement once) and tags (over the old value)."""
        given = self.read(Log, request)
        measured = [Measurement(**each) for each in given.pop("metrics")]
        log_to_run(run=self.row, by=self.principal, metrics=measured, **given)
        return Response({})


class RunDatasets(Endpoint):
    """What a run reads and writes."""

    noun = OneRun.noun
    repeatable: ClassVar[bool] = True

    @extend_schema(operation_id="log_run_datasets", request=DatasetUses, responses=dict)
    def post(self, request: Request, id: UUID) -> Response:
        """Join datasets to the run, each by its digest. Saying it again changes nothing."""
        given = self.read(DatasetUses, request)["datasets"]
        uses = [Use(**{**each, "source": each["source"] or ""}) for each in given]
        log_datasets(run=self.row, by=self.principal, uses=uses)
        return Response({})
