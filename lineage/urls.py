"""Routes; each has its rule in config/rules.py."""

from django.urls import URLPattern, path

from lineage.api.graph import VersionLineage, Why
from lineage.api.impact import ImpactOf
from lineage.api.nodes import Graph, Path
from lineage.api.runs import OneRun, RunDatasets, RunLog, Runs
from lineage.api.steps import PipelineSteps
from lineage.api.versions import Versions

MODEL = "namespaces/<str:namespace>/models/<str:name>"

urlpatterns: list[URLPattern] = [
    path(f"{MODEL}/versions", Versions.as_view(), name="versions"),
    path(f"{MODEL}/versions/<int:number>/lineage", VersionLineage.as_view(), name="version-lineage"),
    path("lineage/graph", Graph.as_view(), name="lineage-graph"),
    path("lineage/path", Path.as_view(), name="lineage-path"),
    path("impact", ImpactOf.as_view(), name="impact"),
    path("why", Why.as_view(), name="why"),
    path("namespaces/<str:namespace>/runs", Runs.as_view(), name="runs"),
    path("namespaces/<str:namespace>/steps", PipelineSteps.as_view(), name="steps"),
    path("runs/<uuid:id>", OneRun.as_view(), name="run"),
    path("runs/<uuid:id>/log", RunLog.as_view(), name="run-log"),
    path("runs/<uuid:id>/datasets", RunDatasets.as_view(), name="run-datasets"),
]
