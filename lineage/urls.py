"""Routes; each has its rule in config/rules.py."""

from django.urls import URLPattern, path

from lineage.api.runs import OneRun, RunDatasets, RunLog, Runs

urlpatterns: list[URLPattern] = [
    path("namespaces/<str:namespace>/runs", Runs.as_view(), name="runs"),
    path("runs/<uuid:id>", OneRun.as_view(), name="run"),
    path("runs/<uuid:id>/log", RunLog.as_view(), name="run-log"),
    path("runs/<uuid:id>/datasets", RunDatasets.as_view(), name="run-datasets"),
]
