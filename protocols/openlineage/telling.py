"""Our runs as RunEvents of the standard: what is sent to a lineage service, such as Marquez or DataHub."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from lineage.making import types_of
from lineage.models import DatasetVersion, Edge, Run
from protocols.openlineage.reading import DIGEST_FACET
from registry.models import Event, ModelVersion

EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = "https://openlineage.io/spec/facets/"
RUN_FACET = "assay_run"
TYPES = {
    Run.Status.FINISHED.value: "COMPLETE",
    Run.Status.FAILED.value: "FAIL",
    Run.Status.KILLED.value: "ABORT",
}
# The journal's entries that are told, each once.
TOLD = ("run.started", "run.finished", "version.ready")
LONGEST_FAILURE = 20_000
_TEXT = {"type": "string"}
_DIGEST = {"type": "string", "pattern": "^(sha256|frame-v1):[0-9a-f]{64}$"}


def _schema(name: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    base = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
    kind = "RunFacet" if "Run" in name else "DatasetFacet"
    shape = {"type": "object", "properties": properties, "required": required}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": schema_url(name).partition("#")[0],
        "$defs": {name: {"type": "object", "allOf": [{"$ref": base + kind}, shape]}},
    }


def schema_url(name: str) -> str:
    """Where the shape of a facet of ours is served."""
    return f"{settings.PUBLIC_URL}/api/v1/openlineage/facets/{name}.json#/$defs/{name}"


def facet_schema(name: str) -> dict[str, Any] | None:
    """The JSON schema of a facet of ours; None for what is none."""
    match name:
        case "AssayDigestDatasetFacet":
            foreign = {"type": "string", "description": "what another tool calls the content"}
            return _schema(name, {"digest": _DIGEST, "foreignDigest": foreign}, ["digest"])
        case "AssayRunFacet":
            more = dict.fromkeys(("url", "namespace", "experiment", "name", "imageDigest", "capture"), _TEXT)
            return _schema(name, more, ["url", "namespace", "experiment"])
    return None


def run_of(event: Event) -> Run | None:
    """The run that an entry of the journal tells of; None where there is none, or events from outside tell of it."""
    runs = Run.objects.select_related("namespace", "experiment").filter(reported__isnull=True)
    if event.type != "version.ready":
        return runs.filter(pk=event.subject_id).first()
    version = ModelVersion.objects.filter(pk=event.subject_id).first()
    return runs.filter(pk=version.run_id).first() if version and version.run_id else None


def run_event(event: Event, run: Run) -> dict[str, Any]:
    """The RunEvent for an entry of the journal, of the run as it is now. A version that became ready is an output."""
    kind = {"run.started": "START", "version.ready": "OTHER"}.get(event.type) or TYPES.get(
        run.status, "OTHER"
    )
    at = {"START": run.started_at, "OTHER": event.at}.get(kind) or run.ended_at or event.at
    return {
        "eventType": kind,
        "eventTime": _time(at),
        "producer": producer(),
        "schemaURL": EVENT,
        "run": {"runId": str(run.pk), "facets": _run_facets(run, kind)},
        "job": {
            "namespace": _namespace(run),
            "name": run.experiment.name,
            "facets": _job_facets(run),
        },
        "inputs": [_dataset(run, version, Edge.Role.INPUT.value) for version in _read(run)],
        "outputs": [
            *(_dataset(run, version, Edge.Role.OUTPUT.value) for version in _written(run)),
            *(_model(version) for version in _models(run)),
        ],
    }


def producer() -> str:
    """Who says so: this Assay."""
    return f"{settings.PUBLIC_URL}/"


def _namespace(run: Run) -> str:
    return f"{settings.OPENLINEAGE_NAMESPACE}.{run.namespace.name}"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _facet(schema: str, /, **values: Any) -> dict[str, Any]:
    told = {key: value for key, value in values.items() if value not in (None, "")}
    return {"_producer": producer(), "_schemaURL": schema, **told}


def _standard(name: str, version: str, /, **values: Any) -> dict[str, Any]:
    return _facet(f"{FACETS}{version}/{name}.json#/$defs/{name}", **values)


def _run_facets(run: Run, kind: str) -> dict[str, Any]:
    environment = run.environment if isinstance(run.environment, dict) else {}
    facets = {
        RUN_FACET: _facet(
            schema_url("AssayRunFacet"),
            url=f"{settings.PUBLIC_URL}/api/v1/runs/{run.pk}",
            namespace=run.namespace.name,
            experiment=run.experiment.name,
            name=run.name,
            imageDigest=_text(environment.get("image_digest")),
            capture=_text((run.capture or {}).get("state")),
        )
    }
    if python := _text(environment.get("python")):
        facets["processing_engine"] = _standard(
            "ProcessingEngineRunFacet", "1-1-1", name="Python", version=python
        )
    if parameters := [{"key": p.key, "value": p.value} for p in run.parameters.order_by("key")]:
        facets["executionParameters"] = _standard(
            "ExecutionParametersRunFacet", "1-0-0", parameters=parameters
        )
    if kind == "FAIL" and run.failure:
        facets["errorMessage"] = _standard(
            "ErrorMessageRunFacet",
            "1-0-1",
            message=run.failure.strip().splitlines()[-1][:2000],
            programmingLanguage="PYTHON",
            stackTrace=run.failure[:LONGEST_FAILURE],
        )
    return facets


def _job_facets(run: Run) -> dict[str, Any]:
    facets = {
        "jobType": _standard(
            "JobTypeJobFacet", "2-0-4", processingType="BATCH", integration="ASSAY", jobType="RUN"
        )
    }
    code = run.code if isinstance(run.code, dict) else {}
    if (remote := _text(code.get("remote"))) and (commit := _text(code.get("commit"))):
        facets["sourceCodeLocation"] = _standard(
            "SourceCodeLocationJobFacet",
            "1-1-0",
            type="git",
            url=_address(remote),
            repoUrl=remote,
            version=commit,
            branch=_text(code.get("branch")),
            path=run.entry_point,
        )
    return facets


def _address(remote: str) -> str:
    """A remote as a URI: `git@host:a/b.git` is ssh://git@host/a/b.git."""
    if "://" in remote:
        return remote
    host, colon, path = remote.partition(":")
    return f"ssh://{host}/{path}" if colon else f"file://{remote}"


def _read(run: Run) -> Iterable[DatasetVersion]:
    ends = Edge.objects.filter(to_node_id=run.pk, role=Edge.Role.INPUT).values("from_node")
    return (
        DatasetVersion.objects.select_related("dataset").filter(pk__in=ends).order_by("dataset__name", "pk")
    )


def _written(run: Run) -> Iterable[DatasetVersion]:
    return (
        DatasetVersion.objects.select_related("dataset")
        .filter(produced_by=run)
        .order_by("dataset__name", "pk")
    )


def _models(run: Run) -> Iterable[ModelVersion]:
    rows = ModelVersion.objects.select_related("model__namespace", "manifest").filter(run_id=run.pk)
    return rows.filter(status=ModelVersion.Status.READY).order_by("model__name", "number")


def _dataset(run: Run, version: DatasetVersion, role: str) -> dict[str, Any]:
    facets = _content(version.digest, version.foreign_digest, version.digest or str(version.pk))
    if fields := [{"name": name, "type": kind} for name, kind in types_of(version.schema).items()]:
        facets["schema"] = _standard("SchemaDatasetFacet", "1-2-0", fields=fields)
    counted = {"rowCount": version.rows, "size": version.size, "fileCount": version.files}
    statistics = {}
    if any(value is not None for value in counted.values()):
        name, at = ("Input", "1-0-0") if role == Edge.Role.INPUT else ("Output", "1-0-2")
        statistics[f"{role}Statistics"] = _standard(f"{name}Statistics{name}DatasetFacet", at, **counted)
    return {
        "namespace": _namespace(run),
        "name": version.dataset.name,
        "facets": facets,
        f"{role}Facets": statistics,
    }


def _model(version: ModelVersion) -> dict[str, Any]:
    digest = f"sha256:{version.manifest.digest}"
    statistics = _standard(
        "OutputStatisticsOutputDatasetFacet",
        "1-0-2",
        size=version.manifest.size,
        fileCount=version.manifest.files,
    )
    return {
        "namespace": f"{settings.OPENLINEAGE_NAMESPACE}.{version.model.namespace.name}",
        "name": f"models/{version.model.name}",
        "facets": _content(digest, "", str(version.number)),
        "outputFacets": {"outputStatistics": statistics},
    }


def _content(digest: str, foreign: str, version: str) -> dict[str, Any]:
    facets = {"version": _standard("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=version)}
    if digest and digest != foreign:
        facets[DIGEST_FACET] = _facet(
            schema_url("AssayDigestDatasetFacet"), digest=digest, foreignDigest=foreign
        )
    return facets


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def body(event: dict[str, Any]) -> bytes:
    """An event as it travels."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
