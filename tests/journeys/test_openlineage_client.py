"""The standard's own Python client, which is told nothing but our address and a token by its own variables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import assay
from registry.actions.people import issue_token
from registry.models import SYSTEM
from tests.cast import make_cast
from tests.conftest import Live

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = """
import datetime, sys
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    dataset_version_dataset, environment_variables_run, execution_parameters_run, input_statistics_input_dataset,
    output_statistics_output_dataset, processing_engine_run, schema_dataset, source_code_location_job,
)
from openlineage.client.uuid import generate_new_uuid

client = OpenLineageClient()
at = datetime.datetime(2026, 5, 4, 9, 30, tzinfo=datetime.timezone.utc)
runs = []
for place, (reads, writes) in enumerate([("raw.csv", "clean.csv"), ("clean.csv", "features.csv")]):
    run = Run(runId=str(generate_new_uuid()), facets={
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(name="spark", version="3.5.1"),
        "executionParameters": execution_parameters_run.ExecutionParametersRunFacet(
            parameters=[execution_parameters_run.ExecutionParameter(key="share", value="0.2")]),
        "environmentVariables": environment_variables_run.EnvironmentVariablesRunFacet(
            environmentVariables=[environment_variables_run.EnvironmentVariable(name="DB", value="hunter2")]),
    })
    job = Job(namespace="airflow", name=f"step{place}", facets={
        "sourceCodeLocation": source_code_location_job.SourceCodeLocationJobFacet(
            type="git", url="https://git.example.com/etl", version="a" * 40, path="etl.py"),
    })
    inputs = [InputDataset(namespace="s3://lake", name=reads, inputFacets={
        "inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=10)})]
    outputs = [OutputDataset(namespace="s3://lake", name=writes, facets={
        "schema": schema_dataset.SchemaDatasetFacet(
            fields=[schema_dataset.SchemaDatasetFacetFields(name="x", type="INT")]),
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion="7"),
    }, outputFacets={
        "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=9, size=90)})]
    for state, minutes in ((RunState.START, 0), (RunState.COMPLETE, 5)):
        when = at + datetime.timedelta(minutes=10 * place + minutes)
        client.emit(RunEvent(
            eventType=state, eventTime=when.isoformat(), run=run, job=job, inputs=inputs,
            outputs=outputs if state is RunState.COMPLETE else [], producer="https://example.com/etl"))
    runs.append(run.runId)
client.close()
print(*runs)
"""


def test_the_standards_client_is_accepted(live: Live, tmp_path: Path) -> None:
    cast = make_cast()
    _, secret = issue_token(user=cast.user("ci"), name="airflow", namespace=cast.namespace, by=SYSTEM)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "OPENLINEAGE_URL": live.url,
        "OPENLINEAGE_API_KEY": secret,
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split()
    with assay.Client(live.url, cast.token("vera")) as client:
        run: dict[str, Any] = client.get(f"/api/v1/runs/{second}")
        assert (run["status"], run["parameters"], run["code"]["commit"]) == (
            "finished",
            {"share": "0.2"},
            "a" * 40,
        )
        assert "variables" not in run["environment"]
        above = client.get("/api/v1/lineage/graph", {"node": second})
    labels = {node["label"]: node for node in above["nodes"]}
    assert set(labels) == {"step1", "s3://lake/clean.csv", "step0", "s3://lake/raw.csv"}
    assert labels["step0"]["id"] == first
    assert labels["s3://lake/clean.csv"]["detail"]["rows"] == 9
